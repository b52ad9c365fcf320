"""Chips are exactly what GDAL's own programs cut and burn."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from PIL import Image

from geodl_plugin.core.chips.export import export_chips
from geodl_plugin.core.chips.folder import open_folder
from geodl_plugin.core.chips.identifiers import IdentifierSet
from geodl_plugin.core.chips.options import ExportOptions
from geodl_plugin.core.chips.plan import Plan
from geodl_plugin.core.chips.statistics import BandStatistics
from geodl_plugin.core.geo.raster import Raster
from geodl_plugin.core.geo.raster_writer import write_chip
from geodl_plugin.core.geo.vector import VectorReader
from geodl_plugin.core.geo.vector_writer import VectorWriter
from geodl_plugin.core.progress import Progress

SIZE = 96
STRIDE = 70
BOXES = [[10.3, 20.7, 51.2, 61.5], [40, 50, 140, 141], [200, 100, 230, 260]]


@pytest.fixture
def options(scene):
    scene.paint(shape=(3, 300, 400)).label(BOXES, [3, 200, 41])
    return ExportOptions(
        (scene.raster,), scene.labels, str(scene.folder / "chips"), class_field="kind",
        width=SIZE, height=SIZE, stride_x=STRIDE, stride_y=STRIDE, empty_tiles=True,
    )  # fmt: skip


def corners():
    rows, cols = [0, 70, 140, 204], [0, 70, 140, 210, 280, 304]
    return [(col, row) for row in rows for col in cols]


@pytest.mark.parametrize(
    ("kind", "creation"), [("TIFF", []), ("PNG", []), ("MRF", []), ("JPEG", ["-co", "QUALITY=90"])]
)
def test_every_chip_equals_gdal_translate(scene, options, kind, creation):
    options = dataclasses.replace(options, image_format=kind)
    folder = open_folder(export_chips(options, Progress()).folder)
    assert len(folder.chips) == len(corners())
    expected_path = scene.folder / "expected"
    driver = {"TIFF": "GTiff"}.get(kind, kind)
    for chip, (col, row) in zip(folder.chips, corners()):
        window = [str(number) for number in (col, row, SIZE, SIZE)]
        command = ["gdal_translate", "-q", "-of", driver, *creation, "-srcwin", *window]
        subprocess.run([*command, scene.raster, str(expected_path)], check=True)
        expected, found = gdal.Open(str(expected_path)), gdal.Open(str(chip.image))
        assert expected.ReadAsArray().tobytes() == found.ReadAsArray().tobytes()
        grid = pytest.approx(expected.GetGeoTransform(), rel=1e-12)
        assert found.GetGeoTransform() == grid
        if kind == "TIFF":
            assert found.GetGeoTransform() == expected.GetGeoTransform()
        assert found.GetSpatialRef().IsSame(expected.GetSpatialRef())


def assert_masks_equal_gdal_rasterize(scene, options, keyword):
    folder = open_folder(
        export_chips(dataclasses.replace(options, format=keyword), Progress()).folder
    )
    whole = scene.folder / "whole.tif"
    extent = [str(number) for number in (1000, 5000 - 150, 1200, 5000)]
    command = ["gdal_rasterize", "-q", "-a", "kind", "-ot", "Byte", "-tr", "0.5", "0.5"]
    subprocess.run([*command, "-te", *extent, scene.labels, str(whole)], check=True)
    expected = gdal.Open(str(whole)).ReadAsArray()
    for chip, (col, row) in zip(folder.chips, corners()):
        label = gdal.Open(str(folder.path / "labels" / f"{chip.name}.tif"))
        assert (label.ReadAsArray() == expected[row : row + SIZE, col : col + SIZE]).all()


@pytest.mark.parametrize("keyword", ["Classified_Tiles", "Panoptic_Segmentation"])
def test_every_mask_equals_gdal_rasterize(scene, options, keyword):
    assert_masks_equal_gdal_rasterize(scene, options, keyword)


def test_every_instance_equals_gdal_rasterize(scene, options):
    folder = open_folder(
        export_chips(dataclasses.replace(options, format="RCNN_Masks"), Progress()).folder
    )
    extent = [str(number) for number in (1000, 5000 - 150, 1200, 5000)]
    alone = {}
    for value in (3, 200, 41):
        target = scene.folder / f"{value}.tif"
        command = ["gdal_rasterize", "-q", "-burn", "1", "-where", f"kind={value}", "-ot", "Byte"]
        command += ["-tr", "0.5", "0.5", "-te", *extent, scene.labels, str(target)]
        subprocess.run(command, check=True)
        alone[value] = gdal.Open(str(target)).ReadAsArray() > 0
    seen = set()
    for chip, (col, row) in zip(folder.chips, corners()):
        label = folder.read_label(chip)
        for mask, value in zip(label.masks, label.values.tolist()):
            assert (mask == alone[value][row : row + SIZE, col : col + SIZE]).all()
            seen.add(value)
    assert seen == {3, 200, 41}


def test_colour_chips_are_photos_to_other_programs(scene, options):
    folder = open_folder(export_chips(options, Progress()).folder)
    with Image.open(folder.chips[0].image) as photo:
        assert photo.mode == "RGB"
        assert (np.array(photo).transpose(2, 0, 1) == scene.pixels[:, :SIZE, :SIZE]).all()
    assert folder.band_names == ("Red", "Green", "Blue")


def test_the_fourth_band_is_no_mask(scene, options):
    scene.paint(shape=(4, 300, 400))
    scene.pixels[3, :50] = 0
    Path(scene.raster).unlink()
    write_chip(scene.raster, scene.pixels, scene.geotransform, "EPSG:32612")
    folder = open_folder(export_chips(options, Progress()).folder)
    assert folder.band_count == 4
    block = folder.read_image(folder.chips[0])
    assert block.valid.all()
    assert (block.pixels == scene.pixels[:, :SIZE, :SIZE]).all()


def test_overlapping_labels_lie_in_the_order_of_the_layer_on_every_chip(scene, options):
    with VectorWriter(scene.labels, "EPSG:32612", {"kind": int}) as writer:
        for value in range(1, 41):
            x, y = 1000 + value % 7 * 3.0, 5000 - value % 5 * 3.0
            square = np.array([[x, y], [x + 40, y], [x + 40, y - 40], [x, y - 40]])
            writer.write_polygon([square], {"kind": value})
    assert_masks_equal_gdal_rasterize(scene, options, "Classified_Tiles")


def test_runs_are_neighbours_and_miss_nothing(options):
    with Raster.open(options.rasters) as raster:
        plan = Plan(dataclasses.replace(options, rotation=45.0), raster, None)
        runs = list(plan.runs(4))
        places = list(plan.places())
    assert [place for run in runs for place in run] == places
    assert plan.count() == len(places) > len(corners())
    assert [len(run) for run in runs[:4]] == [4, 2, 4, 2]
    assert all(len(run) == 1 for run in runs if run[0].frame.window is None)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16, np.float32])
def test_statistics_of_any_type_are_those_of_numpy(kind):
    high = min(np.iinfo(kind).max, 65_000) if np.issubdtype(kind, np.integer) else 1000
    pixels = np.random.default_rng(3).integers(0, high, (2, 70_000), endpoint=True).astype(kind)
    found = BandStatistics()
    for part in np.array_split(pixels, 3, axis=1):
        found.merge(BandStatistics.of(part))
    values = pixels.astype(np.float64)
    assert found.mean == pytest.approx(values.mean(axis=1), rel=1e-9)
    assert found.deviation == pytest.approx(values.std(axis=1), rel=1e-9)
    assert (found.minimum == values.min(axis=1)).all()
    assert (found.maximum == values.max(axis=1)).all()


def test_identifiers_are_counted_once():
    found = IdentifierSet()
    found.update([5, 1_000_000_007, 5, 1023, 1024])
    found.update([1024, 0])
    assert len(found) == 5


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".shp", ".csv"])
def test_different_values_are_found_whatever_the_file(tmp_path, suffix):
    path = tmp_path / f'odd "name" ü{suffix}'
    with VectorWriter(path, "", {"kind": str, "Count": int}) as writer:
        for name, count in (("oak", 2), ("Eiche ü", 1), ("oak", 2), (None, None)):
            writer.write_polygon(
                [np.array([[0, 0], [1, 0], [1, 1]])], {"kind": name, "Count": count}
            )
    layer = VectorReader(path)
    kinds = [each for each in layer.unique_values("KIND") if each]
    assert kinds == ["Eiche ü", "oak"]
    assert {int(each) for each in layer.unique_values("count") if each != ""} == {1, 2}
