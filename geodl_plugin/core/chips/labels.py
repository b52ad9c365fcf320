"""What a chip can be labelled with."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Union

import numpy as np

from ..geo.grid import GeoTransform
from ..geo.rasterize import burn
from ..geo.shapes import polygon_of_rings

UNLABELLED = int(np.iinfo(np.int64).min)  # instead of the value of a class
Rings = tuple[np.ndarray, ...]  # of one object, each (n, 2) pixels: outer rings and holes


@dataclass(frozen=True)
class BoxLabel:
    """Boxes of objects.

    Attributes:
        boxes: ``(n, 4)`` float, ``(xmin, ymin, xmax, ymax)`` in pixels from the top left.
        values: ``(n,)`` integer class values.
    """

    boxes: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class MaskLabel:
    """A class value for every pixel: ``(rows, cols)``.

    0 is the background, or what is not labelled; :data:`UNLABELLED` is no data of the label.
    """

    values: np.ndarray

    @property
    def classes(self) -> list[int]:
        """The class values that there are, ascending."""
        known = (self.values != 0) & (self.values != UNLABELLED)
        return np.unique(self.values[known]).tolist()


@dataclass(frozen=True)
class InstanceLabel:
    """Objects by their outlines, their pixels, or both.

    Attributes:
        values: ``(n,)`` integer class values.
        shape: rows and columns of the chip.
        rings: the outlines in pixels; empty when only the pixels are known.
        draw: returns the masks where they are not simply the outlines filled.
    """

    values: np.ndarray
    shape: tuple[int, int]
    rings: tuple[Rings, ...] = ()
    draw: Callable[[], np.ndarray] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of_masks(cls, masks: np.ndarray, values: np.ndarray) -> InstanceLabel:
        """Return the label of objects of which the pixels ``(n, rows, cols)`` are known."""
        return cls(values, masks.shape[1:], draw=lambda: masks)

    @functools.cached_property
    def masks(self) -> np.ndarray:
        """The pixels of every object, ``(n, rows, cols)`` bool."""
        if self.draw is not None:
            return self.draw()
        found = [fill(rings, self.shape) for rings in self.rings]
        return np.stack(found) if found else np.zeros((0, *self.shape), bool)

    @property
    def boxes(self) -> np.ndarray:
        """The boxes ``(n, 4)`` around the outlines, or around the pixels."""
        found = [ring_box(each) for each in self.rings] or [mask_box(each) for each in self.masks]
        return np.array(found, np.float64).reshape(-1, 4)


@dataclass(frozen=True)
class PanopticLabel:
    """A class value for every pixel, and the objects among them."""

    mask: MaskLabel
    instances: InstanceLabel


@dataclass(frozen=True)
class ClassLabel:
    """The class values of the chip as a whole."""

    values: tuple[int, ...]


@dataclass(frozen=True)
class NoLabel:
    """Nothing: the chip is an image alone, or has a second image instead of a label."""


Label = Union[BoxLabel, MaskLabel, InstanceLabel, PanopticLabel, ClassLabel, NoLabel]


def mask_box(mask: np.ndarray) -> tuple[float, float, float, float]:
    """Return the box around the pixels of a mask ``(rows, cols)``; zeros when it is empty."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return 0.0, 0.0, 0.0, 0.0
    return float(cols[0]), float(rows[0]), float(cols[-1] + 1), float(rows[-1] + 1)


def ring_box(rings: Rings) -> tuple[float, float, float, float]:
    """Return the box around the rings of an object."""
    points = np.concatenate(rings)
    (xmin, ymin), (xmax, ymax) = points.min(axis=0), points.max(axis=0)
    return float(xmin), float(ymin), float(xmax), float(ymax)


def fill(rings: Rings, shape: tuple[int, int]) -> np.ndarray:
    """Return the mask ``(rows, cols)`` of an outline; rings inside rings are holes."""
    return burn([(polygon_of_rings(rings), 1)], shape, GeoTransform()) > 0
