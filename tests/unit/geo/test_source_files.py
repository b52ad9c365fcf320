"""The files behind rasters and layers."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal

from geodl_plugin.core.geo.source_files import files_of
from geodl_plugin.core.geo.vector_writer import VectorWriter
from tests.unit.inference.support import write_raster


def test_a_virtual_raster_is_made_of_others(tmp_path: Path) -> None:
    source = write_raster(tmp_path / "a.tif", np.zeros((1, 20, 20), np.uint8))
    inner, outer = str(tmp_path / "inner.vrt"), str(tmp_path / "outer.vrt")
    gdal.BuildVRT(inner, [source])
    gdal.BuildVRT(outer, [inner])
    assert set(files_of([outer])) == {outer, inner, source}


@pytest.mark.parametrize("form", ["/vsizip/{}/a.tif", "/vsizip/{}", "/vsizip/{{{}}}/a.tif"])
def test_an_archive_is_one_of_the_files_of_what_lies_in_it(tmp_path: Path, form: str) -> None:
    source = write_raster(tmp_path / "a.tif", np.zeros((1, 20, 20), np.uint8))
    archive = tmp_path / "blank and ü.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(source, "a.tif")
    assert str(archive) in files_of([form.format(archive)])


def test_a_packed_file_is_one_of_its_files(tmp_path: Path) -> None:
    source = write_raster(tmp_path / "a.tif", np.zeros((1, 20, 20), np.uint8))
    packed = tmp_path / "a.tif.gz"
    packed.write_bytes(gzip.compress(Path(source).read_bytes()))
    assert str(packed) in files_of([f"/vsigzip/{packed}"])


def test_statistics_do_not_count(tmp_path: Path) -> None:
    source = write_raster(tmp_path / "a.tif", np.ones((1, 20, 20), np.uint8))
    gdal.Info(source, stats=True)
    assert Path(f"{source}.aux.xml").exists()
    assert files_of([source, "no file"]) == [source]


def test_a_shapefile_is_several(tmp_path: Path) -> None:
    path = str(tmp_path / "a.shp")
    with VectorWriter(path, "EPSG:32612", {"n": int}) as writer:
        writer.write_polygon([np.array([[0, 0], [1, 0], [1, 1], [0, 0]], float)], {"n": 1})
    assert {Path(each).suffix for each in files_of([path])} >= {".shp", ".shx", ".dbf"}
