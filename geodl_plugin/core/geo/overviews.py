"""Overviews of results: of classes the most frequent, of percentages the mean.

GDAL's own take several times as long as all else that a Cloud Optimized GeoTIFF needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from osgeo import gdal

from ..progress import Progress
from .gdal_calls import attempt, last_error

SMALLEST = 512  # pixels: a side that needs no overview
_ROWS, _COLS = 512, 2048  # pixels that are made at a time
Halve = Callable[[np.ndarray, int], np.ndarray]


def build_overviews(dataset: gdal.Dataset, halve: Halve, nodata: int, progress: Progress) -> bool:
    """Give a dataset overviews, each half as large as the one before, in a file beside it.

    Args:
        dataset: opened for reading, without overviews; a path with ``.ovr`` is free.
        halve: :func:`most_frequent` or :func:`mean`.
        nodata: of the dataset.
        progress: asked for cancelling.

    Returns:
        Whether it was done to the end: if not cancelled, GDAL's last message says why not.
    """
    side = max(dataset.RasterXSize, dataset.RasterYSize)
    factors = []
    while side > SMALLEST:
        factors.append(2 ** (len(factors) + 1))
        side = (side + 1) // 2
    if not factors:
        return True
    if attempt(dataset.BuildOverviews, "NONE", factors) != 0:  # makes room for them
        return False
    for number in range(1, dataset.RasterCount + 1):
        finer = band = dataset.GetRasterBand(number)
        for level in range(len(factors)):
            coarser = band.GetOverview(level)
            if not _halve_band(finer, coarser, halve, nodata, progress):
                return False
            finer = coarser
    return True


def _halve_band(
    finer: gdal.Band, coarser: gdal.Band, halve: Halve, nodata: int, progress: Progress
) -> bool:
    for row, height, top in _spans(finer.YSize, _ROWS):
        for col, width, left in _spans(finer.XSize, _COLS):
            if progress.cancelled():
                return False
            cols, rows = min(2 * width, finer.XSize), min(2 * height, finer.YSize)
            values = attempt(finer.ReadAsArray, left, top, cols, rows)
            if values is None:
                return False
            if values.shape != (2 * height, 2 * width):  # a single row or column
                values = np.pad(values, ((0, 2 * height - rows), (0, 2 * width - cols)), "edge")
            first = values.item(0)  # large parts of many rasters have no data
            same = (values == first).all()
            half = np.full((height, width), first, values.dtype) if same else halve(values, nodata)
            if attempt(coarser.WriteArray, half, col, row) != 0:
                return False
    # What could not be written is not told before.
    return attempt(coarser.FlushCache) in (None, 0) and not last_error()


def _spans(size: int, step: int) -> Iterator[tuple[int, int, int]]:
    """Yield where the parts of an overview begin, their lengths, and where their pixels begin.

    Of an odd number of pixels the one in the middle counts twice: from there on all pairs
    begin one pixel sooner, so that the overview lies where the image lies.
    """
    half = (size + 1) // 2
    middle = (half + 1) // 2 if size % 2 else half
    for begin, end, sooner in ((0, middle, 0), (middle, half, 1)):
        for start in range(begin, end, step):
            yield start, min(step, end - start), 2 * start - sooner


def most_frequent(values: np.ndarray, nodata: int) -> np.ndarray:
    """Return the most frequent of every 2 × 2 values, the first one of several.

    Args:
        values: ``(rows, cols)``, both even.
        nodata: counts only where there is nothing else.

    Returns:
        Array ``(rows / 2, cols / 2)``.
    """
    a, b, c, d = _quarters(values)
    best = _choose(a == nodata, _choose(b == nodata, _choose(c == nodata, d, c), b), a)
    alone = ~((a == b) | (a == c) | (a == d)) | (a == nodata)
    best = _choose(alone & (c == d) & (c != nodata), c, best)
    return _choose(alone & ((b == c) | (b == d)) & (b != nodata), b, best)


def mean(values: np.ndarray, nodata: int) -> np.ndarray:
    """Return the rounded mean of every 2 × 2 values, of those that are not ``nodata``."""
    rows, cols = values.shape
    total = np.zeros((rows // 2, cols // 2), np.uint16)
    count = np.zeros_like(total)
    for quarter in _quarters(values):
        known = quarter != nodata
        total += quarter * known
        count += known
    rounded = (total + count // 2) // np.maximum(count, 1)
    return np.where(count > 0, rounded, nodata).astype(values.dtype)


def _quarters(values: np.ndarray) -> list[np.ndarray]:
    """Return the first, second, third and fourth of every 2 × 2 values, row by row."""
    return [np.ascontiguousarray(values[row::2, col::2]) for row in (0, 1) for col in (0, 1)]


def _choose(condition: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return ``np.where(condition, one, other)`` of integers, in a fraction of its time."""
    return other ^ ((one ^ other) * condition)
