"""Windows, geotransforms and tile plans: arithmetic on pixels, without GDAL."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

Box = tuple[float, float, float, float]  # xmin, ymin, xmax, ymax in pixels
EDGE = 1e-3  # pixels, which forgive the rounding of coordinates


@dataclass(frozen=True, order=True)
class Window:
    """A rectangle of pixels; it may reach beyond its raster."""

    col: int
    row: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column behind the window."""
        return self.col + self.width

    @property
    def bottom(self) -> int:
        """The first row below the window."""
        return self.row + self.height

    def intersection(self, other: Window) -> Window | None:
        """Return the part that lies in both windows, or ``None`` when there is none."""
        col, row = max(self.col, other.col), max(self.row, other.row)
        width = min(self.right, other.right) - col
        height = min(self.bottom, other.bottom) - row
        return Window(col, row, width, height) if width > 0 and height > 0 else None

    def slices(self, origin: Window) -> tuple[slice, slice]:
        """Return the row and column slices of this window in an array that covers ``origin``."""
        top, left = self.row - origin.row, self.col - origin.col
        return slice(top, top + self.height), slice(left, left + self.width)


@dataclass(frozen=True)
class GeoTransform:
    """GDAL's affine transform from pixel corners to map coordinates; it may be turned.

    ``x = x_origin + col * col_x + row * row_x``, ``y = y_origin + col * col_y + row * row_y``.
    """

    x_origin: float = 0.0
    col_x: float = 1.0
    row_x: float = 0.0
    y_origin: float = 0.0
    col_y: float = 0.0
    row_y: float = 1.0

    def as_gdal(self) -> tuple[float, float, float, float, float, float]:
        """Return the six numbers in GDAL's order."""
        return (self.x_origin, self.col_x, self.row_x, self.y_origin, self.col_y, self.row_y)

    def as_world_file(self) -> tuple[float, float, float, float, float, float]:
        """Return the six numbers of a world file, whose origin is a pixel's centre."""
        x, y = self.to_map(np.array([[0.5, 0.5]]))[0]
        return (self.col_x, self.col_y, self.row_x, self.row_y, float(x), float(y))

    def to_map(self, pixels: np.ndarray) -> np.ndarray:
        """Return map coordinates ``(n, 2)`` of pixel positions ``(n, 2)`` given as (col, row)."""
        points = np.asarray(pixels, dtype=float)
        matrix = np.array([[self.col_x, self.col_y], [self.row_x, self.row_y]])
        return points @ matrix + np.array([self.x_origin, self.y_origin])

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """Return pixel positions ``(n, 2)`` as (col, row) of map coordinates ``(n, 2)``."""
        shifted = np.asarray(points, dtype=float) - np.array([self.x_origin, self.y_origin])
        determinant = self.col_x * self.row_y - self.row_x * self.col_y
        inverse = np.array([[self.row_y, -self.col_y], [-self.row_x, self.col_x]]) / determinant
        return shifted @ inverse

    def of_window(self, window: Window) -> GeoTransform:
        """Return the transform whose origin is the top left corner of ``window``."""
        x = self.x_origin + window.col * self.col_x + window.row * self.row_x
        y = self.y_origin + window.col * self.col_y + window.row * self.row_y
        return GeoTransform(x, self.col_x, self.row_x, y, self.col_y, self.row_y)

    def cell_size(self) -> tuple[float, float]:
        """Return the lengths of a pixel's sides along columns and rows, in map units."""
        return math.hypot(self.col_x, self.col_y), math.hypot(self.row_x, self.row_y)

    def cell_area(self) -> float:
        """Return the area of a pixel in square map units."""
        return abs(self.col_x * self.row_y - self.row_x * self.col_y)

    def box_corners(self, boxes: np.ndarray) -> np.ndarray:
        """Return the map corners ``(n, 4, 2)`` of pixel boxes ``(n, 4)``, top left first."""
        xmin, ymin, xmax, ymax = np.asarray(boxes, dtype=float).reshape(-1, 4).T
        corners = np.stack([xmin, ymin, xmax, ymin, xmax, ymax, xmin, ymax], axis=1)
        return self.to_map(corners.reshape(-1, 2)).reshape(-1, 4, 2)


def covering(box: Box, whole: Window) -> Window:
    """Return the pixels of a raster that an object with this box lies on, one at least."""
    xmin, ymin, xmax, ymax = box
    left, top = (max(math.floor(least + EDGE), 0) for least in (xmin, ymin))
    width = max(min(math.ceil(xmax - EDGE), whole.width) - left, 1)
    height = max(min(math.ceil(ymax - EDGE), whole.height) - top, 1)
    return Window(left, top, width, height)


def centred(box: Box, width: int, height: int, whole: Window) -> Window:
    """Return the window around the middle of a box, moved so that it keeps within a raster."""
    xmin, ymin, xmax, ymax = box
    col, row = round((xmin + xmax) / 2 - width / 2), round((ymin + ymax) / 2 - height / 2)
    return moved_inside(Window(col, row, width, height), whole)


def moved_inside(window: Window, whole: Window) -> Window:
    """Return the window moved back to where it hangs over no edge of a raster at 0, 0.

    One that is larger than the raster begins where the raster begins.
    """
    col = max(0, min(window.col, whole.width - window.width))
    row = max(0, min(window.row, whole.height - window.height))
    return Window(col, row, window.width, window.height)


def positions(length: int, size: int, stride: int) -> list[int]:
    """Return the starts of windows of ``size`` that walk ``length`` pixels by ``stride``.

    The last window is moved back so that it ends at the edge: no padding, no missed pixels.
    A length that is shorter than the size gives one window at 0.
    """
    if length <= size:
        return [0]
    starts = list(range(0, length - size + 1, stride))
    if starts[-1] + size < length:
        starts.append(length - size)
    return starts


def chip_windows(
    area: Window, width: int, height: int, stride_x: int, stride_y: int
) -> Iterator[Window]:
    """Yield the windows of ``width`` × ``height`` that cover ``area``, row by row."""
    for row in positions(area.height, height, stride_y):
        for col in positions(area.width, width, stride_x):
            yield Window(area.col + col, area.row + row, width, height)


@dataclass(frozen=True)
class Tile:
    """What a network sees (``outer``) and what is written of its answer (``inner``)."""

    inner: Window
    outer: Window


def tile_spans(length: int, size: int, rim: int, step: int = 32) -> list[tuple[int, int, int]]:
    """Plan tiles along one axis.

    Tiles start at multiples of ``step``, the network's own grid, because a network that
    halves its input sees a shifted tile differently. The last tile is moved back and may
    reach beyond the axis by less than ``step``.

    Returns:
        For each tile its start and the start and end of its inner part. The inner parts
        join without gap or overlap from 0 to ``length``.
    """
    padded = math.ceil(length / step) * step
    if padded <= size:
        return [(0, 0, length)]
    stride = max((size - 2 * rim) // step * step, step)
    starts = positions(padded, size, stride)
    spans = []
    begin = 0
    for index, start in enumerate(starts):
        last = index == len(starts) - 1
        # Between two tiles the border lies in the middle of what both of them see.
        end = length if last else (starts[index + 1] + start + size) // 2
        spans.append((start, begin, end))
        begin = end
    return spans


def plan_tiles(width: int, height: int, size: int, rim: int, step: int = 32) -> Iterator[Tile]:
    """Yield the tiles of ``size`` × ``size`` that cover a raster, row by row.

    Args:
        width, height: of the raster, in pixels.
        size: side of the outer window, a multiple of ``step``.
        rim: context on every side inside the raster, in pixels.
        step: pixels to which the tiles' starts keep.
    """
    columns = tile_spans(width, size, rim, step)
    for row, top, bottom in tile_spans(height, size, rim, step):
        for col, left, right in columns:
            yield Tile(Window(left, top, right - left, bottom - top), Window(col, row, size, size))
