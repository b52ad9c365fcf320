"""Several threads read one raster."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from geodl_plugin.core.geo.grid import Window
from geodl_plugin.core.geo.raster import Raster
from geodl_plugin.core.geo.raster_pool import RasterPool
from tests.unit.inference.support import write_raster

SIDE, STEP = 256, 32


class Watched(Raster):
    """Counts the threads that read at the same time."""

    reading, most = 0, 0
    lock = threading.Lock()

    def reopen(self) -> Watched:
        return Watched.open(self.sources)

    def read(self, *where):
        with self.lock:
            Watched.reading += 1
            Watched.most = max(Watched.most, Watched.reading)
        try:
            return super().read(*where)
        finally:
            with self.lock:
                Watched.reading -= 1


@pytest.mark.parametrize("handles", [1, 3])
def test_all_threads_get_their_pixels(tmp_path: Path, handles: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (3, SIDE, SIDE), np.uint8)
    options = ("TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=64", "COMPRESS=DEFLATE")
    source = write_raster(tmp_path / "a ü.tif", pixels, options=options)
    starts = range(-STEP, SIDE, STEP)
    windows = [Window(col, row, 2 * STEP, 2 * STEP) for row in starts for col in starts]
    Watched.most = 0
    with Watched.open(source) as raster, ThreadPoolExecutor(4) as threads:
        pool = RasterPool(raster, handles)
        raster.close()  # the handles are the pool's own
        found = list(threads.map(pool.read, windows * 4))
    padded = np.pad(pixels, ((0, 0), (STEP, 2 * STEP), (STEP, 2 * STEP)))
    for window, block in zip(windows * 4, found):
        row, col = window.row + STEP, window.col + STEP
        assert (block.pixels == padded[:, row : row + 2 * STEP, col : col + 2 * STEP]).all()
    assert 1 <= Watched.most <= handles


def test_a_handle_comes_back_from_a_failure(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.ones((1, SIDE, SIDE), np.uint8))
    with Raster.open(path) as raster:
        pool = RasterPool(raster, 1)
        with pytest.raises(IndexError):
            pool.read(Window(0, 0, 8, 8), [7])
        assert pool.read(Window(0, 0, 8, 8)).valid.all()
        assert not pool.is_blank(Window(0, 0, 8, 8)) and pool.is_blank(Window(SIDE, 0, 8, 8))
