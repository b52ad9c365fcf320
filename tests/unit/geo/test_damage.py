"""Damaged files: all but their damaged blocks is read, and each of these is told once."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from osgeo import gdal

from geodl_plugin.core.errors import RasterError
from geodl_plugin.core.geo.damage import read_around
from geodl_plugin.core.geo.grid import Window
from geodl_plugin.core.geo.pair import RasterPair
from geodl_plugin.core.geo.raster import Block, Raster
from tests.unit.inference.support import write_raster

Cells = Sequence[tuple[int, int]]


def damage(path: str | Path, *cells: tuple[int, int], band: int = 1, opened: str = "") -> None:
    """Overwrite blocks of a GeoTIFF, given as column and row of the block, with nonsense.

    Args:
        opened: as what GDAL opens the part of the file that has the blocks, a mask say.
    """
    dataset = gdal.Open(opened or str(path))
    stored = dataset.GetRasterBand(band)
    places = [
        [int(stored.GetMetadataItem(f"BLOCK_{what}_{col}_{row}", "TIFF")) for col, row in cells]
        for what in ("OFFSET", "SIZE")
    ]
    stored = dataset = None
    with Path(path).open("r+b") as file:
        for offset, size in zip(*places):
            file.seek(offset)
            file.write(b"\xff" * size)


def random_pixels(bands: int, rows: int, cols: int, kind: str = "uint8") -> np.ndarray:
    return np.random.default_rng(rows).integers(1, 250, (bands, rows, cols)).astype(kind)


def around(raster: Raster | RasterPair, window: Window) -> tuple[Block, list[Any]]:
    """Read a window and return what is told too: the places."""
    places: list[Any] = []

    def told(message: str, place: Hashable) -> None:
        assert "cannot be read at column" in message
        places.append(place)

    return read_around(raster, window, list(range(raster.band_count)), told), places


def blocks_of(cells: Cells, size: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """Return where blocks lie, as array ``(rows, cols)`` of a raster."""
    found = np.zeros(shape, bool)
    for col, row in cells:
        found[row * size[1] : (row + 1) * size[1], col * size[0] : (col + 1) * size[0]] = True
    return found


TILED = ("TILED=YES", "BLOCKXSIZE=32", "BLOCKYSIZE=16")
LAYOUTS: dict[str, tuple[int, tuple[str, ...], tuple[int, int]]] = {
    "tiles, pixel by pixel": (3, (*TILED, "COMPRESS=LZW"), (32, 16)),
    "tiles, band by band": (3, (*TILED, "COMPRESS=DEFLATE", "INTERLEAVE=BAND"), (32, 16)),
    "tiles, one band": (1, (*TILED, "COMPRESS=LZW"), (32, 16)),
    "tiles, many bands": (130, (*TILED, "COMPRESS=LZW"), (32, 16)),
    "tiles, many bands one by one": (130, (*TILED, "COMPRESS=LZW", "INTERLEAVE=BAND"), (32, 16)),
    "strips": (3, ("COMPRESS=LZW", "BLOCKYSIZE=7"), (100, 7)),
    "lines": (3, ("COMPRESS=DEFLATE", "BLOCKYSIZE=1"), (100, 1)),
    "tiles with alpha": (4, (*TILED, "COMPRESS=LZW", "ALPHA=YES"), (32, 16)),
}


@pytest.mark.parametrize("nodata", [None, 0])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_but_the_damaged_blocks_is_read(
    tmp_path: Path, layout: str, nodata: float | None
) -> None:
    bands, options, size = LAYOUTS[layout]
    pixels = random_pixels(bands, 90, 100)
    path = write_raster(tmp_path / "a.tif", pixels, nodata=nodata, options=options)
    cells = [(0, 0), (1, 2), (1, 3)] if size[0] < 100 else [(0, 0), (0, 5), (0, 6)]
    damage(path, *cells, band=min(bands, 2))
    hurt = blocks_of(cells, size, (90, 100))
    with Raster.open(path) as raster:
        with pytest.raises(RasterError, match="cannot be read at column 0, row 0"):
            raster.read(raster.window)
        block, places = around(raster, raster.window)
        known = pixels[: raster.band_count]
    assert (block.valid == ~hurt).all()
    assert (block.pixels == np.where(hurt, 0, known)).all()
    assert len(places) == len(set(places)) == 3


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_window_of_any_blocks(tmp_path: Path, data: st.DataObject) -> None:
    rows, cols = data.draw(st.integers(1, 90)), data.draw(st.integers(1, 90))
    if data.draw(st.booleans(), "tiled"):
        size = (16 * data.draw(st.integers(1, 3)), 16 * data.draw(st.integers(1, 3)))
        options = ["TILED=YES", f"BLOCKXSIZE={size[0]}"]
    else:
        size = (cols, data.draw(st.integers(1, rows)))
        options = []
    pixels = random_pixels(2, rows, cols)
    path = write_raster(
        tmp_path / "a.tif",
        pixels,
        options=(*options, f"BLOCKYSIZE={size[1]}", "COMPRESS=DEFLATE"),
    )
    count = math.ceil(cols / size[0]), math.ceil(rows / size[1])
    cell = st.tuples(st.integers(0, count[0] - 1), st.integers(0, count[1] - 1))
    cells = data.draw(st.lists(cell, max_size=8, unique=True))
    damage(path, *cells)
    window = Window(
        data.draw(st.integers(-40, cols)),
        data.draw(st.integers(-40, rows)),
        data.draw(st.integers(1, 130)),
        data.draw(st.integers(1, 130)),
    )
    with Raster.open(path) as raster:
        inside = window.intersection(raster.window)
        block, places = around(raster, window)
    expected = np.zeros((window.height, window.width), bool)
    image = np.zeros((2, window.height, window.width), np.uint8)
    if inside is not None:
        whole = ~blocks_of(cells, size, (rows, cols))
        here, there = inside.slices(window), inside.slices(Window(0, 0, cols, rows))
        expected[here] = whole[there]
        image[(slice(None), *here)] = np.where(whole, pixels, 0)[(slice(None), *there)]
    assert (block.valid == expected).all()
    assert (block.pixels == image).all()
    assert len(places) == len(set(places)) <= len(cells)
    assert bool(places) == (inside is not None and not whole[there].all())


@pytest.mark.parametrize("inner", [True, False])
def test_a_damaged_mask_costs_only_its_block(tmp_path: Path, inner: bool) -> None:
    path = str(tmp_path / "a.tif")
    options = ("TILED=YES", "BLOCKXSIZE=32", "BLOCKYSIZE=32", "COMPRESS=DEFLATE")
    wanted = np.full((96, 96), 255, np.uint8)
    wanted[:, 80:] = 0
    pixels = random_pixels(2, 96, 96)
    write_raster(tmp_path / "a.tif", pixels, options=options)
    gdal.SetConfigOption("GDAL_TIFF_INTERNAL_MASK", "YES" if inner else "NO")
    try:
        dataset = gdal.Open(path, gdal.GA_Update)
        dataset.CreateMaskBand(gdal.GMF_PER_DATASET)
        dataset.GetRasterBand(1).GetMaskBand().WriteArray(wanted)
        dataset = None
    finally:
        gdal.SetConfigOption("GDAL_TIFF_INTERNAL_MASK", None)
    where = path if inner else f"{path}.msk"
    mask = gdal.Open(f"GTIFF_DIR:2:{path}" if inner else where)
    size = tuple(mask.GetRasterBand(1).GetBlockSize())
    mask = None
    assert size == (32, 32)
    damage(where, (1, 1), opened=f"GTIFF_DIR:2:{path}" if inner else "")
    with Raster.open(path) as raster:
        block, places = around(raster, raster.window)
    expected = wanted > 0
    expected[32:64, 32:64] = False
    assert (block.valid == expected).all()
    assert (block.pixels == np.where(expected, pixels, 0)).all()
    assert len(places) == 1


def test_of_a_mosaic_only_the_damaged_file_loses(tmp_path: Path) -> None:
    options = ("TILED=YES", "BLOCKXSIZE=128", "BLOCKYSIZE=128", "COMPRESS=LZW")
    pixels = random_pixels(3, 256, 256)
    place = (500000.0, 1.0, 0.0, 4100000.0, 0.0, -1.0)
    beside = (500256.0, *place[1:])
    one = write_raster(tmp_path / "a.tif", pixels, place, options=options)
    two = write_raster(tmp_path / "b.tif", pixels, beside, options=options)
    joined = str(tmp_path / "ab.vrt")
    gdal.BuildVRT(joined, [one, two]).FlushCache()
    damage(two, (1, 0))
    expected = np.ones((256, 512), bool)
    expected[:128, 384:] = False
    for source in ([one, two], joined):
        with Raster.open(source) as raster:
            block, places = around(raster, raster.window)
        assert (block.valid == expected).all()
        assert (block.pixels == np.where(expected, np.tile(pixels, 2), 0)).all()
        assert len(places) == 1
    Path(two).unlink()
    with Raster.open(joined) as raster:
        block, _ = around(raster, raster.window)
    assert block.valid[:, :256].all() and not block.valid[:, 256:].any()


def test_of_a_resampled_raster_its_own_blocks_are_lost(tmp_path: Path) -> None:
    options = ("TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=64", "COMPRESS=LZW")
    source = write_raster(tmp_path / "a.tif", random_pixels(1, 256, 256), options=options)
    with Raster.open(source) as raster, raster.with_cells(0.25) as finer:
        whole = finer.read(finer.window)
    damage(source, (1, 1))
    with Raster.open(source) as raster, raster.with_cells(0.25) as finer:
        height = finer.block_size[1]
        block, _ = around(finer, finer.window)
        assert finer.block_size[0] >= 256 and height < 256
    lost = ~block.valid.any(axis=1)
    assert lost[128:256].all()
    # With a rim of one source pixel, which is interpolated.
    assert lost.sum() <= 128 + 2 * height and not lost[: 128 - height].any()
    assert (block.pixels == np.where(block.valid, whole.pixels, 0)).all()
    assert block.valid[~lost].all()


def test_of_two_dates_each_loses_its_own_blocks(tmp_path: Path) -> None:
    lines = ("COMPRESS=LZW", "BLOCKYSIZE=4")
    tiles = ("TILED=YES", "BLOCKXSIZE=32", "BLOCKYSIZE=32", "COMPRESS=LZW")
    pixels = random_pixels(1, 96, 96)
    first = write_raster(tmp_path / "a.tif", pixels, options=lines)
    second = write_raster(tmp_path / "b.tif", pixels + 1, options=tiles)
    damage(first, (0, 20))
    damage(second, (1, 1))
    with RasterPair(Raster.open(first), Raster.open(second)) as pair:
        block, places = around(pair, pair.window)
    expected = np.ones((96, 96), bool)
    expected[80:84] = False
    expected[32:64, 32:64] = False
    assert (block.valid == expected).all()
    assert (block.pixels == np.where(expected, np.concatenate([pixels, pixels + 1]), 0)).all()
    assert len(set(places)) == 2


def test_few_damaged_blocks_among_many_cost_few_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("TILED=YES", "BLOCKXSIZE=16", "BLOCKYSIZE=16", "COMPRESS=LZW")
    source = write_raster(tmp_path / "a.tif", random_pixels(1, 512, 512), options=options)
    damage(source, (9, 20))
    reads: list[Window] = []
    read = Raster.read

    def counted(self: Raster, window: Window, bands: Sequence[int] | None = None) -> Block:
        reads.append(window)
        return read(self, window, bands)

    monkeypatch.setattr(Raster, "read", counted)
    with Raster.open(source) as raster:
        block, _ = around(raster, raster.window)
    assert (~block.valid).sum() == 256
    assert len(reads) == 1 + 2 * 10  # of 1024 blocks
