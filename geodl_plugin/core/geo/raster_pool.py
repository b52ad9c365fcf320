"""A raster for several threads."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Hashable, Iterator, Sequence

from .damage import read_around
from .grid import Window
from .pair import RasterPair
from .raster import Block, Raster


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

    def read_around(
        self, window: Window, bands: Sequence[int], told: Callable[[str, Hashable], None]
    ) -> Block:
        """Read what can be read of a damaged window, as :func:`.damage.read_around` does."""
        with self._handle() as raster:
            return read_around(raster, window, bands, told)

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
