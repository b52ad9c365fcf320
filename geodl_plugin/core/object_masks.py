"""Masks of objects, each a small part of the raster: their memory is that of the objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ObjectMask:
    """The pixels of an object.

    Attributes:
        col, row: of the window's first pixel.
        pixels: ``(height, width)`` bool, the window; its outer rows and columns are not empty.
    """

    col: int
    row: int
    pixels: np.ndarray

    @classmethod
    def of(cls, col: int, row: int, pixels: np.ndarray) -> ObjectMask | None:
        """Return a mask without its empty margins; ``None`` when no pixel is set."""
        pixels = np.asarray(pixels) > 0
        rows, cols = (np.flatnonzero(pixels.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return None
        part = pixels[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
        # A copy, or the whole window would stay in memory.
        return cls(int(col + cols[0]), int(row + rows[0]), part.copy())

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The box ``(xmin, ymin, xmax, ymax)`` around the pixels."""
        height, width = self.pixels.shape
        return self.col, self.row, self.col + width, self.row + height

    @property
    def area(self) -> int:
        """How many pixels there are."""
        return int(np.count_nonzero(self.pixels))

    def moved(self, cols: int, rows: int) -> ObjectMask:
        """Return the mask at another place."""
        return ObjectMask(self.col + cols, self.row + rows, self.pixels)

    def shared(self, other: ObjectMask) -> int:
        """Return how many pixels both have."""
        one, two = np.array(self.box), np.array(other.box)
        low, high = np.maximum(one[:2], two[:2]), np.minimum(one[2:], two[2:])
        if (low >= high).any():
            return 0
        return int(np.count_nonzero(self._part(low, high) & other._part(low, high)))

    def agreement(self, other: ObjectMask) -> float:
        """Return the IoU of both masks where their boxes overlap, 0 to 1."""
        one, two = np.array(self.box), np.array(other.box)
        low, high = np.maximum(one[:2], two[:2]), np.minimum(one[2:], two[2:])
        if (low >= high).any():
            return 0.0
        mine, its = self._part(low, high), other._part(low, high)
        either = np.count_nonzero(mine | its)
        return np.count_nonzero(mine & its) / either if either else 0.0

    def joined(self, other: ObjectMask) -> ObjectMask:
        """Return the mask of the pixels of both."""
        one, two = np.array(self.box), np.array(other.box)
        low, high = np.minimum(one[:2], two[:2]), np.maximum(one[2:], two[2:])
        pixels = np.zeros((high - low)[::-1], bool)
        for each in (self, other):
            height, width = each.pixels.shape
            top, left = each.row - low[1], each.col - low[0]
            pixels[top : top + height, left : left + width] |= each.pixels
        return ObjectMask(int(low[0]), int(low[1]), pixels)

    def _part(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        (left, top), (right, bottom) = low - [self.col, self.row], high - [self.col, self.row]
        return self.pixels[top:bottom, left:right]


def masks_of(masks: Sequence[np.ndarray], windows: np.ndarray) -> list[ObjectMask | None]:
    """Return the masks of a network's answer; ``None`` for those without any pixel.

    Args:
        masks: the pixels of each window.
        windows: ``(n, 4)`` as col, row, width, height.
    """
    return [
        ObjectMask.of(int(window[0]), int(window[1]), np.asarray(pixels))
        for pixels, window in zip(masks, np.asarray(windows).reshape(-1, 4))
    ]


def as_objects(values: Sequence[ObjectMask | None]) -> np.ndarray:
    """Return an array ``(n,)`` of masks, which numpy must not look into."""
    found = np.empty(len(values), object)
    found[:] = values
    return found
