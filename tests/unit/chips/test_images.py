from __future__ import annotations

import pytest
from osgeo import gdal

from geodl_plugin.core.chips.images import open_image
from geodl_plugin.core.errors import RasterError
from geodl_plugin.core.geo.dataset_facts import LISTING


@pytest.mark.parametrize("world", [".pgw", ".PGW", ".wld"])
def test_what_lies_beside_an_image_belongs_to_it(tmp_path, world):
    path = tmp_path / "größe 1.png"
    gray = gdal.GetDriverByName("MEM").Create("", 4, 3, 1, gdal.GDT_Byte)
    gray.GetRasterBand(1).SetNoDataValue(0)
    gdal.GetDriverByName("PNG").CreateCopy(str(path), gray)
    path.with_suffix(world).write_text("0.5\n0\n0\n-0.5\n500000.25\n4099999.75\n")
    notes = path.with_name(f"{path.name}.aux.xml")
    notes.write_text(
        "<PAMDataset><SRS>EPSG:32612</SRS><PAMRasterBand band='1'><Description>height"
        "</Description><NoDataValue>0</NoDataValue></PAMRasterBand></PAMDataset>"
    )
    with open_image(path) as image:
        assert gdal.GetThreadLocalConfigOption(LISTING) == "TRUE"
        assert image.geotransform.as_gdal() == (500000, 0.5, 0, 4100000, 0, -0.5)
        assert image.band_names == ("height",)
        assert not image.read(image.window).valid.any()
        assert "crs" not in vars(image)  # GDAL takes longer for it than for the pixels
        assert "UTM zone 12N" in image.crs
    assert "UTM zone 12N" in image.crs


def test_other_files_are_opened_as_before(tmp_path):
    before = gdal.GetThreadLocalConfigOption(LISTING)
    with pytest.raises(RasterError, match="no file"), open_image(tmp_path / "none.tif"):
        pass
    assert gdal.GetThreadLocalConfigOption(LISTING) == before
