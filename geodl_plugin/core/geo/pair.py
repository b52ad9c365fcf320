"""Two rasters of one place at different dates, read as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import RasterError
from .crs import same_crs
from .grid import Window
from .raster import Block, Raster
from .shapes import bounds_window, window_bounds


def shared_window(first: Raster, second: Raster) -> Window:
    """Return the window of the first raster that the second one reaches.

    Raises:
        RasterError: when they have different systems or do not overlap.
    """
    if bool(first.crs) and bool(second.crs) and not same_crs(first.crs, second.crs):
        raise RasterError(
            f"'{first.name}' and '{second.name}' have different coordinate reference systems. "
            "Warp the second one to the system of the first."
        )
    reach = bounds_window(
        window_bounds(second.window, second.geotransform), first.geotransform, first.window
    )
    if reach is None:
        raise RasterError(
            f"'{first.name}' and '{second.name}' do not overlap. Choose two rasters of the "
            "same place."
        )
    return reach


class RasterPair:
    """Two rasters on the grid of the first; the bands of the second follow its own.

    It reads as :class:`~.raster.Raster` does, and counts the bands of one date. A pixel is valid
    where both have data.

    Raises:
        RasterError: when they do not overlap or cannot be brought to one grid.
    """

    def __init__(self, first: Raster, second: Raster) -> None:
        self._reach = shared_window(first, second)
        self._originals = (first, second)
        same = second.geotransform == first.geotransform and second.window == first.window
        if not same:
            second = second.on_grid(first.geotransform, first.width, first.height, bounded=True)
        self.dates = (first, second)
        self.sources = first.sources + second.sources
        self.name = first.name
        self.width, self.height = first.width, first.height
        self.window = first.window
        self.geotransform = first.geotransform
        self.crs = first.crs
        self.band_count = first.band_count
        self.band_names = first.band_names
        self.dtype = first.dtype
        self.nodata = first.nodata
        self.block_size = first.block_size

    def reopen(self) -> RasterPair:
        """Return another handle of the same rasters, for another thread."""
        return RasterPair(*(each.reopen() for each in self._originals))

    def close(self) -> None:
        """Let go of the files."""
        for each in (*self.dates, *self._originals):
            each.close()

    def __enter__(self) -> RasterPair:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def read(self, window: Window, bands: Sequence[int] | None = None) -> Block:
        """Read a window of both; ``bands`` are those of one date."""
        return self.joined(*(each.read(window, bands) for each in self.dates))

    def joined(self, first: Block, second: Block) -> Block:
        """Return as one what was read of one window at each date."""
        valid = first.valid & second.valid
        pixels = np.concatenate([first.pixels, second.pixels])
        if not valid.all():
            pixels[:, ~valid] = 0
        return Block(pixels, valid)

    def is_blank(self, window: Window) -> bool:
        """Return whether one of the two has no data in a window, as far as its masks tell."""
        if window.intersection(self._reach) is None:
            return True
        return any(each.is_blank(window) for each in self.dates)
