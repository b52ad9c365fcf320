"""What GDAL says when it fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from osgeo import gdal

from geodl_plugin.core.geo.gdal_calls import attempt, last_error


@pytest.fixture(params=[False, True], ids=["silent", "exceptions"])
def exceptions(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let GDAL raise, as QGIS from 3.38 has it, or not."""
    before = gdal.GetUseExceptions()
    (gdal.UseExceptions if request.param else gdal.DontUseExceptions)()
    yield
    (gdal.UseExceptions if before else gdal.DontUseExceptions)()


def test_the_reason_is_known_either_way(exceptions: None, tmp_path) -> None:
    path = tmp_path / "leer ü.tif"
    path.write_bytes(b"no raster")
    assert attempt(gdal.Open, str(path)) is None
    assert "not recognized as" in last_error()


def test_an_earlier_reason_is_forgotten(exceptions: None) -> None:
    attempt(gdal.Open, "/nowhere/a.tif")
    assert last_error()
    assert attempt(gdal.VersionInfo) and last_error() == ""
