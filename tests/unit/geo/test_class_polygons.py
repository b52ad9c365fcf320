"""Polygons of class rasters: exact, valid, without gaps."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from osgeo import gdal, ogr, osr

from geodl_plugin.core.errors import CancelledError
from geodl_plugin.core.geo.class_polygons import write_class_polygons
from geodl_plugin.core.progress import Progress
from geodl_plugin.core.samples.schema import Schema

SCHEMA = Schema.from_text("0:Ground:#808080;1:Tree:#22aa44;2:Büilding:#ff0000")
NORTH_UP = (500000.0, 1.0, 0.0, 4000000.0, 0.0, -1.0)
TURNED = (500000.0, 0.4, 0.3, 4000000.0, 0.3, -0.4)


def raster(path: Path, values: np.ndarray, transform: tuple[float, ...] = NORTH_UP) -> Path:
    rows, cols = values.shape
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), cols, rows, 1, gdal.GDT_Byte)
    dataset.SetGeoTransform(transform)
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32612)
    dataset.SetProjection(reference.ExportToWkt())
    dataset.GetRasterBand(1).SetNoDataValue(255)
    dataset.GetRasterBand(1).WriteArray(values)
    dataset = None
    return path


def polygons(path: Path, values: np.ndarray, **options: Any) -> list[tuple[str, ogr.Geometry]]:
    transform = options.pop("transform", NORTH_UP)
    source = raster(path.with_suffix(".tif"), values.astype(np.uint8), transform)
    count = write_class_polygons(source, path, SCHEMA, **options)
    dataset = ogr.Open(str(path))
    found = [
        (each.GetField("Class"), each.GetGeometryRef().Clone()) for each in dataset.GetLayer(0)
    ]
    assert len(found) == count
    assert all(geometry.IsValid() for _, geometry in found)
    assert sorted(each.name for each in path.parent.iterdir()) == sorted(
        [path.name, path.with_suffix(".tif").name]
    )
    return found


def test_a_square_of_ten_pixels_has_an_area_of_a_hundred_and_does_not_move(tmp_path: Path) -> None:
    values = np.zeros((40, 60))
    values[10:20, 30:40] = 2
    ((name, square),) = polygons(tmp_path / "Fläche 1.gpkg", values)
    assert name == "Büilding"
    assert square.GetArea() == 100
    assert square.GetEnvelope() == (500030.0, 500040.0, 3999980.0, 3999990.0)


def test_holes_and_corners(tmp_path: Path) -> None:
    values = np.zeros((20, 20))
    values[2:10, 2:10] = 1
    values[4:6, 4:6] = 0
    values[6, 6] = 0  # touches the hole at a corner
    values[12:14, 12:14] = 1
    values[14:16, 14:16] = 1  # touches the one before at a corner
    found = polygons(tmp_path / "a.gpkg", values)
    assert sorted(geometry.GetArea() for _, geometry in found) == [4, 4, 59]


def test_no_data_and_background_make_none(tmp_path: Path) -> None:
    values = np.full((10, 10), 255)
    values[:5] = 0
    assert polygons(tmp_path / "a.gpkg", values) == []


def test_small_ones_are_left_out(tmp_path: Path) -> None:
    values = np.zeros((10, 10))
    values[1, 1] = 1
    values[5:8, 5:8] = 1
    found = polygons(tmp_path / "a.gpkg", values, min_area=2.0)
    assert [geometry.GetArea() for _, geometry in found] == [9]


@pytest.mark.parametrize("tolerance", [0.0, 0.05])
@pytest.mark.parametrize("side", [1.0, 0.1])
def test_a_square_as_large_as_the_least_area_is_kept(
    tmp_path: Path, tolerance: float, side: float
) -> None:
    values = np.zeros((40, 60))
    values[10:20, 30:40] = 2
    values[25:34, 30:41] = 1  # 99 pixels
    transform = (500000.3, side, 0.0, 4000000.7, 0.0, -side)
    least = 100 * side * side
    found = polygons(
        tmp_path / "a.gpkg", values, transform=transform, tolerance=tolerance, min_area=least
    )
    assert [name for name, _ in found] == ["Büilding"]


@pytest.mark.parametrize("words", ["Tracing", "Writing"])
@pytest.mark.parametrize("tolerance", [0.0, 1.0])
def test_a_cancel_closes_the_scratch_file_before_it_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, tolerance: float
) -> None:
    class Cancels(Progress):
        told = False

        def update(self, fraction: float, message: str = "") -> None:
            self.told = self.told or words in message

        def cancelled(self) -> bool:
            return self.told

    opened: list[str] = []

    unlink = Path.unlink

    def refused(path: Path, missing_ok: bool = False) -> None:
        if "scratch" not in path.name:
            unlink(path, missing_ok)
            return
        opened.extend(os.path.realpath(each) for each in Path("/proc/self/fd").iterdir())
        raise PermissionError(path)

    source = raster(tmp_path / "a.tif", blobs())
    with monkeypatch.context() as patched, pytest.raises(CancelledError):
        patched.setattr(Path, "unlink", refused)
        write_class_polygons(source, tmp_path / "a.gpkg", SCHEMA, 0.0, tolerance, Cancels())
    assert opened
    assert not [each for each in opened if each.startswith(str(tmp_path))]


@settings(max_examples=25, deadline=None)
@given(arrays.arrays(np.uint8, (9, 11), elements=st.sampled_from([0, 1, 2, 255])))
def test_areas_are_those_of_the_pixels(tmp_path_factory: Any, values: np.ndarray) -> None:
    folder = tmp_path_factory.mktemp("areas")
    found = polygons(folder / "a.gpkg", values, transform=TURNED)
    for value, name in ((1, "Tree"), (2, "Büilding")):
        area = sum(geometry.GetArea() for each, geometry in found if each == name)
        assert area == pytest.approx(0.25 * (values == value).sum())


def blobs() -> np.ndarray:
    """Three classes with wavy borders and no background."""
    y, x = np.mgrid[:120, :160]
    return np.digitize(x + 12 * np.sin(y / 9), [55, 110]) % 2 + 1


@pytest.mark.parametrize("transform", [NORTH_UP, TURNED])
def test_simplified_neighbours_keep_a_common_border(
    tmp_path: Path, transform: tuple[float, ...]
) -> None:
    for name in ("exact", "simple"):
        (tmp_path / name).mkdir()
    exact = polygons(tmp_path / "exact" / "a.gpkg", blobs(), transform=transform)
    simple = polygons(tmp_path / "simple" / "a.gpkg", blobs(), transform=transform, tolerance=2.0)

    def points(found: list[tuple[str, ogr.Geometry]]) -> int:
        return sum(each.GetGeometryRef(0).GetPointCount() for _, each in found)

    assert len(simple) == len(exact) == 3
    assert points(simple) < 0.35 * points(exact)
    whole = ogr.Geometry(ogr.wkbPolygon)
    for _, geometry in simple:
        shared = whole.Intersection(geometry)
        assert shared is None or shared.GetArea() == pytest.approx(0, abs=1e-6)
        whole = whole.Union(geometry)
    assert whole.GetArea() == pytest.approx(sum(each.GetArea() for _, each in exact), rel=1e-3)
    assert whole.GetGeometryName() == "POLYGON" and whole.GetGeometryCount() == 1  # no gap
    for (_, before), (_, after) in zip(exact, simple):
        assert before.SymDifference(after).GetArea() < 0.05 * before.GetArea()
