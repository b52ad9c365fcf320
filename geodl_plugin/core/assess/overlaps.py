"""Intersection over union between two sets of polygons, without comparing all with all."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..geo.gdal_calls import attempt
from ..geo.neighbours import ROUNDING
from ..geo.shapes import area_of
from ..progress import Phase

RECTANGLE_TOLERANCE = 1e-9  # share by which a rectangle's area may differ from its envelope's


@dataclass(frozen=True)
class Shapes:
    """Polygons with what is asked of them again and again.

    Attributes:
        geometries: OGR geometries.
        bounds: array ``(n, 4)`` of xmin, ymin, xmax, ymax.
        areas: array ``(n,)``.
        rectangles: array ``(n,)``, true where a polygon fills its envelope.
    """

    geometries: Sequence[Any]
    bounds: np.ndarray
    areas: np.ndarray
    rectangles: np.ndarray

    @classmethod
    def of(cls, geometries: Sequence[Any]) -> Shapes:
        """Measure polygons."""
        envelopes = np.array(
            [geometry.GetEnvelope() for geometry in geometries], dtype=float
        ).reshape(-1, 4)
        bounds = envelopes[:, [0, 2, 1, 3]]
        areas = np.array([geometry.GetArea() for geometry in geometries], dtype=float)
        full = (bounds[:, 2] - bounds[:, 0]) * (bounds[:, 3] - bounds[:, 1])
        return cls(geometries, bounds, areas, np.abs(full - areas) <= RECTANGLE_TOLERANCE * full)

    def __len__(self) -> int:
        return len(self.geometries)


def overlaps(
    ones: Shapes,
    others: Shapes,
    minimum: float,
    phase: Phase | None = None,
) -> list[list[tuple[int, float]]]:
    """Return for each of ``ones`` the indices of ``others`` it overlaps, with the exact IoU.

    Intersection over union is the area of the intersection over the area of the union.

    Args:
        ones, others: polygons in the same coordinates.
        minimum: pairs below this intersection over union, less its rounding, are left out;
            above 0.
        phase: stepped once for each of ``ones``.
    """
    found: list[list[tuple[int, float]]] = []
    # Not more than half of it: what only touches must not overlap.
    minimum -= min(ROUNDING, minimum / 2)
    grid = _Grid(others.bounds)
    for index, candidates in enumerate(grid.meeting(ones.bounds)):
        pairs = []
        for other, ceiling in _ceilings(ones, index, others, candidates):
            if ceiling < minimum:
                continue
            exact = _iou(ones, index, others, other, ceiling)
            if exact >= minimum:
                pairs.append((other, exact))
        found.append(pairs)
        if phase is not None:
            phase.step()
    return found


def _ceilings(
    ones: Shapes, index: int, others: Shapes, candidates: np.ndarray
) -> Iterator[tuple[int, float]]:
    """Yield candidates with the most their IoU can be; for two rectangles it is the IoU."""
    if not len(candidates):
        return
    box, boxes = ones.bounds[index], others.bounds[candidates]
    width = np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0])
    height = np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1])
    area, areas = ones.areas[index], others.areas[candidates]
    shared = np.clip(width, 0, None) * np.clip(height, 0, None)
    shared = np.minimum(shared, np.minimum(area, areas))
    union = area + areas - shared
    ratios = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    yield from zip(candidates.tolist(), ratios.tolist())


def _iou(ones: Shapes, one: int, others: Shapes, other: int, ceiling: float) -> float:
    if ones.rectangles[one] and others.rectangles[other]:
        return ceiling
    area = area_of(attempt(ones.geometries[one].Intersection, others.geometries[other]))
    union = ones.areas[one] + others.areas[other] - area
    return float(area / union) if union > 0 else 0.0


class _Grid:
    """Boxes sorted into square cells, at most about as many cells as boxes."""

    def __init__(self, bounds: np.ndarray) -> None:
        self._bounds = bounds
        self._cells: dict[tuple[int, int], list[int]] = defaultdict(list)
        if not len(bounds):
            return
        sides = bounds[:, 2:] - bounds[:, :2]
        extent = bounds[:, 2:].max(axis=0) - bounds[:, :2].min(axis=0)
        self._origin = bounds[:, :2].min(axis=0)
        self._size = max(float(sides.mean()), float(extent.max()) / math.sqrt(len(bounds)), 1e-12)
        for index, (left, bottom, right, top) in enumerate(self._spans(bounds).tolist()):
            for col in range(left, right + 1):
                for row in range(bottom, top + 1):
                    self._cells[col, row].append(index)
        self._last = self._spans(bounds)[:, 2:].max(axis=0)

    def meeting(self, boxes: np.ndarray) -> Iterator[np.ndarray]:
        """Yield for each box the sorted indices of those whose cells it meets."""
        nothing = np.empty(0, dtype=int)
        if not self._cells:
            yield from (nothing for _ in boxes)
            return
        spans = self._spans(boxes)
        spans[:, :2] = np.maximum(spans[:, :2], 0)
        spans[:, 2:] = np.minimum(spans[:, 2:], self._last)
        for left, bottom, right, top in spans.tolist():
            found: set[int] = set()
            for col in range(left, right + 1):
                for row in range(bottom, top + 1):
                    found.update(self._cells.get((col, row), ()))
            yield np.array(sorted(found), dtype=int) if found else nothing

    def _spans(self, boxes: np.ndarray) -> np.ndarray:
        origin = np.tile(self._origin, 2)
        return np.floor((boxes - origin) / self._size).astype(np.int64)
