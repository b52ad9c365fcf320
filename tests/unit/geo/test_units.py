"""Areas of pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal, osr

from geodl_plugin.core.geo.raster import Raster
from geodl_plugin.core.geo.units import row_areas


def made(path: Path, code: int | None, transform: tuple[float, ...], rows: int = 4) -> Raster:
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), 3, rows, 1)
    dataset.SetGeoTransform(transform)
    if code is not None:
        reference = osr.SpatialReference()
        reference.ImportFromEPSG(code)
        dataset.SetProjection(reference.ExportToWkt())
    dataset = None
    return Raster.open(str(path))


def test_a_projected_pixel_is_its_square(tmp_path: Path) -> None:
    areas, unit = row_areas(made(tmp_path / "a.tif", 32612, (0, 30, 0, 0, 0, -30)))
    assert unit == "ha" and areas == pytest.approx([0.09] * 4)


def test_feet_become_metres(tmp_path: Path) -> None:
    areas, _ = row_areas(made(tmp_path / "a.tif", 2263, (0, 100, 0, 0, 0, -100)))
    assert areas[0] == pytest.approx((100 * 1200 / 3937) ** 2 / 10_000)


def test_degrees_add_up_to_the_ellipsoid(tmp_path: Path) -> None:
    whole = made(tmp_path / "a.tif", 4326, (-180, 120, 0, 90, 0, -0.1), rows=1800)
    areas, unit = row_areas(whole)
    assert unit == "ha"
    assert 3 * areas.sum() * 1e-2 == pytest.approx(510_065_622, rel=1e-5)  # km² of WGS 84


def test_without_a_system_pixels_are_counted(tmp_path: Path) -> None:
    areas, unit = row_areas(made(tmp_path / "a.tif", None, (0, 2, 0, 0, 0, -2)))
    assert unit == "pixels" and np.all(areas == 1)
