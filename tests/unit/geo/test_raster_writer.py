"""Writing chips and class rasters."""

from __future__ import annotations

import numpy as np
import pytest
from osgeo import gdal

from geodl_plugin.core.errors import RasterError
from geodl_plugin.core.geo.grid import GeoTransform, Window
from geodl_plugin.core.geo.raster import Raster
from geodl_plugin.core.geo.raster_writer import ClassRasterWriter, write_chip
from geodl_plugin.core.geo.rasterize import burn
from geodl_plugin.core.geo.shapes import rectangle
from geodl_plugin.core.geo.vector import spatial_reference
from geodl_plugin.core.samples.schema import Schema

PLACE = GeoTransform(500000.0, 0.5, 0.0, 4000000.0, 0.0, -0.5)
UTM = spatial_reference("EPSG:32612").ExportToWkt()
SCHEMA = Schema.from_text("0:Ground:#808080;1:Tree:#22aa44;7:Büilding:#ff0000")


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.tif"
    write_chip(path, np.ones((3, 700, 900), np.uint8), PLACE, UTM)
    with Raster.open(path) as raster:
        yield raster


def test_a_class_raster_carries_names_colours_and_no_data(tmp_path, source):
    path = tmp_path / "blank [1] ü" / "classes.tif"
    values = np.arange(700 * 900).reshape(700, 900) % 3
    values = np.choose(values, [0, 1, 7])
    values[:50] = 255
    with ClassRasterWriter(path, source, SCHEMA) as writer:
        for window in (Window(0, 0, 512, 700), Window(512, 0, 388, 700)):
            writer.write(window, values[window.slices(source.window)])
        writer.finish()
    assert sorted(each.name for each in path.parent.iterdir()) == [
        "classes.tif",
        "classes.tif.aux.xml",
    ]
    dataset = gdal.Open(str(path))
    band = dataset.GetRasterBand(1)
    assert (band.ReadAsArray() == values).all()
    assert band.GetNoDataValue() == 255
    assert dataset.GetMetadata("IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    assert dataset.GetGeoTransform() == PLACE.as_gdal()
    assert band.GetColorTable().GetColorEntry(7)[:3] == (255, 0, 0)
    assert band.GetCategoryNames()[7] == "Büilding"
    table = band.GetDefaultRAT()
    assert [table.GetValueAsString(row, 1) for row in range(3)] == ["Ground", "Tree", "Büilding"]


def test_a_part_of_a_raster_keeps_its_place(tmp_path, source):
    part = Window(100, 50, 200, 100)
    with ClassRasterWriter(tmp_path / "part.tif", source, SCHEMA, part) as writer:
        writer.write(Window(64, 0, 512, 512), np.full((512, 512), 7))
        writer.finish()
    with Raster.open(tmp_path / "part.tif") as result:
        assert (result.width, result.height) == (200, 100)
        assert result.geotransform == PLACE.of_window(part)
        assert (result.read(result.window).pixels == 7).all()


def test_high_class_values_take_16_bits(tmp_path, source):
    schema = Schema.from_text("300:Rare:#010203")
    with ClassRasterWriter(tmp_path / "wide.tif", source, schema) as writer:
        writer.write(Window(0, 0, 900, 700), np.full((700, 900), 300))
        writer.finish()
    with Raster.open(tmp_path / "wide.tif") as result:
        assert result.dtype == np.uint16
        assert result.nodata == 65535
        assert (result.read(result.window).pixels == 300).all()


def test_an_aborted_writer_leaves_nothing(tmp_path, source):
    folder = tmp_path / "out"
    with pytest.raises(KeyError), ClassRasterWriter(folder / "a.tif", source, SCHEMA) as writer:
        writer.write(Window(0, 0, 10, 10), np.ones((10, 10)))
        raise KeyError
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(("kind", "suffix"), [("TIFF", ".tif"), ("PNG", ".png"), ("JPEG", ".jpg")])
def test_chips_keep_their_place(tmp_path, kind, suffix):
    path = tmp_path / f"chip{suffix}"
    pixels = np.full((3, 16, 20), 120, np.uint8)
    write_chip(path, pixels, PLACE, UTM, kind)
    with Raster.open(path) as chip:
        assert chip.geotransform.as_gdal() == pytest.approx(PLACE.as_gdal())
        assert "UTM zone 12" in chip.crs
        assert np.abs(chip.read(chip.window).pixels.astype(int) - 120).max() <= 1


def test_a_chip_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(RasterError, match="cannot be written"):
        write_chip(tmp_path / "no folder" / "a.tif", np.ones((1, 4, 4), np.uint8), PLACE, "")


def test_a_square_of_ten_pixels_burns_a_hundred():
    square = rectangle(500002.5, 3999990.0, 500007.5, 3999995.0)
    values = burn([(square, 7)], (40, 40), PLACE, crs=UTM)
    assert (values == 7).sum() == 100
    assert (values[10:20, 5:15] == 7).all()
