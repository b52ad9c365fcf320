"""Measures reading training chips: as any raster is opened, and as one of many in a folder.

3,000 georeferenced chips of 64² pixels in three bands lie in one folder. Processor time, in turns,
in one process; what counts is the median of the rounds' ratios.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from geodl_plugin.core.chips.images import open_image
from geodl_plugin.core.geo.raster import Raster
from tests.unit.inference.support import write_raster

COUNT, SIDE, READ, ROUNDS = 3000, 64, 1000, 5


def whole(path: Path) -> None:
    """Read a chip with all that is known of a raster."""
    with Raster.open(path) as raster:
        assert raster.crs
        raster.read(raster.window)


def needed(path: Path) -> None:
    """Read a chip as a training does."""
    with open_image(path) as raster:
        raster.read(raster.window)


def milliseconds(read: Callable[[Path], None], chips: list[Path]) -> float:
    """Return the processor time of a chip."""
    began = time.process_time()
    for chip in chips:
        read(chip)
    return 1e3 * (time.process_time() - began) / len(chips)


def main() -> None:
    """Print the ratio."""
    pixels = np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        chips = [Path(folder) / f"{number:09d}.tif" for number in range(COUNT)]
        for chip in chips:
            write_raster(chip, pixels)
        rounds = [
            [milliseconds(read, chips[:READ]) for read in (whole, needed)] for _ in range(ROUNDS)
        ]
    ratio = statistics.median(before / after for before, after in rounds)
    before, after = (min(column) for column in zip(*rounds))
    print(
        f"a chip of a folder of {COUNT:,}: {before:.2f} ms as any raster, {after:.2f} ms as one of "
        f"many: {ratio:.1f} x as fast"
    )


if __name__ == "__main__":
    main()
