"""Measures reading the tiles of a raster: by threads that share a handle, and with one each.

A raster of noise, 4,096², compressed by LZW in blocks of 256. Processor time, in turns, in one
process; what counts is the median of the rounds' ratios.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from geodl_plugin.core.geo.raster import Raster
from geodl_plugin.core.geo.raster_pool import RasterPool
from geodl_plugin.core.geo.raster_writer import limit_cache
from geodl_plugin.core.inference.pipeline import CACHE, READERS, read_ahead
from geodl_plugin.core.inference.tiles import TilePlan, TileReader
from tests.benchmarks.pixels import model, picture
from tests.unit.inference.support import write_raster

SIDE, STEP, ROUNDS = 4096, 32, 5
TILES = ((1024, 128), (512, 64))  # sides and paddings, in pixels


def seconds(source: str, size: int, padding: int, handles: int) -> float:
    """Return the processor time of reading all tiles."""
    with Raster.open(source) as raster:
        tiles = TilePlan(raster.window, raster.window, size, padding, STEP)
        pool = RasterPool(raster, handles)
        began = time.process_time()
        for _ in read_ahead(tiles, lambda: TileReader(pool, model())):
            pass
        return time.process_time() - began


def main() -> None:
    """Print the ratio for each kind of tiles."""
    limit_cache(CACHE)
    with tempfile.TemporaryDirectory() as folder:
        image, _ = picture(SIDE, 2)
        source = write_raster(
            Path(folder) / "noise.tif", image, options=("TILED=YES", "COMPRESS=LZW")
        )
        for size, padding in TILES:
            rounds = [
                [seconds(source, size, padding, handles) for handles in (1, READERS)]
                for _ in range(ROUNDS)
            ]
            ratio = statistics.median(one / each for one, each in rounds)
            one, each = (1e9 * min(column) / SIDE**2 for column in zip(*rounds))
            print(
                f"tiles of {size}, padding {padding}: {one:.0f} ns a pixel with one handle, "
                f"{each:.0f} ns with one for each thread: {ratio:.2f} of the time",
                flush=True,
            )


if __name__ == "__main__":
    main()
