"""What GDAL says when it fails."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from osgeo import gdal, ogr, osr

from geodl_plugin.core.errors import RasterError, VectorError
from geodl_plugin.core.geo.gdal_calls import attempt, last_error
from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.raster import Raster
from geodl_plugin.core.geo.raster_writer import write_chip
from geodl_plugin.core.geo.vector_writer import DRIVERS, VectorWriter


@pytest.fixture(params=[False, True], ids=["silent", "exceptions"])
def exceptions(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let GDAL raise, as QGIS from 3.38 has it, or not."""
    modules = [each for each in (gdal, ogr, osr) if each.GetUseExceptions() != request.param]
    _switch(modules, on=request.param)
    yield
    _switch(modules, on=not request.param)


def _switch(modules: list[ModuleType], on: bool) -> None:
    """Turn exceptions on or off; GDAL wants the last one to be the first."""
    for each in modules if on else reversed(modules):
        (each.UseExceptions if on else each.DontUseExceptions)()


def test_the_reason_is_known_either_way(exceptions: None, tmp_path) -> None:
    path = tmp_path / "leer ü.tif"
    path.write_bytes(b"no raster")
    assert attempt(gdal.Open, str(path)) is None
    assert "not recognized as" in last_error()


def test_an_earlier_reason_is_forgotten(exceptions: None) -> None:
    attempt(gdal.Open, "/nowhere/a.tif")
    assert last_error()
    assert attempt(gdal.VersionInfo) and last_error() == ""


def test_a_warning_of_a_call_that_succeeds_is_known(exceptions: None, tmp_path) -> None:
    """What GDAL leaves out of a mosaic it tells by a warning alone."""
    paths = []
    for place, kind in enumerate((np.uint8, np.uint16)):
        paths.append(str(tmp_path / f"{place}.tif"))
        write_chip(
            Path(paths[-1]), np.ones((1, 8, 8), kind), GeoTransform(8.0 * place, row_y=-1.0), ""
        )
    assert attempt(gdal.BuildVRT, "/vsimem/joined.vrt", paths)
    assert "data type" in last_error()
    with pytest.raises(RasterError, match=r"'1\.tif' cannot be joined to '0\.tif'"):
        Raster.open(paths)


@pytest.mark.parametrize("suffix", sorted(DRIVERS))
def test_every_format_is_written_either_way(exceptions: None, suffix: str, tmp_path) -> None:
    path = tmp_path / f"places{suffix}"
    with VectorWriter(path, "", {"n": int}) as writer:
        for number in range(3):
            writer.write(ogr.CreateGeometryFromWkt("POLYGON ((0 0,0 1,1 1,0 0))"), {"n": number})
    assert gdal.OpenEx(str(path)).GetLayer(0).GetFeatureCount() == 3


def test_a_layer_that_cannot_be_made_leaves_nothing(exceptions: None, tmp_path) -> None:
    path = tmp_path / "places.gpkg"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(VectorError, match=r"places\.gpkg' cannot be written: \S+"):
            VectorWriter(path, "", {"n": int}).finish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())
