"""Objects whose shapes are polygons: turned boxes, and whatever a function draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..geo.gdal_calls import attempt
from ..geo.grid import GeoTransform
from ..geo.shapes import area_of, polygon_of_rings, rectangle, repaired, rings_of
from ..geo.vector import Geometry

RIGHT_ANGLE = 1e-3  # cosine up to which an angle is a right one
BOX_CORNERS = 4


@dataclass(frozen=True)
class ObjectPolygon:
    """The shape of an object; the same face as :class:`ObjectMask`.

    Attributes:
        rings: outer ring and holes, ``(n, 2)`` in pixels, not closed.
    """

    rings: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, rings: Sequence[np.ndarray]) -> ObjectPolygon | None:
        """Return a polygon; ``None`` when it encloses nothing."""
        usable = [_opened(np.asarray(ring, float)) for ring in rings]
        usable = [ring for ring in usable if len(ring) > 2 and np.isfinite(ring).all()]
        found = cls(tuple(usable)) if usable else None
        return found if found is not None and found.area > 0 else None

    @cached_property
    def geometry(self) -> Geometry:
        """The shape in pixels, valid."""
        whole = polygon_of_rings(self.rings)
        return repaired(whole) or whole

    @cached_property
    def box(self) -> tuple[float, float, float, float]:
        """The box ``(xmin, ymin, xmax, ymax)`` around the shape."""
        points = np.concatenate(self.rings)
        return (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())

    @cached_property
    def area(self) -> float:
        """In square pixels."""
        return float(self.geometry.GetArea())

    def moved(self, cols: float, rows: float) -> ObjectPolygon:
        """Return the shape at another place."""
        step = np.array([cols, rows], float)
        return ObjectPolygon(tuple(ring + step for ring in self.rings))

    def shared(self, other: ObjectPolygon) -> float:
        """Return the area that both have."""
        return area_of(attempt(self.geometry.Intersection, other.geometry))

    def agreement(self, other: ObjectPolygon) -> float:
        """Return the IoU of both shapes where their boxes overlap, 0 to 1."""
        one, two = np.array(self.box), np.array(other.box)
        low, high = np.maximum(one[:2], two[:2]), np.minimum(one[2:], two[2:])
        if (low >= high).any():
            return 0.0
        window = rectangle(*low.tolist(), *high.tolist())
        mine = attempt(self.geometry.Intersection, window)
        its = attempt(other.geometry.Intersection, window)
        if mine is None or its is None:
            return 0.0
        shared = area_of(attempt(mine.Intersection, its))
        either = area_of(mine) + area_of(its) - shared
        return shared / either if either > 0 else 0.0

    def joined(self, other: ObjectPolygon) -> ObjectPolygon:
        """Return the shape of both: of two rectangles the one around them, turned alike."""
        if self.is_rectangle and other.is_rectangle:
            larger = self if self.area >= other.area else other
            return larger._around(np.concatenate([self.rings[0], other.rings[0]]))
        whole = attempt(self.geometry.Union, other.geometry)
        rings = () if whole is None else rings_of(whole)
        return ObjectPolygon(rings) if rings else self

    def turned(self, side: int, turns: int, mirrored: bool) -> ObjectPolygon:
        """Return the shape of a view, in a square image, where it is in the image itself."""
        rings = self.rings
        for _ in range(turns):
            rings = tuple(np.stack([side - ring[:, 1], ring[:, 0]], axis=1) for ring in rings)
        if mirrored:
            rings = tuple(np.stack([side - ring[:, 0], ring[:, 1]], axis=1) for ring in rings)
        return ObjectPolygon(rings)

    @cached_property
    def is_rectangle(self) -> bool:
        """Whether this is a box, turned or not."""
        if len(self.rings) != 1 or len(self.rings[0]) != BOX_CORNERS:
            return False
        sides = np.roll(self.rings[0], -1, axis=0) - self.rings[0]
        lengths = np.linalg.norm(sides, axis=1)
        if not lengths.all():
            return False
        cosines = (sides * np.roll(sides, -1, axis=0)).sum(axis=1)
        return bool((np.abs(cosines) <= RIGHT_ANGLE * lengths * np.roll(lengths, -1)).all())

    def _around(self, points: np.ndarray) -> ObjectPolygon:
        """Return the rectangle around points that is turned as this one."""
        first, second = self.rings[0][:2]
        across = (second - first) / np.linalg.norm(second - first)
        axes = np.array([across, [-across[1], across[0]]])
        low, high = (points @ axes.T).min(axis=0), (points @ axes.T).max(axis=0)
        corners = np.array([low, [high[0], low[1]], high, [low[0], high[1]]])
        return ObjectPolygon((corners @ axes,))

    def on_map(self, geotransform: GeoTransform) -> Geometry:
        """Return the shape in map coordinates."""
        mapped = polygon_of_rings([geotransform.to_map(ring) for ring in rings_of(self.geometry)])
        return repaired(mapped) or mapped


def _opened(ring: np.ndarray) -> np.ndarray:
    """Return a ring without the repetition of its first point."""
    ring = ring.reshape(len(ring), -1)[:, :2]
    return ring[:-1] if len(ring) > 1 and (ring[0] == ring[-1]).all() else ring


def packed_polygons(shapes: Sequence[ObjectPolygon]) -> dict[str, np.ndarray]:
    """Return shapes as arrays of numbers: points, points of each ring, rings of each shape."""
    rings = [ring for shape in shapes for ring in shape.rings]
    return {
        "points": np.concatenate(rings),
        "ring_sizes": np.array([len(ring) for ring in rings], np.int64),
        "ring_counts": np.array([len(shape.rings) for shape in shapes], np.int64),
    }


def unpacked_polygons(arrays: Mapping[str, np.ndarray]) -> list[ObjectPolygon]:
    """Return the shapes of :func:`packed_polygons`."""
    rings = np.split(arrays["points"], np.cumsum(arrays["ring_sizes"])[:-1])
    ends = np.cumsum(arrays["ring_counts"])
    return [
        ObjectPolygon(tuple(rings[end - count : end]))
        for end, count in zip(ends.tolist(), arrays["ring_counts"].tolist())
    ]


def turned_corners(boxes: np.ndarray) -> np.ndarray:
    """Return the corners ``(n, 4, 2)`` of turned boxes.

    Args:
        boxes: ``(n, 5)`` as centre x and y, width, height, and the angle in radians by which
            the width is turned from right towards down.
    """
    boxes = np.asarray(boxes, float).reshape(-1, 5)
    cos, sin = np.cos(boxes[:, 4]), np.sin(boxes[:, 4])
    across = np.stack([cos, sin], 1) * boxes[:, 2:3] / 2
    down = np.stack([-sin, cos], 1) * boxes[:, 3:4] / 2
    centre = boxes[:, :2]
    return np.stack(
        [centre - across - down, centre + across - down, centre + across + down]
        + [centre - across + down],
        axis=1,
    )
