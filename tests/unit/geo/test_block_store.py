"""Rasters under construction."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from osgeo import gdal

from geodl_plugin.core.errors import CancelledError
from geodl_plugin.core.geo.block_store import BLOCK, BlockStore
from geodl_plugin.core.geo.grid import Window
from geodl_plugin.core.geo.plain_tiff import Directory
from geodl_plugin.core.progress import Progress

WIDTH, HEIGHT = 2 * BLOCK + 37, BLOCK + 5


@st.composite
def windows(draw):
    """A window inside the raster."""
    col, right = sorted(draw(st.lists(st.integers(0, WIDTH), min_size=2, max_size=2, unique=True)))
    row, bottom = sorted(
        draw(st.lists(st.integers(0, HEIGHT), min_size=2, max_size=2, unique=True))
    )
    return Window(col, row, right - col, bottom - row)


@given(st.lists(windows(), max_size=6), st.integers(1, 6), st.sampled_from(["u1", "u2"]))
def test_gdal_reads_what_was_written(tmp_path_factory, places, bands, dtype):
    store = BlockStore(
        tmp_path_factory.mktemp("store") / "a.pixels", WIDTH, HEIGHT, bands, np.dtype(dtype), 255
    )
    expected = np.full((bands, HEIGHT, WIDTH), 255, dtype)
    for number, window in enumerate(places):
        values = np.arange(bands * window.height * window.width) % 250 + number
        values = values.reshape(bands, window.height, window.width)
        expected[
            (slice(None), slice(window.row, window.bottom), slice(window.col, window.right))
        ] = values
        store.write(window, values)
    dataset = store.dataset()
    assert (dataset.RasterXSize, dataset.RasterYSize, dataset.RasterCount) == (WIDTH, HEIGHT, bands)
    assert (dataset.ReadAsArray().reshape(expected.shape) == expected).all()
    assert dataset.GetRasterBand(1).DataType == gdal.GetDataTypeByName(
        "Byte" if dtype == "u1" else "UInt16"
    )
    dataset = None
    store.remove()
    assert list(store.path.parent.iterdir()) == []


@pytest.mark.parametrize(("width", "height", "bands"), [(1, 1, 1), (BLOCK, BLOCK, 1), (300, 1, 70)])
def test_any_size_is_a_raster_that_gdal_opens_without_a_warning(width, height, bands, tmp_path):
    messages = []
    gdal.PushErrorHandler(lambda *message: messages.append(message))
    try:
        store = BlockStore(tmp_path / "a", width, height, bands, np.dtype("u1"), 7)
        assert (store.dataset().ReadAsArray() == 7).all()
        store.close()
    finally:
        gdal.PopErrorHandler()
    assert messages == []


def test_only_a_file_of_the_same_size_is_kept(tmp_path):
    first = BlockStore(tmp_path / "a", 200, 200, 1, np.dtype("u1"), 255)
    first.write(Window(0, 0, 10, 10), np.ones((1, 10, 10)))
    first.close()
    kept = BlockStore(tmp_path / "a", 200, 200, 1, np.dtype("u1"), 255, keep=True)
    assert kept.resumed
    assert kept.dataset().ReadAsArray(0, 0, 11, 1).tolist() == [[1] * 10 + [255]]
    kept.close()
    other = BlockStore(tmp_path / "a", 200, 300, 1, np.dtype("u1"), 255, keep=True)
    assert not other.resumed
    assert (other.dataset().ReadAsArray() == 255).all()
    other.close()


def test_a_cancel_while_it_is_filled_leaves_nothing(tmp_path):
    class Cancelled(Progress):
        def cancelled(self):
            return True

    with pytest.raises(CancelledError):
        BlockStore(tmp_path / "a", 200, 200, 1, np.dtype("u1"), 255, progress=Cancelled())
    assert list(tmp_path.iterdir()) == []


def test_a_directory_of_millions_of_tiles_takes_little_memory():
    head = Directory(300_000, 300_000, 1, 1, BLOCK)
    tracemalloc.start()
    try:
        assert sum(map(len, head.pieces())) == head.length > 60_000_000
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8_000_000
