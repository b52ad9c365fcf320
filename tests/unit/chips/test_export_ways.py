"""Ways to cut and label: turned passes, crops, second rasters, raster labels, other cells."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from osgeo import gdal

from geodl_plugin.core.chips.export import export_chips
from geodl_plugin.core.chips.folder import open_folder
from geodl_plugin.core.chips.options import ExportOptions
from geodl_plugin.core.errors import GeoDLError
from geodl_plugin.core.geo.crs import spatial_reference
from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.raster import Raster
from geodl_plugin.core.geo.raster_writer import write_chip
from geodl_plugin.core.geo.shapes import rectangle
from geodl_plugin.core.geo.vector_writer import VectorWriter
from geodl_plugin.core.progress import Progress

BOXES = [[40, 60, 100, 120], [150, 100, 210, 160]]


@pytest.fixture
def export(scene):
    """Return a function that exports the scene and opens the folder."""

    def run(**changes):
        options = ExportOptions(
            rasters=(scene.raster,),
            labels=scene.labels,
            folder=str(scene.folder / "chips"),
            class_field="kind",
            width=64,
            height=64,
            stride_x=64,
            stride_y=64,
        )
        result = export_chips(dataclasses.replace(options, **changes), Progress())
        return open_folder(result.folder)

    return run


def test_turned_chips_show_labels_where_the_pixels_are(scene, export):
    scene.paint(shape=(1, 300, 400)).label(BOXES, [5, 9])
    bright = np.zeros((1, 300, 400), np.uint8)
    for (xmin, ymin, xmax, ymax), value in zip(BOXES, (100, 200)):
        bright[0, ymin:ymax, xmin:xmax] = value
    scene.pixels = bright + 1
    write_chip(scene.raster, scene.pixels, scene.geotransform, scene_crs(scene))
    folder = export(format="Classified_Tiles", rotation=30.0, empty_tiles=True)
    angles = set()
    for chip in folder.chips:
        with Raster.open(chip.image) as image:
            grid = image.geotransform
            angles.add(round(np.degrees(np.arctan2(-grid.col_y, grid.col_x))) % 360)
        pixels = folder.read_image(chip).pixels[0].astype(int)
        mask = folder.read_label(chip).values
        expected = np.choose(np.searchsorted([5, 9], mask) + (mask > 0), [1, 101, 201])
        # Only pixels on an edge, which mix both sides, may differ.
        assert (np.abs(pixels - expected) > 60).mean() < 0.03
    assert angles == set(range(0, 360, 30))


def scene_crs(scene):
    with Raster.open(scene.raster) as raster:
        return raster.crs


def test_a_quarter_turn_gives_back_the_same_pixels(scene, export):
    scene.paint(shape=(3, 256, 256)).label(BOXES, [5, 9])
    folder = export(format="Export_Tiles", labels="", rotation=90.0)
    straight = {}
    turned = []
    for chip in folder.chips:
        pixels = folder.read_image(chip).pixels
        with Raster.open(chip.image) as image:
            if image.geotransform.row_x == 0 and image.geotransform.col_x > 0:
                straight[pixels.tobytes()] = chip
            else:
                turned.append(pixels)
    assert len(straight) == 16
    assert len(turned) == 48
    for pixels in turned:
        found = [np.rot90(pixels, k, (1, 2)).tobytes() in straight for k in range(4)]
        assert any(found)


@pytest.mark.parametrize("keyword", ["Labeled_Tiles", "Imagenet", "MultiLabeled_Tiles"])
def test_a_chip_is_as_large_as_its_feature_and_black_around(scene, export, keyword):
    scene.paint().label([[40, 60, 100, 110]], ["oak"])
    crop = {"format": keyword, "stride_x": 0, "stride_y": 0}
    folder = export(**crop, bounding_box=True)
    assert (folder.read_image(folder.chips[0]).pixels == scene.pixels[:, 60:110, 40:100]).all()
    assert folder.definition["CropTileMode"] == "Variable_Size"
    black = export(**crop, blacken=True, folder=str(scene.folder / "black"), width=80, height=80)
    pixels = black.read_image(black.chips[0]).pixels
    expected = np.zeros((3, 80, 80), np.uint8)
    expected[:, 15:65, 10:70] = scene.pixels[:, 60:110, 40:100]
    assert (pixels == expected).all()
    assert black.definition["BlackenAroundFeature"] is True


ROUND_GRID = GeoTransform(1000.0, 0.5, 0.0, 5000.0, 0.0, -0.5)
ODD_GRID = GeoTransform(424321.1357, 0.39, 0.0, 7301234.777, 0.0, -0.39)
BOARD = [[c, r, c + 64, r + 64] for r in range(0, 640, 128) for c in range(0, 640, 128)]


@pytest.mark.parametrize("ratio", [0.0, 1.0])
@pytest.mark.parametrize("keyword", ["PASCAL_VOC_rectangles", "Labeled_Tiles", "COCO"])
def test_labels_along_the_chips_edges_lie_on_one_chip_each(scene, export, keyword, ratio):
    """Coordinates are rounded, and a feature reaches a billionth of a pixel onto the next chip."""
    scene.paint(shape=(1, 640, 640), geotransform=ODD_GRID).label(BOARD, list(range(1, 26)))
    folder = export(format=keyword, min_overlap=ratio)
    labels = [folder.read_label(chip) for chip in folder.chips]
    assert [list(label.values) for label in labels] == [[value] for value in range(1, 26)]
    if keyword != "Labeled_Tiles":
        assert np.allclose([label.boxes for label in labels], [0, 0, 64, 64], atol=1e-6)


@pytest.mark.parametrize("grid", [ROUND_GRID, ODD_GRID], ids=["round", "odd"])
def test_a_box_does_not_reach_along_the_chips_edge(scene, export, grid):
    """What a feature has beside the chip touches it, or reaches onto it by rounding."""
    scene.paint(shape=(1, 640, 640), geotransform=grid)
    corners = [(c, r) for r in range(0, 640, 64) for c in range(0, 640, 128)]
    target = spatial_reference(scene_crs(scene)).ExportToWkt()
    with VectorWriter(scene.labels, target, {"kind": int}) as writer:
        for value, (col, row) in enumerate(corners, 1):
            hook = [[40, 0], [80, 0], [80, 50], [64, 50], [64, 10], [40, 10]]
            writer.write_polygon([grid.to_map(np.array(hook) + [col, row])], {"kind": value})
    folder = export()
    boxes = [folder.read_label(chip).boxes.tolist() for chip in folder.chips]
    assert boxes == [[[40, 0, 64, 10]], [[0, 0, 16, 50]]] * len(corners)


def test_a_spike_makes_no_box_larger(scene, export):
    scene.paint(shape=(1, 128, 128))
    spike = [[5, 90], [90, 90], [90, 70], [50, 70], [50, 10], [50, 70], [5, 70], [5, 90]]
    with VectorWriter(scene.labels, scene_crs(scene), {"kind": str}) as writer:
        writer.write_polygon([scene.geotransform.to_map(np.array(spike))], {"kind": "oak"})
    folder = export(width=128, height=128)
    assert folder.read_label(folder.chips[0]).boxes.tolist() == [[5, 70, 90, 90]]


def test_a_chip_is_not_larger_than_its_feature_by_rounding(scene, export):
    scene.paint(shape=(1, 640, 640), geotransform=ODD_GRID).label(BOARD, ["oak"] * 25)
    folder = export(format="Labeled_Tiles", stride_x=0, stride_y=0, bounding_box=True)
    assert {folder.read_image(chip).valid.shape for chip in folder.chips} == {(64, 64)}


@pytest.mark.parametrize("keyword", ["Labeled_Tiles", "Imagenet", "MultiLabeled_Tiles"])
def test_a_chip_of_a_large_feature_shows_that_feature(scene, export, keyword):
    scene.paint().label([[20, 20, 280, 280], [140, 140, 160, 160]], ["field", "tree"])
    folder = export(format=keyword, stride_x=0, stride_y=0, min_overlap=0.5)
    found = [
        folder.schema.by_value(folder.read_label(chip).values[0]).name for chip in folder.chips
    ]
    assert sorted(found) == ["field", "tree"]


@pytest.mark.parametrize(
    ("keyword", "counts"),
    [("Labeled_Tiles", [1, 1]), ("Imagenet", [1, 1]), ("MultiLabeled_Tiles", [1, 2])],
)
def test_statistics_count_the_classes_that_are_written(scene, export, keyword, counts):
    boxes = [[10, 20, 50, 60], [52, 20, 60, 60], [150, 150, 190, 190]]
    scene.paint().label(boxes, ["oak", "pine", "pine"])
    folder = export(format=keyword)
    assert len(folder.chips) == 2
    counted = json.loads((folder.path / "esri_accumulated_stats.json").read_text())["FeatureStats"]
    assert counted["NumFeaturesPerClass"] == counted["NumImagesPerClass"] == counts


def test_a_feature_around_its_chip_does_not_make_one_of_another_class(scene, export):
    scene.paint()
    ring = rectangle(1010, 4860, 1140, 4990).Difference(rectangle(1050, 4900, 1100, 4950))
    with VectorWriter(scene.labels, scene_crs(scene), {"kind": str}) as writer:
        writer.write(ring, {"kind": "hedge"})
        writer.write(rectangle(1072, 4923, 1077, 4928), {"kind": "tree"})
    folder = export(format="Labeled_Tiles", stride_x=0, stride_y=0)
    (chip,) = folder.chips
    assert folder.schema.by_value(folder.read_label(chip).values[0]).name == "tree"


@pytest.mark.parametrize("keyword", ["PASCAL_VOC_rectangles", "COCO", "YOLO", "RCNN_Masks"])
def test_objects_that_lie_on_no_data_are_no_objects(scene, export, keyword):
    """Else a network would look for them where there is nothing; and a chip of them is empty."""
    scene.paint(empty=(slice(0, 300), slice(0, 30)))
    outside, part, small = [5, 5, 20, 20], [20, 30, 50, 36], [40.6, 40.6, 40.9, 40.9]
    scene.label([outside, part, small, [5, 70, 20, 90]], [1, 2, 3, 4])
    (chip,) = (folder := export(format=keyword)).chips
    values = {2} if keyword == "RCNN_Masks" else {2, 3}  # whose masks hold no pixel of the third
    assert set(folder.read_label(chip).values) == values


def test_a_chip_has_no_class_of_what_lies_on_no_data(scene, export):
    scene.paint(empty=(slice(0, 64), slice(0, 40)))
    corner = rectangle(1000, 4969, 1031, 5000).Difference(rectangle(1020, 4969, 1031, 5000))
    with VectorWriter(scene.labels, scene_crs(scene), {"kind": str}) as writer:
        writer.write(corner, {"kind": "lake"})
        writer.write(rectangle(1025, 4980, 1027, 4982), {"kind": "tree"})
    folder = export(format="Labeled_Tiles", stride_x=0, stride_y=0)
    found = [folder.read_label(chip).values for chip in folder.chips]
    assert [folder.schema.by_value(value).name for (value, *_) in found] == ["tree"]


def test_a_second_raster_makes_pairs_on_one_grid(scene, export):
    scene.paint(shape=(3, 128, 192)).label([[40, 60, 100, 120]], ["oak"])
    other = scene.folder / "later.tif"
    later = 255 - scene.pixels
    write_chip(other, later, scene.geotransform, scene_crs(scene))
    folder = export(format="Classified_Tiles", second=(str(other),), empty_tiles=True)
    assert len(folder.chips) == 6
    for chip in folder.chips:
        with Raster.open(chip.second) as second:
            pixels = second.read(second.window).pixels
        assert (pixels == 255 - folder.read_image(chip).pixels).all()


@pytest.mark.parametrize(("kind", "bands"), [(np.uint8, 3), (np.uint16, 1), (np.float32, 4)])
def test_where_the_second_raster_does_not_reach_is_no_data(scene, export, kind, bands):
    shape = (bands, 128, 192)
    scene.paint(shape=shape, dtype=kind).label([[0, 0, 192, 128]], [3])
    part = scene.folder / "part.tif"
    place = GeoTransform(1000.0, 0.5, 0.0, 4995.0, 0.0, -0.5)
    write_chip(part, scene.pixels[:, 10:, :100], place, scene_crs(scene))
    folder = export(format="Classified_Tiles", second=(str(part),))
    assert len(folder.chips) == 4  # of 6: the last column has no second image
    reached = np.zeros((128, 192), bool)
    reached[10:, :100] = True
    for chip, (row, col) in zip(folder.chips, [(0, 0), (0, 64), (64, 0), (64, 64)]):
        window = np.s_[row : row + 64, col : col + 64]
        block = folder.read_dates(chip)
        assert (block.valid == reached[window]).all()
        expected = np.where(reached, scene.pixels, 0)[(slice(None), *window)]
        assert (block.pixels[bands:] == expected).all()
        assert folder.read_image(chip).valid.all()


def test_turned_chips_have_no_data_where_the_second_raster_does_not_reach(scene, export):
    scene.paint(shape=(1, 256, 256)).label([[0, 0, 256, 256]], [3])
    part = scene.folder / "part.tif"
    write_chip(part, scene.pixels[:, :, :128], scene.geotransform, scene_crs(scene))
    folder = export(format="Classified_Tiles", second=(str(part),), rotation=45.0)
    shares = set()
    for chip in folder.chips:
        with Raster.open(chip.second) as second:
            block = second.read(second.window)
            grid = second.geotransform
        rows, cols = np.indices(block.valid.shape)
        centres = np.stack([cols.ravel() + 0.5, rows.ravel() + 0.5], axis=1)
        across = scene.geotransform.to_pixels(grid.to_map(centres))[:, 0].reshape(rows.shape)
        clear = np.abs(across - 128) > 0.01
        assert (block.valid == (across < 128))[clear].all()
        shares.add(block.valid.mean())
    assert len(shares) > 3


def test_rasters_that_control_points_place_are_refused(scene, export):
    scene.paint(shape=(1, 64, 64)).label([[0, 0, 64, 64]], [3])
    scan = str(scene.folder / "scan.tif")
    image = gdal.GetDriverByName("GTiff").Create(scan, 64, 64, 1)
    image.SetGCPs([gdal.GCP(5e5 + c, 4e6 - r, 0, c, r) for c, r in ((0, 0), (64, 0), (0, 64))], "")
    image = None
    for changes in ({"rasters": (scan,)}, {"second": (scan,), "format": "Classified_Tiles"}):
        with pytest.raises(GeoDLError, match=r"'scan\.tif' is placed by control points only\."):
            export(**changes)


@pytest.mark.parametrize(
    ("crs", "easting", "message"),
    [
        ("EPSG:32613", 1000.0, "different coordinate reference systems. Warp the second one"),
        ("EPSG:32612", 90000.0, "do not overlap. Choose two rasters of the same place"),
    ],
)
def test_a_second_raster_of_another_place_is_refused(scene, export, crs, easting, message):
    scene.paint(shape=(3, 128, 192)).label([[40, 60, 100, 120]], ["oak"])
    other = str(scene.folder / "other.tif")
    place = GeoTransform(easting, 0.5, 0.0, 5000.0, 0.0, -0.5)
    write_chip(other, scene.pixels, place, spatial_reference(crs).ExportToWkt())
    with pytest.raises(GeoDLError, match=message):
        export(format="Classified_Tiles", second=(other,))
    assert not (scene.folder / "chips").exists()


def test_two_looks_of_one_place_explain_themselves(scene, export):
    scene.paint(shape=(3, 128, 192)).label([[40, 60, 100, 120]], ["oak"])
    coarse = scene.folder / "coarse.tif"
    place = GeoTransform(1000.0, 1.0, 0.0, 5000.0, 0.0, -1.0)
    write_chip(coarse, np.full((1, 64, 96), 77, np.uint8), place, scene_crs(scene))
    folder = export(format="CycleGAN", labels="", second=(str(coarse),))
    assert len(folder.chips) == 6
    for side in "AB":
        counted = json.loads((folder.path / side / "esri_accumulated_stats.json").read_text())
        assert counted["NumTiles"] == 6
        assert (folder.path / side / "map.txt").read_text().startswith("images\\000000000.tif")
    with Raster.open(folder.chips[0].second) as second:
        assert (second.width, second.height) == (64, 64)
        assert (second.read(second.window).pixels == 77).all()


def test_a_chip_larger_than_the_extent_keeps_within_the_raster(scene, export):
    scene.paint(shape=(3, 128, 192))
    corner = (1000 + 90.0, 5000 - 64.0, 1000 + 96.0, 5000 - 60.0)  # at the bottom right
    folder = export(format="Export_Tiles", labels="", extent=corner)
    assert len(folder.chips) == 1
    with Raster.open(folder.chips[0].image) as chip:
        block = chip.read(chip.window)
    assert block.valid.all()
    assert np.array_equal(block.pixels, scene.pixels[:, 64:, 128:])


def test_second_images_are_described_by_their_own_bands(scene, export):
    scene.paint(shape=(3, 128, 192))
    infrared = str(scene.folder / "infrared.tif")
    pixels = np.random.default_rng(3).integers(300, 9000, (2, 128, 192)).astype(np.uint16)
    write_chip(infrared, pixels, scene.geotransform, scene_crs(scene), band_names=("NIR", "SWIR"))
    folder = export(format="CycleGAN", labels="", second=(infrared,))
    with Raster.open(folder.chips[0].second) as chip:
        assert chip.band_names == ("NIR", "SWIR")
    for side, names in (("A", ["Red", "Green", "Blue"]), ("B", ["NIR", "SWIR"])):
        about = json.loads((folder.path / side / "esri_model_definition.emd").read_text())
        assert about["InputRastersProps"]["BandNames"] == names
        assert about["ExtractBands"] == list(range(len(names)))
        own = pixels if side == "B" else scene.pixels
        assert [each["Mean"] for each in about["AllTilesStats"]] == pytest.approx(
            own.mean(axis=(1, 2))
        )


@pytest.mark.parametrize(("kind", "bands"), [(np.uint8, 4), (np.uint16, 1)])
def test_a_second_raster_that_an_image_format_cannot_hold_is_refused(scene, export, kind, bands):
    scene.paint(shape=(3, 128, 192))
    other = str(scene.folder / "other.tif")
    write_chip(other, np.full((bands, 128, 192), 9, kind), scene.geotransform, scene_crs(scene))
    with pytest.raises(GeoDLError, match=r"'other\.tif' has .* which JPEG cannot hold"):
        export(format="Export_Tiles", labels="", second=(other,), image_format="JPEG")


def test_a_class_raster_is_a_label_pixel_by_pixel(scene, export):
    scene.paint(shape=(3, 128, 192))
    classes = np.random.default_rng(2).choice([0, 3, 7], (16, 24)).repeat(8, 0).repeat(8, 1)
    labels = scene.folder / "classes.tif"
    write_chip(labels, classes[np.newaxis].astype(np.uint8), scene.geotransform, scene_crs(scene))
    folder = export(format="Classified_Tiles", labels=str(labels), class_field="")
    assert folder.schema.values == (3, 7)
    joined = np.zeros_like(classes)
    for chip in folder.chips:
        with Raster.open(chip.image) as image:
            x, y = image.geotransform.x_origin, image.geotransform.y_origin
        col, row = round((x - 1000) * 2), round((5000 - y) * 2)
        joined[row : row + 64, col : col + 64] = folder.read_label(chip).values
    assert (joined == classes).all()


@pytest.mark.parametrize(("driver", "suffix"), [("GTiff", ".tif"), ("SAGA", ".sdat")])
def test_a_class_raster_of_any_format_names_its_classes(scene, export, driver, suffix):
    """ArcGIS and GRASS tell the names in an attribute table."""
    scene.paint(shape=(3, 128, 192))
    path = str(scene.folder / f"classes{suffix}")
    labels = gdal.GetDriverByName(driver).Create(path, 192, 128, 1, gdal.GDT_Int16)
    labels.SetGeoTransform(scene.geotransform.as_gdal())
    labels.SetProjection(scene_crs(scene))
    classes = np.zeros((128, 192), np.int16)
    classes[20:60, 10:50], classes[70:90, 70:90] = 3, 7
    table = gdal.RasterAttributeTable()
    table.CreateColumn("Value", gdal.GFT_Integer, gdal.GFU_MinMax)
    table.CreateColumn("Class_name", gdal.GFT_String, gdal.GFU_Generic)
    for row, (value, name) in enumerate([(3, "oak"), (7, "pine")]):
        table.SetValueAsInt(row, 0, value)
        table.SetValueAsString(row, 1, name)
    labels.GetRasterBand(1).WriteArray(classes)
    labels.GetRasterBand(1).SetDefaultRAT(table)
    labels = None
    folder = export(format="Classified_Tiles", labels=path, class_field="")
    assert str(folder.schema) == "3 oak, 7 pine"
    assert set(np.unique([folder.read_label(chip).values for chip in folder.chips])) == {0, 3, 7}


def test_several_rasters_one_by_one(scene, export):
    scene.paint(shape=(3, 128, 128)).label([[40, 60, 100, 120]], ["oak"])
    second = str(scene.folder / "second.tif")
    write_chip(second, scene.pixels, scene.geotransform, scene_crs(scene))
    folder = export(rasters=(scene.raster, second), separate=True)
    single = export(folder=str(scene.folder / "single"))
    assert len(folder.chips) == 2 * len(single.chips)
    first, again = (folder.chips[place] for place in (0, len(single.chips)))
    assert (folder.read_image(first).pixels == folder.read_image(again).pixels).all()


@pytest.mark.parametrize(("radius", "told"), [(0.0001, False), (2.0, True)])
def test_a_buffer_of_metres_for_degrees_is_told(scene, radius, told):
    scene.paint(shape=(3, 128, 128)).label([[40, 10, 100, 40]], ["oak"], crs="EPSG:4326")
    listener = Told()
    options = ExportOptions(
        (scene.raster,), scene.labels, str(scene.folder / "chips"), buffer=radius
    )
    export_chips(dataclasses.replace(options, width=64, height=64), listener)
    found = [each for each in listener.warnings if "units of 'labels', degree" in each]
    assert bool(found) is told


@pytest.mark.parametrize(("keyword", "count"), [("Classified_Tiles", 2), ("Export_Tiles", 0)])
def test_dates_that_cannot_be_compared_are_told(scene, keyword, count):
    scene.paint(shape=(3, 128, 128)).label([[40, 10, 100, 40]], ["oak"])
    later = str(scene.folder / "later.tif")
    write_chip(later, np.ones((4, 128, 128), np.uint16), scene.geotransform, scene_crs(scene))
    told, chips = Told(), str(scene.folder / "chips")
    labels = scene.labels if count else ""
    options = ExportOptions((scene.raster,), labels, chips, format=keyword, second=(later,))
    export_chips(dataclasses.replace(options, width=64, height=64), told)
    assert len(told.warnings) == count
    expected = ("has 4: a network for changes compares the same bands", "'later.tif' uint16")
    assert all(part in text for part, text in zip(expected, told.warnings))


def test_a_picture_is_no_class_raster(scene, export):
    scene.paint(shape=(3, 128, 192))
    picture = str(scene.folder / "picture.tif")
    write_chip(picture, scene.pixels, scene.geotransform, scene_crs(scene))
    with pytest.raises(GeoDLError, match="has several bands, as a picture has"):
        export(format="Classified_Tiles", labels=picture, class_field="")


@pytest.mark.parametrize(("blacken", "classes"), [(False, (5, 7, 9)), (True, (5, 7))])
def test_a_chip_has_no_class_of_what_is_blackened(scene, export, blacken, classes):
    boxes = [[100, 100, 140, 140], [100, 100, 110, 110], [150, 100, 190, 140]]
    scene.paint().label(boxes, [5, 7, 9])
    crop = {"format": "MultiLabeled_Tiles", "stride_x": 0, "stride_y": 0}
    folder = export(**crop, width=120, height=120, blacken=blacken)
    assert sorted(folder.read_label(folder.chips[0]).values) == list(classes)


def test_a_raster_of_a_table_of_colours_is_told(scene):
    scene.paint(shape=(1, 128, 128)).label([[40, 10, 100, 40]], ["oak"])
    told = [Told(), Told()]
    for number, each in enumerate(told):
        if number:
            raster = gdal.Open(scene.raster, gdal.GA_Update)
            table = gdal.ColorTable()
            table.SetColorEntry(7, (255, 0, 0, 255))
            raster.GetRasterBand(1).SetColorTable(table)
            raster = None
        chips = str(scene.folder / f"chips{number}")
        export_chips(ExportOptions((scene.raster,), scene.labels, chips, width=64, height=64), each)
    assert told[0].warnings == []
    assert "are numbers in a table of colours" in told[1].warnings[0]


def test_a_feature_on_several_rasters_counts_once(scene):
    scene.paint(shape=(3, 48, 128)).label([[40, 10, 100, 40], [5, 5, 9, 9]], ["oak", ""])
    second = str(scene.folder / "second.tif")
    write_chip(second, scene.pixels, scene.geotransform, scene_crs(scene))
    told, chips = Told(), str(scene.folder / "chips")
    options = ExportOptions(
        (scene.raster, second), scene.labels, chips, class_field="kind", separate=True
    )
    result = export_chips(dataclasses.replace(options, width=64, height=64), told)
    assert (result.features, result.chips) == (1, 4)
    unlabelled, small = told.warnings
    assert unlabelled.startswith("1 features of 'labels' have no class")
    assert small.startswith("2 rasters are smaller than a chip (ortho ü.tif, second.tif)")


def test_the_cells_of_all_rasters_are_told(scene, export):
    scene.paint(shape=(3, 128, 128)).label([[40, 60, 100, 120]], ["oak"])
    coarse = str(scene.folder / "coarse.tif")
    wider = GeoTransform(1000.0, 1.0, 0.0, 5000.0, 0.0, -2.0)
    write_chip(coarse, scene.pixels, wider, scene_crs(scene))
    folder = export(rasters=(scene.raster, coarse), separate=True)
    system = {"spatialReference": {"wkid": 32612, "latestWkid": 32612}}
    assert folder.definition["MinCellSize"] == {"x": 0.5, "y": 0.5, **system}
    assert folder.definition["MaxCellSize"] == {"x": 1.0, "y": 2.0, **system}


def test_the_cells_of_rasters_in_several_systems_are_told_with_their_units(scene, export):
    scene.paint(shape=(3, 128, 128)).label([[40, 60, 100, 120]], ["oak"])
    degrees = str(scene.folder / "degrees.tif")
    gdal.Warp(degrees, scene.raster, dstSRS="EPSG:4326", width=64, height=64)
    folder = export(rasters=(degrees, scene.raster), separate=True, empty_tiles=True)
    least, most = (folder.definition[f"{end}CellSize"] for end in ("Min", "Max"))
    assert (least["x"], least["spatialReference"]["wkid"]) == (0.5, 32612)
    assert most["x"] < 1e-4
    assert most["spatialReference"]["wkid"] == 4326


class Told(Progress):
    def __init__(self):
        self.warnings = []

    def warn(self, message):
        self.warnings.append(message)


@pytest.mark.parametrize(
    ("keyword", "kind", "count"),
    [
        ("Classified_Tiles", "water", 1),
        ("Classified_Tiles", "Background", 0),
        ("COCO", "water", 0),
    ],
)
def test_a_class_that_becomes_background_is_told(scene, keyword, kind, count):
    scene.paint()
    with VectorWriter(scene.labels, scene_crs(scene), {"value": int, "Classname": str}) as writer:
        writer.write(rectangle(1010, 4960, 1040, 4980), {"value": 0, "Classname": kind})
        writer.write(rectangle(1050, 4960, 1060, 4980), {"value": 1, "Classname": "reed"})
    told, folder = Told(), str(scene.folder / "chips")
    export_chips(ExportOptions((scene.raster,), scene.labels, folder, format=keyword), told)
    assert len(told.warnings) == count
    assert all("The class 0 'water' is the background" in each for each in told.warnings)


def test_rasters_that_a_network_would_mix_up_are_told(scene):
    scene.paint().label([[40, 60, 100, 120]], ["oak"])
    second = str(scene.folder / "second.tif")
    wide = scene.pixels.astype(np.uint16)
    names = ("Blue", "Green", "Red")
    write_chip(second, wide, scene.geotransform, scene_crs(scene), band_names=names)
    chips = str(scene.folder / "chips")
    for path, count in ((second, 2), (scene.raster, 0)):
        told = Told()
        folder = f"{chips}-{count}"
        export_chips(ExportOptions((scene.raster, path), scene.labels, folder, separate=True), told)
        assert len(told.warnings) == count
        expected = ("uint8 and 'second.tif' uint16", "but 'second.tif' Blue, Green, Red:")
        assert all(part in text for part, text in zip(expected, told.warnings))


def test_other_cells_are_resampled_with_their_labels(scene, export):
    scene.paint(shape=(3, 256, 256)).label([[40, 60, 100, 120]], ["oak"])
    folder = export(cell_size=1.0)
    assert folder.cell_size() == pytest.approx((1.0, 1.0))
    assert folder.read_label(folder.chips[0]).boxes[0] == pytest.approx([20, 30, 50, 60], abs=0.01)


def test_panoptic_takes_classes_and_objects_from_two_layers(scene, export):
    scene.paint(shape=(3, 128, 128)).label([[0, 0, 128, 128]], [2])
    ground = scene.labels
    scene.labels = str(scene.folder / "trees.gpkg")
    scene.label([[40, 60, 100, 120]], [5])
    trees, scene.labels = scene.labels, ground
    folder = export(
        format="Panoptic_Segmentation",
        instances=trees,
        instance_field="kind",
        width=128,
        height=128,
    )
    label = folder.read_label(folder.chips[0])
    assert (label.mask.values == 2).all()
    assert label.instances.values.tolist() == [5]
    assert label.instances.boxes.tolist() == [[40, 60, 100, 120]]
    assert folder.schema.values == (2, 5)


@pytest.mark.parametrize(("ratio", "count"), [(0.4, 1), (0.6, 0)])
def test_the_smallest_share_counts_for_the_objects_of_another_layer(scene, export, ratio, count):
    changes = of_two_layers(scene, [2, 2], [5, 5])
    scene.labels = changes["instances"]
    scene.label([[50, 10, 78, 30]], [5])
    scene.labels = str(scene.folder / "ground.gpkg")
    scene.label([[10, 10, 30, 30]], [2])
    changes.update(width=64, height=64, min_overlap=ratio)
    (chip,) = (folder := export(**changes)).chips
    assert len(folder.read_label(chip).instances.values) == count


def of_two_layers(scene, ground, objects):
    """Label the scene with two boxes for the ground and one for an object in each of them."""
    scene.paint(shape=(3, 128, 128)).label([[0, 0, 64, 128], [64, 0, 128, 128]], ground)
    first = scene.labels
    scene.labels = str(scene.folder / "objects.gpkg")
    scene.label([[10, 10, 30, 30], [80, 10, 100, 30]], objects)
    second, scene.labels = scene.labels, first
    return {
        "format": "Panoptic_Segmentation",
        "instances": second,
        "instance_field": "kind",
        "width": 128,
        "height": 128,
    }


def test_texts_of_two_layers_are_different_classes(scene, export):
    folder = export(**of_two_layers(scene, ["building", "road"], ["car", "road"]))
    assert folder.schema.names == ("building", "car", "road")
    label = folder.read_label(folder.chips[0])
    names = [folder.schema.by_value(int(label.mask.values[50, col])).name for col in (50, 100)]
    assert names == ["building", "road"]
    found = [folder.schema.by_value(int(value)).name for value in label.instances.values]
    assert found == ["car", "road"]


@pytest.mark.parametrize(
    ("ground", "objects", "message"),
    [
        ([1, 2], ["car", "road"], "class 1 '1' of 'labels' contradicts 1 'car' of 'objects'"),
        (["2", "3"], [2, 7], "class 1 '2' of 'labels' contradicts 2 '2' of 'objects'"),
    ],
)
def test_classes_of_two_layers_that_contradict_are_refused(scene, export, ground, objects, message):
    changes = of_two_layers(scene, ground, objects)
    with pytest.raises(GeoDLError, match=message):
        export(**changes)
    assert not (scene.folder / "chips").exists()


def test_300_bands_of_float_survive_in_mrf_and_tiff(scene, export):
    scene.paint(shape=(300, 64, 64), dtype=np.float32).label([[4, 6, 30, 32]], ["oak"])
    for kind in ("MRF", "TIFF"):
        folder = export(image_format=kind, folder=str(scene.folder / kind))
        assert (folder.read_image(folder.chips[0]).pixels == scene.pixels).all()


def test_photos_say_that_north_is_not_up(scene, export):
    scene.paint().label(BOXES, [1, 2])
    assert export(pixel_space=True).reference_system == "PIXEL_SPACE"


def test_the_same_export_gives_the_same_bytes(scene, export):
    scene.paint().label(BOXES, [1, 2])
    folders = [export(folder=str(scene.folder / name), stride_x=16).path for name in "ab"]
    one, other = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}
        for folder in folders
    )
    assert one == other
    assert gdal.Open(str(folders[0] / "images" / "000000000.tif")) is not None


def test_what_a_killed_export_left_is_removed(scene, export):
    scene.paint().label(BOXES, [1, 2])
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    left = scene.folder / f".chips.part-{process.pid}"
    (left / "images").mkdir(parents=True)
    export()
    assert not left.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ""}, "needs labels"),
        ({"second": ("x.tif",)}, "no place for a second raster"),
        ({"format": "CycleGAN", "labels": ""}, "needs a second raster"),
        ({"instances": "x.gpkg"}, "takes its objects from the labels"),
        ({"blacken": True}, "cannot blacken"),
        ({"format": "Labeled_Tiles", "bounding_box": True}, "Set both strides to 0"),
        ({"rotation": 400.0}, "not between 0 and 360"),
    ],
)
def test_what_does_not_fit_together_is_refused(scene, export, changes, message):
    scene.paint().label(BOXES, [1, 2])
    with pytest.raises(GeoDLError, match=message):
        export(**changes)
    assert not (scene.folder / "chips").exists()


@pytest.fixture
def polygons(tmp_path):
    """Return a function that writes a layer in degrees with one polygon of class 5."""

    def write(name, corners):
        with VectorWriter(tmp_path / name, "EPSG:4326", {"kind": int}) as writer:
            writer.write_polygon([np.array(corners, float)], {"kind": 5})
        return str(tmp_path / name)

    return write


WORLD = [[-180, -90], [180, -90], [180, 90], [-180, 90]]


def test_a_mask_beyond_the_rasters_system_holds_all_chips(scene, export, polygons):
    scene.paint().label(BOXES, [5, 9])
    within = export(mask=polygons("world.gpkg", WORLD), folder=str(scene.folder / "within"))
    assert len(within.chips) == len(export().chips) > 0


@pytest.mark.parametrize("keyword", ["Classified_Tiles", "PASCAL_VOC_rectangles"])
def test_labels_beyond_the_rasters_system_cover_all_chips(scene, export, polygons, keyword):
    scene.paint()
    scene.labels = polygons("world.gpkg", WORLD)
    folder = export(format=keyword)
    assert folder.chips
    for label in map(folder.read_label, folder.chips):
        if keyword == "Classified_Tiles":
            assert (label.values == 5).all()
        else:
            assert label.boxes.tolist() == [[0, 0, 64, 64]]


def test_the_polygons_of_a_mask_hold_a_chip_together(scene, export):
    """Neighbours of odd coordinates, with a hole, as parcels or tiles of a map are."""
    scene.paint(shape=(1, 128, 128), geotransform=ODD_GRID).label([[5, 5, 20, 20]], [1])
    mask = str(scene.folder / "mask.gpkg")
    with VectorWriter(mask, scene_crs(scene), {"n": int}) as writer:
        for corners in ODD_GRID.box_corners(
            [[0, 0, 40, 128], [40, 0, 128, 50], [40, 50, 128, 128]]
        ):
            hole = ODD_GRID.to_map(np.array([[100, 100], [110, 100], [110, 110], [100, 110]]))
            holes = [hole] if corners[0][1] < ODD_GRID.y_origin - 1 else []
            writer.write_polygon([corners, *holes], {"n": 1})
    folder = export(mask=mask, empty_tiles=True)
    places = [folder.footprint(chip)[0] for chip in folder.chips]
    columns = [round((place[0] - ODD_GRID.x_origin) / 0.39) for place in places]
    rows = [round((ODD_GRID.y_origin - place[3]) / 0.39) for place in places]
    assert list(zip(columns, rows)) == [(0, 0), (64, 0), (0, 64)]


def test_a_mask_elsewhere_is_a_sentence(scene, export, polygons):
    scene.paint().label(BOXES, [5, 9])
    mask = polygons("island.gpkg", [[10, 50], [11, 50], [11, 51], [10, 51]])
    with pytest.raises(GeoDLError, match="The mask 'island' lies outside of 'ortho"):
        export(mask=mask)
    assert not (scene.folder / "chips").exists()
