"""Measures that areas without data cost nothing: 84 % of the raster has none.

A real U-Net on two rasters of one size: full, and with data in scattered patches, as an
orthomosaic has them. Both run in this process in turns, after loading; the best of two counts.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

SIDE, PATCH = 4096, 512
ROUNDS = 2


def patches() -> np.ndarray:
    """Return where there are data, in cells of ``PATCH`` pixels: one flight strip and a piece."""
    cells = np.zeros((SIDE // PATCH, SIDE // PATCH), bool)
    cells[2:3, :] = True
    cells[5:6, 2:4] = True
    return cells


def main() -> None:
    """Print the seconds of both rasters, their ratio and the share of data."""
    from geodl_plugin.core.inference import pixels
    from geodl_plugin.core.inference.checks import open_pixels
    from geodl_plugin.core.inference.engine import open_engine
    from geodl_plugin.core.inference.options import PixelOptions
    from geodl_plugin.core.progress import Progress
    from tests.qgis.models import write_untrained
    from tests.unit.inference.support import write_raster

    draw = np.random.default_rng(0)
    full = draw.integers(1, 255, (3, SIDE, SIDE), np.uint8)
    where = np.kron(patches(), np.ones((PATCH, PATCH), bool))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = write_untrained(folder / "unet.dlpk", "UNET", chip_size=256)
        options = ("TILED=YES", "COMPRESS=LZW")
        sources = {
            "full": write_raster(folder / "full.tif", full, nodata=0, options=options),
            "sparse": write_raster(folder / "some.tif", full * where, nodata=0, options=options),
        }
        seconds = {kind: float("inf") for kind in sources}
        engine = None
        for turn in range(ROUNDS + 1):  # the first one loads and compiles the network
            for kind, source in sources.items():
                options = PixelOptions(
                    [source], model, str(folder / f"{kind}-out.tif"), tile_size=256, padding=32
                )
                with open_pixels(options, Progress()) as job:
                    engine = engine or open_engine(job.model, options, Progress())
                    began = time.perf_counter()
                    pixels.classify(job, engine, options, Progress())
                    if turn:
                        seconds[kind] = min(seconds[kind], time.perf_counter() - began)
    print(f"full {seconds['full']:.1f} s, sparse {seconds['sparse']:.1f} s")
    ratio = seconds["sparse"] / seconds["full"]
    print(f"data {where.mean():.3f} of the raster, time {ratio:.3f} of the full one")


if __name__ == "__main__":
    main()
