"""Pixels of a frame: a grid that may be turned against the raster's own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .grid import GeoTransform, Window
from .raster import Block, Raster


@dataclass(frozen=True)
class Frame:
    """The grid of a chip: where it lies on the map and its size in pixels.

    Attributes:
        geotransform: of the frame's top left corner.
        width, height: in pixels.
        window: the raster's pixels that it consists of; ``None`` when it is turned.
    """

    geotransform: GeoTransform
    width: int
    height: int
    window: Window | None = None

    @classmethod
    def of_window(cls, window: Window, raster: Raster) -> Frame:
        """Return the frame of a window of a raster."""
        geotransform = raster.geotransform.of_window(window)
        return cls(geotransform, window.width, window.height, window)

    def corners(self) -> np.ndarray:
        """Return the map corners ``(4, 2)``, top left first."""
        return self.geotransform.box_corners(np.array([[0, 0, self.width, self.height]]))[0]

    def bounds(self) -> tuple[float, float, float, float]:
        """Return the map bounds ``(xmin, ymin, xmax, ymax)``."""
        corners = self.corners()
        (xmin, ymin), (xmax, ymax) = corners.min(axis=0), corners.max(axis=0)
        return float(xmin), float(ymin), float(xmax), float(ymax)


def turned(geotransform: GeoTransform, degrees: float, centre: np.ndarray) -> GeoTransform:
    """Return a geotransform turned clockwise around a point ``(2,)`` of the map."""
    angle = math.radians(degrees)
    cosine, sine = math.cos(angle), math.sin(angle)

    def turn(x: float, y: float) -> tuple[float, float]:
        return x * cosine + y * sine, -x * sine + y * cosine

    x, y = turn(geotransform.x_origin - centre[0], geotransform.y_origin - centre[1])
    col_x, col_y = turn(geotransform.col_x, geotransform.col_y)
    row_x, row_y = turn(geotransform.row_x, geotransform.row_y)
    return GeoTransform(x + float(centre[0]), col_x, row_x, y + float(centre[1]), col_y, row_y)


def read_frame(raster: Raster, frame: Frame) -> Block:
    """Read the pixels of a frame: as they are, or interpolated bilinearly when it is turned.

    A pixel is valid when the raster has data at its centre.
    """
    if frame.window is not None:
        return raster.read(frame.window)
    centres = np.stack(
        np.meshgrid(np.arange(frame.width) + 0.5, np.arange(frame.height) + 0.5), axis=-1
    ).reshape(-1, 2)
    places = raster.geotransform.to_pixels(frame.geotransform.to_map(centres))
    col, row = np.floor(places.min(axis=0)).astype(int) - 1
    right, bottom = np.ceil(places.max(axis=0)).astype(int) + 1
    window = Window(int(col), int(row), int(right - col), int(bottom - row))
    block = raster.read(window)
    return _interpolate(block, places - [col, row], (frame.height, frame.width))


def _interpolate(block: Block, places: np.ndarray, shape: tuple[int, int]) -> Block:
    """Sample a block at positions ``(n, 2)`` given as (col, row) from its corner."""
    nearest = np.floor(places).astype(int)
    valid = block.valid[nearest[:, 1], nearest[:, 0]]
    # Pixel centres lie at .5: the four around a position begin half a pixel before it.
    low = np.floor(places - 0.5).astype(int)
    share = places - 0.5 - low
    total = np.zeros((block.pixels.shape[0], len(places)))
    weights = np.zeros(len(places))
    for across in (0, 1):
        for down in (0, 1):
            col, row = low[:, 0] + across, low[:, 1] + down
            weight = np.abs(1 - across - share[:, 0]) * np.abs(1 - down - share[:, 1])
            weight = weight * block.valid[row, col]
            total += block.pixels[:, row, col] * weight
            weights += weight
    values = total / np.maximum(weights, 1e-12)
    if np.issubdtype(block.pixels.dtype, np.integer):
        values = np.rint(values)
    values[:, ~valid] = 0
    pixels = values.astype(block.pixels.dtype).reshape(-1, *shape)
    return Block(pixels, valid.reshape(shape))
