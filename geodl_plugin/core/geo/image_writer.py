"""Writing images of any size block by block, for rasters that GDAL itself cannot read."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from osgeo import gdal, gdal_array

from ..errors import RasterError
from .gdal_calls import attempt, last_error
from .grid import GeoTransform, Window

MOST_WAITING = 64 * 1024**2  # bytes
BLOCK = 256  # side of the blocks of the file, that of most servers' tiles


@dataclass(frozen=True)
class ImageLayout:
    """What an image is like.

    Attributes:
        width, height: in pixels.
        bands: how many, the alpha band among them.
        dtype: of the pixels, as NumPy names it.
        geotransform, crs: of the image; crs as well-known text, "" for none.
        alpha: whether the last band tells where there is data.
        nodata: the value of pixels without data, if any.
    """

    width: int
    height: int
    bands: int
    dtype: str
    geotransform: GeoTransform
    crs: str
    alpha: bool = False
    nodata: float | None = None


class ImageWriter:
    """Writes a tiled GeoTIFF in constant memory; what is not written has no data.

    Raises:
        RasterError: when the file cannot be written.
    """

    def __init__(self, path: str | Path, layout: ImageLayout) -> None:
        self.path = Path(path)
        self._waiting = 0  # bytes that GDAL may still hold
        options = [
            "TILED=YES",
            f"BLOCKXSIZE={BLOCK}",
            f"BLOCKYSIZE={BLOCK}",
            "COMPRESS=LZW",
            "SPARSE_OK=TRUE",
            "BIGTIFF=IF_SAFER",
        ]
        options += ["PHOTOMETRIC=RGB", "ALPHA=NON-PREMULTIPLIED"] if layout.alpha else []
        self._dataset = attempt(
            gdal.GetDriverByName("GTiff").Create,
            str(self.path),
            layout.width,
            layout.height,
            layout.bands,
            gdal_array.NumericTypeCodeToGDALTypeCode(np.dtype(layout.dtype)),
            options,
        )
        if self._dataset is None:
            raise RasterError(f"'{self.path}' cannot be written: {last_error()}.")
        self._dataset.SetGeoTransform(layout.geotransform.as_gdal())
        self._dataset.SetProjection(layout.crs)
        if layout.nodata is not None:
            for band in range(layout.bands):
                self._dataset.GetRasterBand(band + 1).SetNoDataValue(layout.nodata)

    def write(self, window: Window, pixels: np.ndarray) -> None:
        """Write pixels ``(bands, rows, cols)`` at a window of the image."""
        data = np.ascontiguousarray(pixels)
        if attempt(self._dataset.WriteArray, data, window.col, window.row) != 0:
            raise RasterError(f"'{self.path}' cannot be written: {last_error()}.")
        self._waiting += data.nbytes
        if self._waiting > MOST_WAITING:
            # GDAL's own limit is a share of the machine's memory.
            self._flush()

    def finish(self) -> Path:
        """Write what is left and return the path."""
        self._flush()
        self._dataset = None
        return self.path

    def _flush(self) -> None:
        if attempt(self._dataset.FlushCache) not in (None, 0) or last_error():
            raise RasterError(f"'{self.path}' cannot be written: {last_error()}.")
        self._waiting = 0

    def __enter__(self) -> ImageWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._dataset = None
        if kind is not None:
            with contextlib.suppress(OSError):
                self.path.unlink()


def write_placeholder(path: str | Path, layout: ImageLayout) -> Path:
    """Write a raster that has place and size but no pixels, however large it says it is.

    Raises:
        RasterError: when the file cannot be written.
    """
    dataset = attempt(
        gdal.GetDriverByName("VRT").Create,
        str(path),
        layout.width,
        layout.height,
        layout.bands,
        gdal_array.NumericTypeCodeToGDALTypeCode(np.dtype(layout.dtype)),
    )
    if dataset is None:
        raise RasterError(f"'{path}' cannot be written: {last_error()}.")
    dataset.SetGeoTransform(layout.geotransform.as_gdal())
    dataset.SetProjection(layout.crs)
    dataset = None
    return Path(path)
