"""Rasters under construction, in plain files whose parts survive a killed process.

A GeoTIFF that was not closed has lost its directory. A plain file of pixels has none: what
was written stays. ENVI's header makes it a raster that GDAL opens.
"""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
from osgeo import gdal

from ..errors import RasterError
from ..progress import Progress
from .gdal_calls import attempt, last_error
from .grid import Window

CHUNK = 8 * 1024 * 1024  # bytes written at a time
ENVI_TYPES = {"uint8": 1, "uint16": 12, "float32": 4}


def write_all(file: io.RawIOBase, data: memoryview) -> None:
    """Write all bytes to an unbuffered file: at the end of a disk a first write may be short."""
    data = data.cast("B")
    while data:
        data = data[file.write(data) :]


class BlockStore:
    """A raster under construction, all of it one value at first.

    Args:
        path: of the file of pixels; a header lies beside it.
        width, height, bands: of the raster.
        dtype: ``uint8``, ``uint16`` or ``float32``.
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
        fill: float,
        keep: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.path = path
        self.width, self.height, self.bands = width, height, bands
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self._header = path.with_name(f"{path.name}.hdr")
        self._overviews = path.with_name(f"{path.name}.ovr")
        size = width * height * bands * self.dtype.itemsize
        self.resumed = keep and path.is_file() and path.stat().st_size == size
        if not self.resumed:
            self._check_room(size + size // 3)  # with overviews
        try:
            if not self.resumed:
                self._fill(size, fill, progress or Progress())
            self._file = path.open("r+b", buffering=0)
            self._header.write_text(self._description(), encoding="ascii")
        except OSError as error:
            self.remove()
            raise RasterError(f"'{path.parent}' cannot be written: {error.strerror}.") from error

    def write(self, window: Window, values: np.ndarray) -> None:
        """Write pixels ``(bands, rows, cols)`` at a window that lies inside the raster.

        Raises:
            RasterError: when the file cannot be written.
        """
        values = np.ascontiguousarray(values, self.dtype)
        try:
            for band in range(self.bands):
                for index in range(window.height):
                    line = (band * self.height + window.row + index) * self.width + window.col
                    self._file.seek(line * self.dtype.itemsize)
                    write_all(self._file, values[band, index].data)
        except OSError as error:
            raise RasterError(
                f"'{self.path.parent}' cannot be written: {error.strerror}."
            ) from error

    def dataset(self) -> gdal.Dataset:
        """Return the raster as a dataset to read from, without overviews."""
        self._overviews.unlink(missing_ok=True)  # of a killed run
        dataset = attempt(gdal.OpenEx, str(self.path), gdal.OF_RASTER, ["ENVI"])
        if dataset is None:
            raise RasterError(f"'{self.path}' cannot be read: {last_error()}.")
        return dataset

    def close(self) -> None:
        """Close the file; what was written stays."""
        if getattr(self, "_file", None) is not None:
            self._file.close()

    def remove(self) -> None:
        """Close and remove the files."""
        self.close()
        for each in (self.path, self._header, self._overviews, Path(f"{self.path}.aux.xml")):
            each.unlink(missing_ok=True)

    def _check_room(self, size: int) -> None:
        free = shutil.disk_usage(self.path.parent).free
        if size > free:
            raise RasterError(
                f"'{self.path.parent}' has {free / 1e9:.1f} GB of free space but the result needs "
                f"{size / 1e9:.1f} GB while it is made. Make room, or choose another folder."
            )

    def _fill(self, size: int, fill: float, progress: Progress) -> None:
        chunk = np.full(CHUNK // self.dtype.itemsize, fill, self.dtype).tobytes()
        with self.path.open("wb", buffering=0) as file:
            for begin in range(0, size, CHUNK):
                progress.check()
                write_all(file, memoryview(chunk)[: size - begin])

    def _description(self) -> str:
        return (
            f"ENVI\nsamples = {self.width}\nlines = {self.height}\nbands = {self.bands}\n"
            f"header offset = 0\ndata type = {ENVI_TYPES[np.dtype(self.dtype).name]}\n"
            "interleave = bsq\nbyte order = 0\n"
        )
