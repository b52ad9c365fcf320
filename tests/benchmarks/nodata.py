"""Measures that areas without data cost nothing: 84 % of the raster has none.

A real U-Net and a real SSD on two rasters of one size: full, and with data in scattered patches,
as an orthomosaic has them. Both run in this process in turns, after loading; the best of two
counts.

Usage: python tests/benchmarks/nodata.py [RASTER]
    With a raster of 8 bits the sparse one is that, and the full one has noise where it has no data.
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


def pictures(path: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return a full image ``(3, rows, cols)`` and where the sparse one has data."""
    from geodl_plugin.core.geo.raster import Raster

    draw = np.random.default_rng(0)
    if path is None:
        where = np.kron(patches(), np.ones((PATCH, PATCH), bool)).astype(bool)
        return draw.integers(1, 255, (3, *where.shape), np.uint8), where
    with Raster.open(path) as raster:
        block = raster.read(raster.window, (0, 1, 2))
    noise = draw.integers(1, 255, block.pixels.shape, np.uint8)
    return np.where(block.valid, block.pixels.clip(1), noise).astype(np.uint8), block.valid


def measure(task: str, sources: dict[str, str], folder: Path) -> dict[str, float]:
    """Return the seconds that a task takes with each of some rasters."""
    from geodl_plugin.core.inference import checks, detect, pixels
    from geodl_plugin.core.inference.loading import open_engine
    from geodl_plugin.core.inference.options import DetectionOptions, PixelOptions
    from geodl_plugin.core.progress import Progress
    from tests.qgis.models import write_untrained

    name, kind, options_of, open_job, work = {
        "Classify pixels": ("UNET", "tif", PixelOptions, checks.open_pixels, pixels.classify),
        "Detect objects": ("SSD", "gpkg", DetectionOptions, checks.open_detection, detect.detect),
    }[task]
    model = write_untrained(folder / f"{name}.dlpk", name, chip_size=256, backbone="resnet18")
    seconds = {raster: float("inf") for raster in sources}
    engine = None
    for turn in range(ROUNDS + 1):  # the first one loads and compiles the network
        for raster, source in sources.items():
            options = options_of([source], model, str(folder / f"{raster}-out.{kind}"))
            with open_job(options, Progress()) as job:
                engine = engine or open_engine(job.model, options, Progress())
                began = time.perf_counter()
                work(job, engine, options, Progress())
                if turn:
                    seconds[raster] = min(seconds[raster], time.perf_counter() - began)
    return seconds


def main() -> None:
    """Print for each task the seconds of both rasters, their ratio and the share of data."""
    from tests.unit.inference.support import write_raster

    path = sys.argv[1] if len(sys.argv) > 1 else None
    full, where = pictures(path)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = ("TILED=YES", "COMPRESS=LZW")
        sources = {
            "full": write_raster(folder / "full.tif", full, nodata=0, options=options),
            "sparse": path
            or write_raster(folder / "some.tif", full * where, nodata=0, options=options),
        }
        print(f"data {where.mean():.3f} of the raster")
        for task in ("Classify pixels", "Detect objects"):
            seconds = measure(task, sources, folder)
            print(
                f"{task}: full {seconds['full']:.1f} s, sparse {seconds['sparse']:.1f} s, "
                f"{seconds['sparse'] / seconds['full']:.3f} of the full one"
            )


if __name__ == "__main__":
    main()
