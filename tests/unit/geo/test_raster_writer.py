"""Writing chips."""

from __future__ import annotations

import numpy as np
import pytest

from geodl_plugin.core.errors import RasterError
from geodl_plugin.core.geo.crs import spatial_reference
from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.raster import Raster
from geodl_plugin.core.geo.raster_writer import write_chip
from geodl_plugin.core.geo.rasterize import burn
from geodl_plugin.core.geo.shapes import rectangle

PLACE = GeoTransform(500000.0, 0.5, 0.0, 4000000.0, 0.0, -0.5)
UTM = spatial_reference("EPSG:32612").ExportToWkt()


@pytest.mark.parametrize(("kind", "suffix"), [("TIFF", ".tif"), ("PNG", ".png"), ("JPEG", ".jpg")])
def test_chips_keep_their_place(tmp_path, kind, suffix):
    path = tmp_path / f"chip{suffix}"
    pixels = np.full((3, 16, 20), 120, np.uint8)
    write_chip(path, pixels, PLACE, UTM, kind)
    with Raster.open(path) as chip:
        assert chip.geotransform.as_gdal() == pytest.approx(PLACE.as_gdal())
        assert "UTM zone 12" in chip.crs
        assert np.abs(chip.read(chip.window).pixels.astype(int) - 120).max() <= 1


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("TIFF", ".tif"), ("PNG", ".png"), ("JPEG", ".jpg"), ("MRF", ".mrf")],
)
def test_a_mask_is_kept_beside_every_value(tmp_path, kind, suffix):
    path = tmp_path / f"chip{suffix}"
    pixels = np.random.default_rng(3).integers(0, 256, (3, 16, 20)).astype(np.uint8)
    valid = np.ones((16, 20), bool)
    valid[3:9, :5] = False
    write_chip(path, pixels, PLACE, UTM, kind, valid=valid)
    with Raster.open(path) as chip:
        block = chip.read(chip.window)
    assert (block.valid == valid).all()
    assert kind == "JPEG" or (block.pixels == np.where(valid, pixels, 0)).all()


@pytest.mark.parametrize(("kind", "suffix"), [("TIFF", ".tif"), ("MRF", ".mrf")])
@pytest.mark.parametrize("bands", [1, 2, 3, 4, 5, 8])
def test_no_band_is_taken_for_alpha(tmp_path, kind, suffix, bands):
    pixels = np.random.default_rng(3).integers(0, 256, (bands, 16, 20)).astype(np.uint8)
    write_chip(tmp_path / f"chip{suffix}", pixels, PLACE, UTM, kind)
    with Raster.open(tmp_path / f"chip{suffix}") as chip:
        block = chip.read(chip.window)
    assert block.valid.all() and np.array_equal(block.pixels, pixels)


def test_a_chip_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(RasterError, match="cannot be written"):
        write_chip(tmp_path / "no folder" / "a.tif", np.ones((1, 4, 4), np.uint8), PLACE, "")


def test_a_square_of_ten_pixels_burns_a_hundred():
    square = rectangle(500002.5, 3999990.0, 500007.5, 3999995.0)
    values = burn([(square, 7)], (40, 40), PLACE, crs=UTM)
    assert (values == 7).sum() == 100
    assert (values[10:20, 5:15] == 7).all()
