"""Reading rasters: masks, alpha, sparse blocks, mosaics, damage."""

from __future__ import annotations

import time

import numpy as np
import pytest
from osgeo import gdal, osr

from geodl_plugin.core.errors import RasterError
from geodl_plugin.core.geo.crs import same_crs
from geodl_plugin.core.geo.grid import GeoTransform, Window
from geodl_plugin.core.geo.mosaic import write_mosaic
from geodl_plugin.core.geo.raster import Raster
from geodl_plugin.core.geo.raster_writer import write_chip


def write(path, array, nodata=None, origin=(0.0, 0.0), options=(), epsg=32612):
    bands, rows, cols = array.shape
    kind = {"uint8": gdal.GDT_Byte, "uint16": gdal.GDT_UInt16, "float32": gdal.GDT_Float32}
    dataset = gdal.GetDriverByName("GTiff").Create(
        str(path), cols, rows, bands, kind[array.dtype.name], list(options)
    )
    dataset.SetGeoTransform((origin[0], 1, 0, origin[1], 0, -1))
    if epsg:
        reference = osr.SpatialReference()
        reference.ImportFromEPSG(epsg)
        dataset.SetSpatialRef(reference)
    for index in range(bands):
        if nodata is not None:
            dataset.GetRasterBand(index + 1).SetNoDataValue(nodata)
        dataset.GetRasterBand(index + 1).WriteArray(array[index])
    dataset = None
    return str(path)


@pytest.fixture
def numbers():
    return np.arange(1, 2 * 30 * 40 + 1, dtype=np.uint16).reshape(2, 30, 40)


def test_a_window_may_reach_beyond_the_raster(tmp_path, numbers):
    with Raster.open(write(tmp_path / "a.tif", numbers)) as raster:
        block = raster.read(Window(-5, -3, 20, 10))
    assert block.valid.sum() == 15 * 7
    assert (block.pixels[:, 3:, 5:] == numbers[:, :7, :15]).all()
    assert not block.pixels[:, :3].any()


def test_bands_are_chosen_by_index(tmp_path, numbers):
    with Raster.open(write(tmp_path / "a.tif", numbers)) as raster:
        block = raster.read(raster.window, [1, 0])
    assert (block.pixels == numbers[::-1]).all()


def test_a_pixel_without_data_in_one_band_only_is_a_pixel(tmp_path):
    array = np.ones((2, 4, 4), np.uint8)
    array[0, 0, 0] = 0
    array[:, 1, 1] = 0
    with Raster.open(write(tmp_path / "a.tif", array, nodata=0)) as raster:
        valid = raster.read(raster.window).valid
    assert valid[0, 0]
    assert not valid[1, 1]
    assert valid.sum() == 15


@pytest.mark.parametrize("nodata", [-9999.0, -3.4028234663852886e38, 1e6])
@pytest.mark.parametrize("bands", [2, 130])
def test_a_value_that_is_never_measured_is_no_data_of_the_bands_that_are_read(
    tmp_path, nodata, bands
):
    """It went into networks where another band had data, and was classified."""
    array = np.ones((bands, 4, 4), np.float32)
    array[0, 0, 0] = nodata
    array[1, 1, :] = nodata
    with Raster.open(write(tmp_path / "a.tif", array, nodata=nodata)) as raster:
        for chosen, known in (([0], 15), ([1], 12), ([1, 0], 11), (None, 11)):
            block = raster.read(raster.window, chosen)
            assert block.valid.sum() == known
            assert (block.pixels[:, block.valid] == 1).all()
            assert not block.pixels[:, ~block.valid].any()
        assert raster.reduced(4, [0]).valid.sum() == 15
        assert raster.reduced(4, [0, 1]).valid.sum() == 11


def test_no_data_values_of_all_bands_together_are_a_mask(tmp_path):
    """Such a file, of gdalwarp for one, was refused in no sentence."""
    array = np.ones((3, 4, 4), np.float32)
    array[0, 0, 0] = -1
    array[:, 1, 1] = -1, -2, -3
    path = write(tmp_path / "a.tif", array)
    dataset = gdal.Open(str(path), gdal.GA_Update)
    dataset.SetMetadataItem("NODATA_VALUES", "-1 -2 -3")
    dataset = None
    with Raster.open(path) as raster:
        for found in (raster.read(raster.window, [1, 2]), raster.reduced(4, [2])):
            assert not found.valid[1, 1]
            assert found.valid.sum() == 15


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, -3.4028235e38, -3.4028230607371e38, 1e38])
def test_what_is_no_measured_number_is_no_data(tmp_path, odd):
    """The extremes of a type are no data of other programs, which often do not declare it."""
    array = np.full((1, 4, 4), -1e20, np.float32)
    array[0, 2, 2] = odd
    with Raster.open(write(tmp_path / "a.tif", array)) as raster:
        block = raster.read(raster.window)
        small = raster.reduced(2, [0])
    assert block.valid.sum() == 15
    assert block.pixels[0, 2, 2] == 0
    assert small.valid.tolist() == [[True, True], [True, False]]


def test_alpha_is_a_mask_and_no_band(tmp_path):
    array = np.full((4, 8, 8), 255, np.uint8)
    array[3, :4] = 0
    with Raster.open(write(tmp_path / "a.tif", array, options=["ALPHA=YES"])) as raster:
        assert raster.band_count == 3
        assert raster.read(raster.window).valid.sum() == 32


def test_absent_blocks_are_known_to_be_empty_without_reading(tmp_path):
    path = tmp_path / "sparse.tif"
    dataset = gdal.GetDriverByName("GTiff").Create(
        str(path), 2048, 2048, 1, gdal.GDT_Byte, ["TILED=YES", "SPARSE_OK=TRUE"]
    )
    dataset.GetRasterBand(1).SetNoDataValue(0)
    dataset.GetRasterBand(1).WriteArray(np.ones((10, 10), np.uint8), 1500, 1500)
    dataset = None
    with Raster.open(str(path)) as raster:
        assert raster.is_empty(Window(0, 0, 512, 512))
        assert not raster.is_empty(Window(1400, 1400, 256, 256))
        assert raster.is_empty(Window(5000, 0, 10, 10))


def test_absent_blocks_without_a_no_data_value_are_black_pixels(tmp_path):
    path = tmp_path / "sparse.tif"
    options = ["TILED=YES", "SPARSE_OK=TRUE"]
    gdal.GetDriverByName("GTiff").Create(str(path), 512, 512, 1, gdal.GDT_Byte, options)
    with Raster.open(str(path)) as raster:
        assert not raster.is_empty(raster.window)
        assert raster.read(raster.window).valid.all()


def test_several_rasters_are_one_mosaic_with_gaps_known(tmp_path, numbers):
    one = write(tmp_path / "one.tif", numbers, origin=(0, 100))
    other = write(tmp_path / "other.tif", numbers, origin=(60, 100))
    with Raster.open([one, other]) as mosaic:
        assert (mosaic.width, mosaic.height, mosaic.band_count) == (100, 30, 2)
        block = mosaic.read(mosaic.window)
        assert (block.pixels[:, :, :40] == numbers).all()
        assert (block.pixels[:, :, 60:] == numbers).all()
        assert not block.valid[:, 40:60].any()
        assert block.valid.sum() == 2 * 30 * 40
        assert (mosaic.reopen().read(Window(60, 0, 5, 5)).pixels == numbers[:, :5, :5]).all()


def test_rasters_that_do_not_fit_together_are_refused(tmp_path, numbers):
    one = write(tmp_path / "one.tif", numbers)
    other = write(tmp_path / "other.tif", numbers[:1])
    with pytest.raises(RasterError, match=r"'one\.tif' has 2 bands and 'other\.tif' has 1"):
        Raster.open([one, other])
    elsewhere = write(tmp_path / "elsewhere.tif", numbers, epsg=32613)
    with pytest.raises(RasterError, match="different coordinate reference systems"):
        Raster.open([one, elsewhere])


def test_no_raster_of_a_mosaic_is_left_out(tmp_path):
    grey = np.full((3, 30, 40), 9, np.uint8)
    clear = np.concatenate([grey + 1, np.full((1, 30, 40), 255, np.uint8)])
    clear[3, :5] = 0
    one = write(tmp_path / "one & ü.tif", clear, options=["PHOTOMETRIC=RGB", "ALPHA=YES"])
    other = write(tmp_path / "other.tif", grey, origin=(40, 0))
    gaps = write(tmp_path / "gaps.tif", np.where(np.arange(40) < 10, 0, grey), 0, (80, 0))
    for paths in ([one, other, gaps], [gaps, other, one]):
        with Raster.open(paths) as mosaic:
            block = mosaic.read(mosaic.window)
        assert block.pixels.shape == (3, 30, 120)
        assert block.valid.sum() == 3 * 30 * 40 - 5 * 40 - 10 * 30
        assert (block.pixels[:, 10, 0] == 10).all() and (block.pixels[:, 10, 45] == 9).all()
    deep = write(tmp_path / "deep.tif", grey.astype(np.uint16), origin=(40, 0))
    with pytest.raises(RasterError, match=r"'deep\.tif' cannot be joined .* as a batch"):
        Raster.open([other, deep])


def without_system(path, other_words=""):
    dataset = gdal.Open(str(path), gdal.GA_Update)
    dataset.SetProjection(other_words)
    dataset = None
    return str(path)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("words", ["", "WKT1_ESRI"])
def test_a_raster_without_a_system_is_part_of_a_mosaic(tmp_path, order, words):
    """GDAL left it out, and out of the raster that joins results without a word."""
    one = write(tmp_path / "one.tif", np.full((1, 30, 40), 1, np.uint8), 255)
    other = write(tmp_path / "other.tif", np.full((1, 30, 40), 2, np.uint8), 255, (40, 0))
    system = gdal.Open(one).GetSpatialRef()
    without_system(other, system.ExportToWkt(["FORMAT=WKT1_ESRI"]) if words else "")
    paths = [(one, other)[place] for place in order]
    write_mosaic(paths, str(tmp_path / "all.vrt"))
    for source in (paths, str(tmp_path / "all.vrt")):
        with Raster.open(source) as mosaic:
            assert same_crs(mosaic.crs, system.ExportToWkt()) and mosaic.crs
            pixels = mosaic.read(mosaic.window).pixels[0]
        assert (pixels[:, :40] == 1).all() and (pixels[:, 40:] == 2).all()
    turned = write(tmp_path / "turned.tif", np.full((1, 30, 40), 3, np.uint8))
    gdal.Open(turned, gdal.GA_Update).SetGeoTransform((0, 0.8, 0.6, 0, 0.6, -0.8))
    with pytest.raises(RasterError, match=r"all\.vrt' cannot be written: .*turned"):
        write_mosaic([*paths, turned], str(tmp_path / "all.vrt"))
    assert Raster.open(str(tmp_path / "all.vrt")).width == 80
    assert len(list(tmp_path.glob("*.vrt*"))) == len(list(tmp_path.glob(".*"))) + 1 == 1


def test_a_new_mosaic_is_not_shown_by_the_overviews_of_an_earlier_one(tmp_path):
    output = tmp_path / "all.vrt"
    for value in (1, 2):
        one = write(tmp_path / f"{value}.tif", np.full((1, 64, 64), value, np.uint8), 255)
        write_mosaic([one], str(output))
        with Raster.open(str(output)) as mosaic:
            assert (mosaic.reduced(8, [0]).pixels == value).all()
        gdal.Open(str(output)).BuildOverviews("NEAREST", [8])
        gdal.Info(str(output), computeMinMax=True, stats=True)
        assert (tmp_path / "all.vrt.ovr").exists()


def test_no_raster_is_left_out_where_gdal_raises_exceptions(tmp_path, numbers, raising):
    one = write(tmp_path / "one.tif", numbers.astype(np.uint8))
    deep = write(tmp_path / "deep.tif", numbers.astype(np.uint16), origin=(40, 0))
    with pytest.raises(RasterError, match=r"'deep\.tif' cannot be joined .*type.* as a batch"):
        Raster.open([one, deep])


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (0, 2, 1)])
@pytest.mark.parametrize("exceptions", [False, True])
def test_no_raster_in_the_middle_is_left_out(tmp_path, numbers, request, order, exceptions):
    """GDAL tells of it by a warning, which the next raster that fits clears away."""
    if exceptions:
        request.getfixturevalue("raising")
    kinds = (np.uint8, np.uint16, np.uint8)
    made = [
        write(tmp_path / f"{place}.tif", numbers.astype(kind), origin=(40 * place, 0))
        for place, kind in enumerate(kinds)
    ]
    with pytest.raises(
        RasterError, match=r"tif' cannot be joined to .*type.* as a batch"
    ) as raised:
        Raster.open([made[place] for place in order])
    assert "'1.tif'" in str(raised.value) and "/" not in str(raised.value)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(
    ("across", "down", "reason"),
    [
        ((1, 0), (0, 1), "is not stored north up"),
        ((-1, 0), (0, -1), "is not stored north up"),
        ((0.8, 0.6), (0.6, -0.8), "is turned"),
        (None, None, "has no georeference"),
    ],
)
def test_what_gdal_cannot_place_is_named(tmp_path, numbers, place, across, down, reason):
    """GDAL left it out without a word, or made a mosaic of a negative size."""
    paths = []
    for number in range(3):
        paths.append(write(tmp_path / f"{number}.tif", numbers, origin=(40 * number, 0)))
    dataset = gdal.Open(paths[place], gdal.GA_Update)
    if across is None:
        dataset = None
        plain = str(tmp_path / f"{place}.png")
        gdal.Translate(plain, paths[place], format="PNG", creationOptions=["WORLDFILE=NO"])
        (tmp_path / f"{place}.png.aux.xml").unlink()
        paths[place] = plain
    else:
        dataset.SetGeoTransform((0, *across, 0, *down))
        dataset = None
    with pytest.raises(RasterError, match=f"'{place}.* {reason}.*as a batch"):
        Raster.open(paths)


@pytest.mark.parametrize("nodata", [None, 0])
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0)])
def test_bands_that_do_not_tell_their_colours_join_those_that_do(tmp_path, nodata, order):
    """Photographs of one flight, of which some were written by another program."""
    paths = [
        write(
            tmp_path / f"{place}.tif",
            np.full((3, 30, 40), place + 1, np.uint8),
            nodata,
            (40 * place, 0),
            [f"PHOTOMETRIC={'MINISBLACK' if place == 1 else 'RGB'}"],
        )
        for place in range(3)
    ]
    with Raster.open([paths[place] for place in order]) as mosaic:
        block = mosaic.read(mosaic.window)
        assert mosaic.band_names == ("Red", "Green", "Blue")
    assert block.valid.all()
    assert (block.pixels == np.repeat([1, 2, 3], 40)).all()


def test_bands_in_another_order_are_not_joined(tmp_path):
    array = np.ones((3, 30, 40), np.uint8)
    paths = []
    for place, colors in enumerate(((3, 4, 5), (5, 4, 3), (3, 4, 5))):
        paths.append(write(tmp_path / f"{place}.tif", array, origin=(40 * place, 0)))
        dataset = gdal.Open(paths[-1], gdal.GA_Update)
        for number, color in enumerate(colors, 1):
            dataset.GetRasterBand(number).SetColorInterpretation(color)
        dataset = None
    with pytest.raises(RasterError, match=r"'1\.tif' cannot be joined .*color interpretation"):
        Raster.open(paths)


@pytest.mark.parametrize("below", ["value", "colours"])
def test_what_is_no_number_does_not_cover_rasters_that_tell_their_gaps_otherwise(tmp_path, below):
    low = np.full((3, 30, 40), 1, np.float32)
    top = np.full((3, 30, 40), 2, np.float32)
    top[:, :5], top[1, 5:10] = np.nan, np.nan
    value = -9999 if below == "value" else None
    paths = [write(tmp_path / "low.tif", low, value), write(tmp_path / "top.tif", top)]
    if below == "colours":
        paths[1] = write(tmp_path / "top.tif", top, options=["PHOTOMETRIC=RGB"])
    with Raster.open(paths) as mosaic:
        block = mosaic.read(mosaic.window)
    assert block.valid.all()
    assert (block.pixels[:, :10] == 1).all() and (block.pixels[:, 10:] == 2).all()


@pytest.mark.parametrize(("value", "kept"), [(-9999, 1), (0, 2)])
def test_a_value_that_is_never_data_takes_the_whole_pixel_in_a_mosaic_too(tmp_path, value, kept):
    low = np.full((2, 30, 40), 1, np.float32)
    top = np.full((2, 30, 40), 2, np.float32)
    top[1, :5] = value
    paths = [write(tmp_path / "low.tif", low), write(tmp_path / "top.tif", top, value)]
    with Raster.open(paths) as mosaic:
        block = mosaic.read(mosaic.window)
    assert block.valid.all()
    assert (block.pixels[0, :5] == kept).all() and (block.pixels[:, 5:] == 2).all()


def write_masked(path, array, rows, origin=(0, 0)):
    write(path, array, origin=origin)
    dataset = gdal.Open(str(path), gdal.GA_Update)
    dataset.CreateMaskBand(gdal.GMF_PER_DATASET)
    mask = np.full(array.shape[1:], 255, np.uint8)
    mask[rows] = 0
    dataset.GetRasterBand(1).GetMaskBand().WriteArray(mask)
    return str(path)


@pytest.mark.parametrize("bands", [1, 2, 3, 5])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_gaps_of_every_raster_of_a_mosaic_are_known(tmp_path, bands, kind):
    grey = np.full((bands, 30, 40), 9, kind)
    holes = np.where(np.arange(30)[:, None] < 10, 255, grey + 1).astype(kind)
    plain = write(tmp_path / "plain.tif", grey)
    valued = write(tmp_path / "valued.tif", holes, 255, (40, 0))
    masked = write_masked(tmp_path / "masked.tif", grey + 2, slice(0, 5), (80, 0))
    for paths in ([plain, valued, masked], [masked, valued, plain], [valued, plain, masked]):
        with Raster.open(paths) as mosaic:
            block = mosaic.read(mosaic.window)
            assert mosaic.band_count == bands
        values, counts = np.unique(block.pixels[-1][block.valid], return_counts=True)
        assert dict(zip(values, counts)) == {9: 1200, 10: 800, 11: 1000}
    # What has no data covers nothing, wherever it lies in the pile.
    over = write(tmp_path / "over.tif", holes, 255)
    for paths, above in (([plain, over], 10), ([over, plain], 9)):
        with Raster.open(paths) as mosaic:
            block = mosaic.read(mosaic.window)
        assert block.valid.all()
        assert (block.pixels[:, :10] == 9).all() and (block.pixels[:, 10:] == above).all()


@pytest.mark.parametrize("bands", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_what_is_transparent_covers_nothing_in_a_mosaic(tmp_path, bands, kind):
    """GDAL takes an alpha band for a mask beside one or three others of whole numbers alone."""
    options = ("ALPHA=NO", "PHOTOMETRIC=MINISBLACK")
    below = np.full((bands + 1, 40, 40), 20, kind)
    above = np.zeros_like(below)
    below[-1] = 255
    above[:-1, :, 20:], above[-1, :, 20:] = 10, 255
    paths = []
    for name, array, left in (("below.tif", below, 0), ("above.tif", above, 20)):
        paths.append(write(tmp_path / name, array, None, (left, 0), options))
        dataset = gdal.Open(paths[-1], gdal.GA_Update)
        dataset.GetRasterBand(bands + 1).SetColorInterpretation(gdal.GCI_AlphaBand)
        dataset = None
    with Raster.open(paths) as mosaic:
        assert mosaic.band_count == bands
        block = mosaic.read(mosaic.window)
    assert block.valid.all()
    assert (block.pixels[:, :, :40] == 20).all() and (block.pixels[:, :, 40:] == 10).all()


def test_what_is_no_number_covers_nothing_in_a_mosaic(tmp_path):
    below = np.full((2, 40, 40), 20, np.float32)
    above = np.full((2, 40, 40), 10, np.float32)
    above[:, :, :20] = np.nan
    above[0, 39, 39] = np.nan
    paths = [
        write(tmp_path / "below.tif", below),
        write(tmp_path / "above.tif", above, None, (20, 0)),
    ]
    with Raster.open(paths) as mosaic:
        block = mosaic.read(mosaic.window)
    assert block.valid[:-1].all() and block.valid.sum() == 40 * 60 - 1
    assert (block.pixels[:, :, :40] == 20).all()
    # Rasters that lie apart have no data in between.
    apart = [paths[0], write(tmp_path / "far.tif", below, None, (60, 0))]
    with Raster.open(apart) as mosaic:
        assert mosaic.read(mosaic.window).valid.sum() == 2 * 40 * 40
        assert mosaic.is_blank(Window(42, 0, 10, 40))


def test_values_without_data_of_one_raster_are_data_of_another(tmp_path):
    black = np.zeros((2, 30, 40), np.uint8)
    white = np.full((2, 30, 40), 255, np.uint8)
    white[0, 3, 4] = 7  # data in the first band alone
    black[1, 5, 6] = 7  # and in the second
    paths = [
        write(tmp_path / "white.tif", black, 255),
        write(tmp_path / "black.tif", white, 0, (40, 0)),
        write(tmp_path / "none.tif", black, 0, (80, 0)),
        write(tmp_path / "void.tif", white, 255, (120, 0)),
    ]
    with Raster.open(paths) as mosaic:
        block = mosaic.read(mosaic.window)
    assert block.valid[:, :80].all() and block.valid[:, 80:].sum() == 2
    assert block.pixels[:, 5, 86].tolist() == [0, 7]
    assert block.pixels[:, 3, 124].tolist() == [7, 255]


def test_a_missing_file_and_a_text_are_named(tmp_path):
    with pytest.raises(RasterError, match="There is no file"):
        Raster.open(str(tmp_path / "no.tif"))
    text = tmp_path / "text.tif"
    text.write_text("no raster")
    with pytest.raises(RasterError, match="cannot be opened as a raster"):
        Raster.open(str(text))


def test_a_truncated_file_names_the_place(tmp_path):
    array = np.random.default_rng(1).integers(0, 255, (1, 600, 600)).astype(np.uint8)
    path = write(tmp_path / "cut.tif", array)
    content = (tmp_path / "cut.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(content[: len(content) // 2])
    with Raster.open(path) as raster, pytest.raises(RasterError, match=r"column 0, row"):
        raster.read(Window(0, 0, 600, 600))


@pytest.mark.parametrize("interleave", ["PIXEL", "BAND"])
def test_hundreds_of_bands_are_read_in_a_moment(tmp_path, interleave):
    array = np.random.default_rng(2).integers(1, 60000, (300, 64, 96)).astype(np.uint16)
    array[:, 3, 5] = 0
    array[7, 4, 4] = 0
    options = [f"INTERLEAVE={interleave}", "COMPRESS=LZW"]
    with Raster.open(write(tmp_path / "many.tif", array, 0, options=options)) as raster:
        began = time.thread_time()
        block = raster.read(Window(-4, 0, 60, 64))
        # Band by band GDAL unpacks the whole file 300 times, and for the masks again.
        assert time.thread_time() - began < 1
        some = raster.read(Window(0, 0, 56, 64), [299, 7])
    assert (block.pixels[:, :, 4:] == array[:, :, :56]).all()
    assert not block.valid[:, :4].any() and not block.valid[3, 9] and block.valid[4, 8]
    assert block.valid.sum() == 56 * 64 - 1
    assert (some.pixels == array[[299, 7], :, :56]).all()


@pytest.mark.parametrize("row_y", [-1.0, 1.0])
def test_other_cells_show_the_same_place(tmp_path, row_y):
    values = np.repeat(np.repeat(np.arange(1, 31, dtype=np.uint8).reshape(5, 6), 8, 0), 8, 1)
    place = GeoTransform(100.0, 1.0, 0.0, 200.0, 0.0, row_y)
    write_chip(tmp_path / "a.tif", values[None], place, "")
    with Raster.open(tmp_path / "a.tif") as raster, raster.with_cells(0.5) as finer:
        assert finer.geotransform == GeoTransform(100.0, 0.5, 0.0, 200.0, 0.0, row_y / 2)
        block = finer.read(finer.window)
    assert block.valid.all()
    # The middle of each patch; between them it is interpolated.
    assert (block.pixels[0, 8::16, 8::16] == values[4::8, 4::8]).all()


def test_control_points_alone_are_no_place(tmp_path, numbers):
    path = write(tmp_path / "scan.tif", numbers)
    with Raster.open(path) as raster:
        assert raster.placed() is raster
    image = gdal.GetDriverByName("MEM").Create("", 40, 30, 1)
    photo = str(tmp_path / "photo.png")
    gdal.GetDriverByName("PNG").CreateCopy(photo, image)
    with Raster.open(photo) as raster:
        assert raster.placed() is raster, "a photo lies nowhere, and need not"
    points = [gdal.GCP(col + 500, 900 - row, 0, col, row) for col, row in ((0, 0), (9, 0), (0, 9))]
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32612)
    image.SetGCPs(points, reference.ExportToWkt())
    scan = str(tmp_path / "scan.tif")
    gdal.GetDriverByName("GTiff").CreateCopy(scan, image)
    with Raster.open(scan) as raster:
        assert raster.read(raster.window).valid.all(), "its pixels can be learnt from"
        with pytest.raises(RasterError, match=r"'scan\.tif' is placed by control points only\. W"):
            raster.placed()


@pytest.mark.parametrize(
    "size, sentence",
    [
        (30.0, r"0\.04 × 0\.03 map units, of which CELL_SIZE=30 would make a single pixel"),
        (1e-12, r"CELL_SIZE=1e-12 would make more than 1,000,000,000 pixels a side"),
    ],
)
def test_a_cell_size_in_other_units_is_refused(tmp_path, size, sentence):
    """In degrees 30 metres made one pixel of a raster, whose class was that of all of it."""
    place = (11.0, 0.001, 0, 48.0, 0, -0.001)
    path = write(tmp_path / "a.tif", np.ones((1, 30, 40), np.uint8), epsg=4326)
    gdal.Open(path, gdal.GA_Update).SetGeoTransform(place)
    with Raster.open(path) as raster:
        with pytest.raises(RasterError, match=sentence):
            raster.with_cells(size)
        assert raster.with_cells(0.035).width == 1


def test_other_cells_without_a_georeference_are_one_sentence(tmp_path):
    path = str(tmp_path / "photo.png")
    image = gdal.GetDriverByName("MEM").Create("", 20, 20, 1)
    gdal.GetDriverByName("PNG").CreateCopy(path, image)
    with Raster.open(path) as raster, pytest.raises(RasterError, match=r"'photo\.png' has no"):
        raster.with_cells(0.5)
