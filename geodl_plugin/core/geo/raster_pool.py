"""A raster for several threads."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .grid import Window
from .raster import Block, Raster

if TYPE_CHECKING:
    from .pair import RasterPair


class RasterPool:
    """A raster with a few handles, which several threads take in turns.

    GDAL keeps unpacked blocks for each handle of its own. Where each thread has a handle, what
    two tiles have in common is unpacked by both; with one handle it is unpacked once.

    Args:
        raster: whose handle stays as it is.
        count: of the handles, and so of the threads that read at the same time.
    """

    def __init__(self, raster: Raster | RasterPair, count: int) -> None:
        self._handles: queue.LifoQueue[Raster | RasterPair] = queue.LifoQueue()
        for _ in range(count):
            self._handles.put(raster.reopen())
        self.name = raster.name
        self.window = raster.window
        self.geotransform = raster.geotransform
        self.crs = raster.crs

    def read(self, window: Window, bands: Sequence[int] | None = None) -> Block:
        """Read a window as :meth:`.raster.Raster.read` does."""
        with self._handle() as raster:
            return raster.read(window, bands)

    def is_blank(self, window: Window) -> bool:
        """Return whether a window has no data, as far as its masks tell."""
        with self._handle() as raster:
            return raster.is_blank(window)

    @contextlib.contextmanager
    def _handle(self) -> Iterator[Raster | RasterPair]:
        raster = self._handles.get()
        try:
            yield raster
        finally:
            self._handles.put(raster)
