"""Rasters under construction, in plain files whose parts survive a killed process.

A GeoTIFF that GDAL writes has no directory until it is closed. Here the directory comes first,
and what was written stays. The blocks are small and lie together, for a file system takes as
long for a row of a tile as for a whole block.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from osgeo import gdal

from ..errors import CancelledError, RasterError
from ..progress import Progress
from ..replacing import discard
from .gdal_calls import attempt, last_error
from .grid import Window
from .plain_tiff import Directory, tile_count

CHUNK = 8 * 1024 * 1024  # bytes written at a time
BLOCK = 128  # pixels: side of a block


def write_all(file: io.RawIOBase, data: memoryview) -> None:
    """Write all bytes to an unbuffered file: at the end of a disk a first write may be short."""
    data = data.cast("B")
    while data:
        data = data[file.write(data) :]


class BlockStore:
    """A raster under construction, all of it one value at first.

    Args:
        path: of the file.
        width, height, bands: of the raster.
        dtype: ``uint8`` or ``uint16``.
        fill: the value of what is not written yet.
        keep: go on with a file of the right size that is there already.
        progress: asked for cancelling while the file is filled.

    Raises:
        RasterError: when the disk has not enough room, or the file cannot be written.
    """

    def __init__(
        self,
        path: Path,
        width: int,
        height: int,
        bands: int,
        dtype: np.dtype,
        fill: int,
        keep: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.path = path
        self.bands = bands
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self._across, self._down = tile_count(width, BLOCK), tile_count(height, BLOCK)
        self._block_size = BLOCK * BLOCK * self.dtype.itemsize
        self._overviews = path.with_name(f"{path.name}.ovr")
        head = Directory(width, height, bands, self.dtype.itemsize, BLOCK)
        self._begin = head.length
        size = self._across * self._down * bands * self._block_size
        self.resumed = keep and path.is_file() and path.stat().st_size == self._begin + size
        if not self.resumed:
            self._check_room(size + size // 3)  # with overviews
        try:
            if not self.resumed:
                self._fill(head, size, fill, progress or Progress())
            self._file = path.open("r+b", buffering=0)
        except OSError as error:
            self.remove()
            raise RasterError(f"'{path.parent}' cannot be written: {error.strerror}.") from error
        except CancelledError:
            self.remove()
            raise

    def write(self, window: Window, values: np.ndarray) -> None:
        """Write pixels ``(bands, rows, cols)`` at a window that lies inside the raster.

        Raises:
            RasterError: when the file cannot be written.
        """
        try:
            for begin, block, band in self._blocks(window):
                place = block.intersection(window) or block
                part = values[(band, *place.slices(window))].astype(self.dtype)
                if place != block:
                    part = self._with(begin, part, place.slices(block))
                self._file.seek(begin)
                write_all(self._file, part.data)
        except OSError as error:
            raise RasterError(
                f"'{self.path.parent}' cannot be written: {error.strerror}."
            ) from error

    def _blocks(self, window: Window) -> Iterator[tuple[int, Window, int]]:
        """Yield where the blocks of a window begin in the file, their windows and bands."""
        for band in range(self.bands):
            for row in range(window.row // BLOCK, tile_count(window.bottom, BLOCK)):
                for col in range(window.col // BLOCK, tile_count(window.right, BLOCK)):
                    number = (band * self._down + row) * self._across + col
                    block = Window(col * BLOCK, row * BLOCK, BLOCK, BLOCK)
                    yield self._begin + number * self._block_size, block, band

    def _with(self, begin: int, part: np.ndarray, place: tuple[slice, slice]) -> np.ndarray:
        """Return a block of the file with a part of it changed."""
        block = np.empty((BLOCK, BLOCK), self.dtype)
        self._file.seek(begin)
        self._file.readinto(block.data.cast("B"))
        block[place] = part
        return block

    def dataset(self) -> gdal.Dataset:
        """Return the raster as a dataset to read from, without overviews."""
        self.remove_overviews()  # of a killed run
        dataset = attempt(gdal.OpenEx, str(self.path), gdal.OF_RASTER, ["GTiff"])
        if dataset is None:
            raise RasterError(f"'{self.path}' cannot be read: {last_error()}.")
        return dataset

    def remove_overviews(self) -> None:
        """Remove the overviews that were made beside the file."""
        self._overviews.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; what was written stays."""
        if getattr(self, "_file", None) is not None:
            self._file.close()

    def remove(self) -> None:
        """Close and remove the files."""
        self.close()
        for each in (self.path, self._overviews, Path(f"{self.path}.aux.xml")):
            discard(each)

    def _check_room(self, size: int) -> None:
        free = shutil.disk_usage(self.path.parent).free
        if size > free:
            raise RasterError(
                f"'{self.path.parent}' has {free / 1e9:.1f} GB of free space but the result needs "
                f"{size / 1e9:.1f} GB while it is made. Make room, or choose another folder."
            )

    def _fill(self, head: Directory, size: int, fill: int, progress: Progress) -> None:
        chunk = np.full(CHUNK // self.dtype.itemsize, fill, self.dtype).tobytes()
        with self.path.open("wb", buffering=0) as file:
            for piece in head.pieces():
                progress.check()
                write_all(file, memoryview(piece))
            for begin in range(0, size, CHUNK):
                progress.check()
                write_all(file, memoryview(chunk)[: size - begin])
