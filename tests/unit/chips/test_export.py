"""Export of chips: pixels, labels, statistics, refusals."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from osgeo import gdal, ogr

from geodl_plugin.core.chips import cutting
from geodl_plugin.core.chips.export import export_chips
from geodl_plugin.core.chips.folder import open_folder
from geodl_plugin.core.chips.options import ExportOptions
from geodl_plugin.core.errors import CancelledError, GeoDLError
from geodl_plugin.core.geo.crs import spatial_reference
from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.raster import Raster
from geodl_plugin.core.geo.raster_writer import write_chip
from geodl_plugin.core.geo.sampling import read_frame
from geodl_plugin.core.geo.shapes import rectangle
from geodl_plugin.core.geo.vector_writer import VectorWriter
from geodl_plugin.core.progress import Progress

BOXES = [[10, 20, 50, 60], [100, 120, 140, 150], [350, 250, 395, 295]]
CLASSES = ["oak", "pine", "oak"]
UTM = spatial_reference("EPSG:32612").ExportToWkt()


def export(scene, progress=None, **changes):
    options = ExportOptions(
        rasters=(scene.raster,),
        labels=scene.labels,
        folder=str(scene.folder / "chips"),
        class_field="kind",
        width=128,
        height=128,
        stride_x=128,
        stride_y=128,
    )
    return export_chips(dataclasses.replace(options, **changes), progress or Progress())


def test_chips_equal_gdal_translate_of_the_same_window(scene):
    scene.paint(dtype=np.uint16, shape=(5, 300, 400)).label(BOXES, CLASSES)
    result = export(scene)
    folder = open_folder(result.folder)
    assert folder.band_count == 5
    for chip in folder.chips:
        with Raster.open(chip.image) as image:
            col, row = (
                scene.geotransform.to_pixels(
                    np.array([[image.geotransform.x_origin, image.geotransform.y_origin]])
                )[0]
                .round()
                .astype(int)
            )
        target = scene.folder / "expected.tif"
        window = [str(number) for number in (col, row, 128, 128)]
        subprocess.run(
            ["gdal_translate", "-q", "-srcwin", *window, scene.raster, str(target)], check=True
        )
        expected, found = gdal.Open(str(target)), gdal.Open(str(chip.image))
        assert (expected.ReadAsArray() == found.ReadAsArray()).all()
        assert expected.GetGeoTransform() == pytest.approx(found.GetGeoTransform())


def test_boxes_are_where_they_were_drawn(scene):
    scene.paint().label(BOXES, CLASSES)
    result = export(scene)
    folder = open_folder(result.folder)
    assert folder.schema.names == ("oak", "pine")
    label = folder.read_label(folder.chips[0])
    boxes = [np.round(box).astype(int).tolist() for box in label.boxes]
    assert boxes == [[10, 20, 50, 60], [100, 120, 128, 128]]
    assert label.values.tolist() == [1, 2]
    assert (result.chips, result.features) == (len(folder.chips), 3)


def test_a_photo_is_labelled_where_qgis_shows_it(scene):
    """Without a georeference the rows go down from 0, 0, and so do the labels."""
    pixels = np.random.default_rng(1).integers(1, 250, (3, 128, 128)).astype(np.uint8)
    memory = gdal.GetDriverByName("MEM").Create("", 128, 128, 3)
    for index, band in enumerate(pixels):
        memory.GetRasterBand(index + 1).WriteArray(band)
    photo = str(scene.folder / "photo.png")
    gdal.GetDriverByName("PNG").CreateCopy(photo, memory)
    with VectorWriter(scene.labels, "", {"kind": str}) as writer:
        corners = np.array([[10, -20], [50, -20], [50, -60], [10, -60]])
        writer.write_polygon([corners], {"kind": "oak"})
    folder = open_folder(export(scene, rasters=(photo,)).folder)
    (chip,) = folder.chips
    assert folder.read_label(chip).boxes.tolist() == [[10, 20, 50, 60]]
    assert (folder.read_image(chip).pixels == pixels).all()


def test_labels_in_another_system_fall_on_the_same_pixels(scene):
    scene.paint().label(BOXES, CLASSES, crs="EPSG:4326")
    folder = open_folder(export(scene).folder)
    assert np.allclose(folder.read_label(folder.chips[0]).boxes[0], [10, 20, 50, 60], atol=0.1)


def test_a_turned_raster_keeps_boxes_on_their_pixels(scene):
    turned = GeoTransform(1000.0, 0.4, 0.3, 5000.0, 0.3, -0.4)
    scene.paint(geotransform=turned).label(BOXES, CLASSES)
    folder = open_folder(export(scene, format="Classified_Tiles").folder)
    mask = folder.read_label(folder.chips[0]).values
    expected = np.zeros((128, 128), int)
    expected[20:60, 10:50] = 1
    expected[120:, 100:] = 2
    assert (mask == expected).all()
    with Raster.open(folder.chips[1].image) as image:
        assert image.geotransform.row_x == pytest.approx(0.3)


def test_masks_equal_gdal_rasterize(scene):
    scene.paint().label([[10.3, 20.7, 51.2, 61.5], [90, 90, 140, 141]], [3, 200], field="kind")
    folder = open_folder(export(scene, format="Classified_Tiles", stride_x=64, stride_y=64).folder)
    whole = scene.folder / "whole.tif"
    extent = [str(number) for number in (1000, 5000 - 150, 1200, 5000)]
    subprocess.run(
        ["gdal_rasterize", "-q", "-a", "kind", "-ot", "Byte", "-tr", "0.5", "0.5"]
        + ["-te", *extent, scene.labels, str(whole)],
        check=True,
    )
    expected = gdal.Open(str(whole)).ReadAsArray()
    seen = set()
    for chip in folder.chips:
        mask = gdal.Open(str(chip.label))
        x, _, _, y, _, _ = mask.GetGeoTransform()
        col, row = round((x - 1000) * 2), round((5000 - y) * 2)
        assert (mask.ReadAsArray() == expected[row : row + 128, col : col + 128]).all()
        seen |= set(np.unique(mask.ReadAsArray()).tolist())
    assert seen == {0, 3, 200}


def test_one_chip_for_every_feature(scene):
    scene.paint().label(BOXES, CLASSES)
    result = export(scene, format="Labeled_Tiles", stride_x=0, stride_y=0, width=48, height=48)
    folder = open_folder(result.folder)
    assert [folder.schema.by_value(folder.read_label(c).values[0]).name for c in folder.chips] == (
        CLASSES
    )
    assert np.allclose(folder.read_image(folder.chips[0]).pixels, scene.pixels[:, 16:64, 6:54])
    # The last one is moved back into the raster.
    assert np.allclose(folder.read_image(folder.chips[2]).pixels, scene.pixels[:, 248:296, 348:396])


def test_no_data_stays_no_data_and_empty_places_make_no_chips(scene):
    scene.paint(empty=(slice(0, 100), slice(0, 128))).label(BOXES, CLASSES)
    folder = open_folder(export(scene, empty_tiles=True).folder)
    block = folder.read_image(folder.chips[0])
    assert not block.valid[:100].any()
    assert block.valid[100:].all()
    scene.paint(empty=(slice(None), slice(0, 128))).label(BOXES, CLASSES)
    again = export(scene, empty_tiles=True, folder=str(scene.folder / "again"))
    assert again.chips == 9  # of 12: the first column has no data


@pytest.mark.parametrize(
    ("kind", "shape", "own", "image_format", "taken"),
    [
        (np.int16, (1, 128, 128), -32768, "TIFF", []),
        (np.int16, (1, 128, 128), -9999, "MRF", []),
        (np.float32, (2, 128, 128), None, "TIFF", []),
        (np.uint8, (3, 128, 128), 7, "PNG", []),
        (np.uint16, (1, 128, 128), None, "TIFF", [65535]),
        (np.uint8, (3, 128, 128), None, "PNG", [255]),
        (np.uint8, (1, 128, 128), None, "MRF", [255]),
        (np.uint8, (3, 128, 128), None, "JPEG", [255]),
    ],
)
def test_zeros_beside_no_data_stay_pixels(scene, kind, shape, own, image_format, taken):
    scene.paint(shape=shape, dtype=kind)
    scene.pixels[scene.pixels == 7] = 8
    for row, value in enumerate([0, *taken]):
        scene.pixels[:, 30 + row, 60:90] = value
    valid = np.ones(shape[1:], bool)
    valid[:20, :40] = False
    values = np.where(valid, scene.pixels, kind(0 if own is None else own))
    mask = valid if own is None else None
    write_chip(scene.raster, values, scene.geotransform, UTM, nodata=own, valid=mask)
    scene.label([[50, 10, 120, 90]], ["sea"])
    folder = open_folder(export(scene, image_format=image_format).folder)
    (chip,) = folder.chips
    block = folder.read_image(chip)
    assert (block.valid == valid).all()
    if image_format != "JPEG":
        assert (block.pixels == np.where(valid, scene.pixels, 0)).all()


def test_no_data_is_0_where_no_pixel_is(scene):
    scene.paint(empty=(slice(0, 100), slice(0, 128))).label(BOXES, CLASSES)
    folder = open_folder(export(scene).folder)
    with Raster.open(folder.chips[0].image) as image:
        assert image.nodata == 0
    assert not list((folder.path / "images").glob("*.msk"))


def test_a_raster_smaller_than_a_chip_is_padded(scene):
    scene.paint(shape=(1, 60, 70)).label([[10, 10, 20, 20]], ["oak"])
    folder = open_folder(export(scene).folder)
    block = folder.read_image(folder.chips[0])
    assert block.valid.sum() == 60 * 70
    assert block.valid[:60, :70].all()


def test_the_smallest_share_decides_what_counts(scene):
    scene.paint().label([[100, 10, 140, 50]], ["oak"])
    everything = open_folder(export(scene).folder)
    assert len(everything.chips) == 2
    half = open_folder(export(scene, min_overlap=0.5, folder=str(scene.folder / "half")).folder)
    assert len(half.chips) == 1


def test_statistics_are_those_of_the_chips(scene):
    scene.paint().label(BOXES, CLASSES)
    result = export(scene)
    folder = open_folder(result.folder)
    pixels = np.stack([folder.read_image(chip).pixels for chip in folder.chips], axis=1)
    statistics = folder.definition["AllTilesStats"]
    for band, entry in enumerate(statistics):
        assert entry["Mean"] == pytest.approx(pixels[band].mean())
        assert entry["StdDev"] == pytest.approx(pixels[band].std())
        assert (entry["Min"], entry["Max"]) == (pixels[band].min(), pixels[band].max())
    counted = json.loads((result.folder / "esri_accumulated_stats.json").read_text())
    assert counted["NumTiles"] == len(folder.chips)
    boxes = sum(len(folder.read_label(chip).boxes) for chip in folder.chips)
    assert counted["FeatureStats"]["NumFeaturesTotal"] == boxes
    assert counted["FeatureStats"]["FeatureAreaPerClass"][0]["Max"] == pytest.approx(45 * 45 / 4)
    rows = (result.folder / "map.txt").read_text().splitlines()
    assert rows[0] == "images\\000000000.tif  labels\\000000000.xml "
    assert len(rows) == len(folder.chips)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    boxes=st.lists(
        st.tuples(st.floats(0, 350), st.floats(0, 250), st.floats(2, 50), st.floats(2, 50)),
        min_size=1,
        max_size=8,
    ),
    size=st.integers(48, 200),
    stride=st.integers(30, 200),
)
def test_every_box_is_found_again_whole_or_in_parts(scene, boxes, size, stride):
    corners = [[x, y, x + w, y + h] for x, y, w, h in boxes]
    scene.paint().label(corners, list(range(1, len(boxes) + 1)))
    name = f"chips-{np.random.default_rng().integers(1 << 60)}"
    folder = open_folder(
        export(
            scene,
            folder=str(scene.folder / name),
            width=size,
            height=size,
            stride_x=min(stride, size),
            stride_y=min(stride, size),
        ).folder
    )
    found = {}
    for chip in folder.chips:
        with Raster.open(chip.image) as image:
            origin = scene.geotransform.to_pixels(
                np.array([[image.geotransform.x_origin, image.geotransform.y_origin]])
            )[0]
        label = folder.read_label(chip)
        for box, value in zip(label.boxes, label.values):
            found.setdefault(int(value), []).append(box + np.tile(origin, 2))
    assert set(found) == set(range(1, len(boxes) + 1))
    for value, parts in found.items():
        union = np.concatenate([np.min(parts, axis=0)[:2], np.max(parts, axis=0)[2:]])
        expected = np.minimum(corners[value - 1], [400, 300, 400, 300])
        assert np.allclose(union, expected, atol=0.02)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_field": "species"}, "no field 'species'"),
        ({"format": "Poetry"}, "no training-data format 'Poetry'"),
        ({"image_format": "GIF"}, "no image format 'GIF'"),
        ({"stride_x": 0, "stride_y": 0}, "one chip per feature"),
        ({"width": 4}, "too small"),
        ({"min_overlap": 2.0}, "not between 0 and 1"),
        ({"extent": (0.0, 0.0, 10.0, 10.0)}, "does not meet"),
        ({"labels": "/no/where.gpkg"}, "cannot be opened"),
        ({"rasters": ("/no/where.tif",)}, "no file"),
    ],
)
def test_wrong_input_is_one_sentence_and_nothing_is_written(scene, changes, message):
    scene.paint().label(BOXES, CLASSES)
    with pytest.raises(GeoDLError, match=message):
        export(scene, **changes)
    assert sorted(each.name for each in scene.folder.iterdir()) == ["labels.gpkg", "ortho ü.tif"]


@pytest.mark.parametrize(
    "ring", ["1040 4950, 1045 4955, 1040 4950, 1040 4950", "1040 4950, 1040 4950, 1040 4950"]
)
@pytest.mark.parametrize("keyword", ["PASCAL_VOC_rectangles", "Classified_Tiles"])
def test_a_polygon_without_an_area_is_left_out(scene, keyword, ring):
    scene.paint()
    with VectorWriter(scene.labels, UTM, {"kind": str}) as writer:
        writer.write(rectangle(1010, 4970, 1030, 4990), {"kind": "oak"})
        writer.write(ogr.CreateGeometryFromWkt(f"POLYGON (({ring}))"), {"kind": "oak"})
    warnings = []

    class Listening(Progress):
        def warn(self, message):
            warnings.append(message)

    assert export(scene, Listening(), format=keyword).features == 1
    assert any("1 features of 'labels' have no class or no usable geometry" in w for w in warnings)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"format": "Labeled_Tiles", "stride_x": 0, "stride_y": 0, "rotation": 30.0}, "ROTATION"),
        ({"format": "Imagenet", "empty_tiles": True}, "OUTPUT_EMPTY_TILES changes nothing"),
        ({"instance_field": "kind"}, "INSTANCE_CLASS_FIELD=kind changes nothing"),
        ({"rotation": 90.0, "empty_tiles": True}, ""),
    ],
)
def test_options_that_change_nothing_are_told(scene, changes, told):
    scene.paint().label(BOXES, CLASSES)
    warnings = []

    class Listening(Progress):
        def warn(self, message):
            warnings.append(message)

    export(scene, Listening(), **changes)
    assert len(warnings) == bool(told) and told in "".join(warnings)


def test_points_without_a_buffer_are_refused(scene):
    scene.paint()
    with VectorWriter(scene.labels, UTM, {"kind": str}) as writer:
        writer.write(ogr.CreateGeometryFromWkt("POINT (1040 4950)"), {"kind": "oak"})
    with pytest.raises(GeoDLError, match="points or lines, which cover no pixels"):
        export(scene)


def test_labels_that_miss_the_raster_are_refused(scene):
    scene.paint().label([[900, 900, 950, 950]], ["oak"])
    with pytest.raises(GeoDLError, match=r"No feature of 'labels' lies on 'ortho ü\.tif'"):
        export(scene)


def test_jpeg_refuses_what_it_cannot_hold(scene):
    scene.paint(dtype=np.uint16, shape=(3, 200, 200)).label(BOXES[:1], CLASSES[:1])
    with pytest.raises(GeoDLError, match="3 bands of uint16, which JPEG cannot hold"):
        export(scene, image_format="JPEG")


def test_a_used_folder_is_refused_and_stays_as_it_is(scene):
    scene.paint().label(BOXES, CLASSES)
    first = export(scene)
    before = sorted(str(each) for each in first.folder.rglob("*"))
    with pytest.raises(GeoDLError, match=r"chips' is not empty, .* Choose a new folder, or empty"):
        export(scene)
    assert sorted(str(each) for each in first.folder.rglob("*")) == before


def test_a_cancelled_export_leaves_nothing(scene):
    class Impatient(Progress):
        count = 0

        def cancelled(self):
            self.count += 1
            return self.count > 2

    scene.paint().label(BOXES, CLASSES)
    with pytest.raises(CancelledError):
        export(scene, Impatient(), empty_tiles=True)
    assert sorted(each.name for each in scene.folder.iterdir()) == ["labels.gpkg", "ortho ü.tif"]


def test_slow_sources_do_not_hold_up_a_cancelled_export(scene, monkeypatch):
    class Cancelled(Progress):
        began = time.monotonic()

        def cancelled(self):
            return time.monotonic() - self.began > 0.5

    def slow(raster, frame):
        time.sleep(0.6)
        return read_frame(raster, frame)

    monkeypatch.setattr(cutting, "read_frame", slow)
    scene.paint().label(BOXES, CLASSES)
    progress = Cancelled()
    with pytest.raises(CancelledError):
        export(scene, progress, empty_tiles=True, width=32, height=32, stride_x=8, stride_y=32)
    assert time.monotonic() - progress.began < 20  # the whole takes minutes
    assert sorted(each.name for each in scene.folder.iterdir()) == ["labels.gpkg", "ortho ü.tif"]


def test_the_block_cache_is_small_during_an_export_and_as_before_after_it(scene):
    class Looking(Progress):
        seen = 0

        def cancelled(self):
            self.seen = gdal.GetCacheMax()
            return False

    usual = gdal.GetCacheMax()
    gdal.SetCacheMax(1 << 30)
    try:
        scene.paint().label(BOXES, CLASSES)
        progress = Looking()
        export(scene, progress)
        assert progress.seen == 128 << 20
        assert gdal.GetCacheMax() == 1 << 30
    finally:
        gdal.SetCacheMax(usual)
