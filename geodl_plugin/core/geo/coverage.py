"""Where a raster has data."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from osgeo import gdal

from .dataset_facts import is_absent, mask_bands
from .grid import Window

MANY_BANDS = 128  # from which GDAL reads pixel-interleaved files anew for each band
# Larger numbers are no data that nobody has declared, like -3.4e38, or such a one averaged.
ENDLESS = 1e30
MEASURED = (0.0, 65535.0)  # values for no data in this range may be measured in a band, too

ReadMask = Callable[[gdal.Band], np.ndarray]  # reads a mask as the pixels beside it were read


class Coverage:
    """Tells from alpha bands, masks, no-data values and absent blocks where a raster has data.

    Args:
        bands: of the image.
        alpha: bands beside them, which alone count where there are any: GDAL takes an alpha
            band for a mask only beside one or three others.

    Attributes:
        is_declared: whether the file has an alpha band, a mask or a no-data value.
    """

    def __init__(self, bands: list[gdal.Band], alpha: list[gdal.Band]) -> None:
        self._masks = alpha or mask_bands(bands)
        self.is_declared = bool(self._masks)
        self._band_count = len(bands)
        by_value = self.is_declared and not alpha and bands[0].GetMaskFlags() & gdal.GMF_NODATA
        # A mask that is computed from a no-data value knows nothing of absent blocks.
        self._stored = bands if by_value else self._masks
        values = {band.GetNoDataValue() for band in bands} if by_value else set()
        self._value = next(iter(values)) if len(values) == 1 else None
        self._never_data = is_never_data(values)

    def valid(self, pixels: np.ndarray, bands: Sequence[int], read: ReadMask) -> np.ndarray:
        """Return where pixels ``(bands, rows, cols)`` of some bands have data, ``(rows, cols)``."""
        finite = _finite(pixels)
        if not self._masks:
            return finite
        join = np.logical_and if self._never_data else np.logical_or
        if self._value is not None and len(pixels) == self._band_count >= MANY_BANDS:
            return join.reduce(pixels != self._value) & finite
        # A pixel that has no data in one band only, black in red say, is still a pixel.
        masks = [self._masks[band] for band in bands] if self._never_data else self._masks
        valid = read(masks[0]) > 0
        for mask in masks[1:]:
            join(valid, read(mask), out=valid)
        return valid & finite

    def is_absent(self, window: Window) -> bool:
        """Return whether the file says, without its pixels being read, that a window is empty."""
        # Absent blocks read as no data only where the file has a no-data value or a mask.
        return self.is_declared and all(is_absent(band, window) for band in self._stored)

    def is_blank(self, read: ReadMask) -> bool:
        """Return whether all masks, as read, say that there is no data."""
        return self.is_declared and not any(read(mask).any() for mask in self._masks)


def is_never_data(values: set[float | None]) -> bool:
    """Return whether no-data values are never measured.

    What is measured too, black say, is data where another band has some; -9999 never is.
    """
    low, high = MEASURED
    return any(not low <= value <= high for value in values if value is not None)


def _finite(pixels: np.ndarray) -> np.ndarray:
    """Return where all bands of ``(bands, rows, cols)`` are numbers that can be measured."""
    if np.issubdtype(pixels.dtype, np.floating) and pixels.shape[0]:
        return (np.abs(pixels) < ENDLESS).all(axis=0)
    return np.ones(pixels.shape[1:], bool)
