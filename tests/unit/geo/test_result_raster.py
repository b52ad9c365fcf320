"""Writing class rasters and probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from osgeo import gdal

from geodl_plugin.core.errors import RasterError
from geodl_plugin.core.geo import block_store, result_raster
from geodl_plugin.core.geo.crs import spatial_reference
from geodl_plugin.core.geo.grid import GeoTransform, Window
from geodl_plugin.core.geo.raster import Raster
from geodl_plugin.core.geo.raster_writer import write_chip
from geodl_plugin.core.geo.result_raster import ClassRasterWriter, ProbabilityWriter
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


def test_what_is_not_written_has_no_data(tmp_path, source):
    with ClassRasterWriter(tmp_path / "a.tif", source, SCHEMA) as writer:
        writer.write(Window(0, 0, 10, 10), np.ones((10, 10)))
        writer.finish()
    with Raster.open(tmp_path / "a.tif") as result:
        assert result.read(result.window).valid.sum() == 100


def test_what_a_killed_run_has_written_is_kept(tmp_path, source):
    path = tmp_path / "a.tif"
    first = ClassRasterWriter(path, source, SCHEMA, resume=True)
    first.write(Window(0, 0, 10, 10), np.ones((10, 10)))
    first.store.close()  # as the end of a process does
    with ClassRasterWriter(path, source, SCHEMA, resume=True) as second:
        assert second.store.resumed
        second.write(Window(10, 0, 10, 10), np.full((10, 10), 7))
        second.finish()
    with Raster.open(path) as result:
        row = result.read(Window(0, 0, 20, 1)).pixels[0, 0]
    assert row.tolist() == [1] * 10 + [7] * 10
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "a.tif", "a.tif.aux.xml", "source.tif",
    ]  # fmt: skip


def test_what_lay_beside_an_earlier_result_goes_with_it(tmp_path, source):
    path = tmp_path / "a.tif"
    statistics = "<PAMDataset><Metadata><MDI key='old'>1</MDI></Metadata></PAMDataset>"
    for suffix in (".aux.xml", ".ovr", ".msk"):
        (tmp_path / f"a.tif{suffix}").write_text(statistics)
    with ProbabilityWriter(path, source, ("Ground",)) as writer:
        writer.write(Window(0, 0, 4, 2), np.full((1, 2, 4), 30))
        writer.finish()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.tif", "source.tif"]
    assert gdal.Open(str(path)).GetMetadataItem("old") is None


def test_a_raster_that_is_whole_is_not_made_again(tmp_path, source, monkeypatch):
    path = tmp_path / "a.tif"
    first = ClassRasterWriter(path, source, SCHEMA, resume=True)
    first.write(Window(0, 0, 10, 10), np.ones((10, 10)))
    assert first.build().name == ".a.tif.unfinished.tif"
    first.store.close()
    assert not path.exists()
    monkeypatch.delattr(result_raster, "build_overviews")
    with ClassRasterWriter(path, source, SCHEMA, resume=True) as second:
        assert second.is_whole
        second.finish()
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "a.tif", "a.tif.aux.xml", "source.tif",
    ]  # fmt: skip


def test_probabilities_are_percent_by_class(tmp_path, source):
    with ProbabilityWriter(tmp_path / "p.tif", source, ("Ground", "Tree")) as writer:
        writer.write(Window(0, 0, 4, 2), np.stack([np.full((2, 4), 30), np.full((2, 4), 70)]))
        writer.finish()
    with Raster.open(tmp_path / "p.tif") as result:
        assert result.band_names == ("Ground", "Tree")
        block = result.read(Window(0, 0, 5, 1))
    assert block.pixels[:, 0].tolist() == [[30] * 4 + [0], [70] * 4 + [0]]
    assert block.valid[0].tolist() == [True] * 4 + [False]


def test_a_disk_without_room_is_told_before_anything_is_computed(tmp_path, source, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(block_store.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(RasterError, match=r"has 0\.0 GB of free space .* Make room"):
        ClassRasterWriter(tmp_path / "out" / "a.tif", source, SCHEMA)
    assert list((tmp_path / "out").iterdir()) == []
