"""Images written block by block."""

from __future__ import annotations

import numpy as np
import pytest
from osgeo import gdal

from geodl_plugin.core.errors import RasterError
from geodl_plugin.core.geo import image_writer
from geodl_plugin.core.geo.grid import GeoTransform, Window
from geodl_plugin.core.geo.image_writer import ImageLayout, ImageWriter, write_placeholder
from geodl_plugin.core.geo.raster import Raster

PLACE = GeoTransform(1000.0, 0.5, 0.0, 5000.0, 0.0, -0.5)


def layout(width, height, bands=4, dtype="uint8", alpha=True):
    return ImageLayout(width, height, bands, dtype, PLACE, "", alpha)


def test_parts_join_and_what_is_not_written_has_no_data(tmp_path, monkeypatch):
    monkeypatch.setattr(image_writer, "MOST_WAITING", 1000)  # flushed after each part
    pixels = np.random.default_rng(1).integers(1, 255, (4, 300, 500)).astype(np.uint8)
    pixels[3] = 255
    with ImageWriter(tmp_path / "a.tif", layout(500, 300)) as writer:
        for col in range(0, 400, 100):
            writer.write(Window(col, 0, 100, 300), pixels[:, :, col : col + 100])
        path = writer.finish()
    with Raster.open(path) as raster:
        block = raster.read(raster.window)
        assert raster.geotransform == PLACE
    assert (block.pixels[:, :, :400] == pixels[:3, :, :400]).all()
    assert block.valid[:, :400].all() and not block.valid[:, 400:].any()


def test_memory_does_not_grow_with_the_image(tmp_path):
    before = gdal.GetCacheUsed()
    held = []
    with ImageWriter(tmp_path / "a.tif", layout(4096, 12 * 1024)) as writer:
        for row in range(0, 12 * 1024, 1024):
            writer.write(
                Window(0, row, 4096, 1024), np.full((4, 1024, 4096), row // 1024, np.uint8)
            )
            held.append(gdal.GetCacheUsed() - before)
    assert max(held) < 100 * 1024**2


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), ImageWriter(tmp_path / "a.tif", layout(9, 9)):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RasterError, match="cannot be written"):
        ImageWriter(tmp_path / "no" / "a.tif", layout(9, 9))


def test_a_placeholder_may_be_as_large_as_the_world(tmp_path):
    path = write_placeholder(tmp_path / "w.vrt", layout(2**30, 2**30, 1, alpha=False))
    with Raster.open(path) as raster:
        assert raster.width == 2**30 and raster.geotransform == PLACE
    assert path.stat().st_size < 10_000
