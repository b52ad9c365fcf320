"""Which boxes overlap: all pairs, found through a grid instead of comparing all with all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

PAIRS_AT_A_TIME = 1_000_000  # bounds the memory where many boxes lie on one another
LARGEST_SPAN = 16  # cells that the largest box in the grid covers along one axis
ROUNDING = 1e-6  # of an area that is shared: map coordinates are large numbers
LARGE = 1000  # boxes at most that are compared with all others

Pairs = tuple[np.ndarray, np.ndarray]


def overlapping_pairs(boxes: np.ndarray, labels: np.ndarray) -> Pairs:
    """Return the pairs of boxes of one class that share an area.

    Args:
        boxes: array ``(n, 4)`` of xmin, ymin, xmax, ymax.
        labels: array ``(n,)`` of classes, 0 or more.

    Returns:
        Two arrays ``(m,)`` of indices; the first index of a pair is the smaller one.
    """
    none = np.empty(0, np.int64)
    if len(boxes) < 2:
        return none, none
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    # Cells fit for a box that is much larger than most would hold thousands of the others.
    usual = max(LARGEST_SPAN * float(np.median(sides)), float(np.sort(sides)[-LARGE:][0]))
    small, large = np.flatnonzero(sides <= usual), np.flatnonzero(sides > usual)
    grid = _Grid(boxes[small], labels[small])
    found = [grid.touching(first, second) for first, second in grid.candidates()]
    found = [(small[first], small[second]) for first, second in found]
    found += [_with_all(boxes, labels, one, large) for one in large.tolist()]
    return (
        np.concatenate([none, *(first for first, _ in found)]),
        np.concatenate([none, *(second for _, second in found)]),
    )


def _with_all(boxes: np.ndarray, labels: np.ndarray, one: int, large: np.ndarray) -> Pairs:
    """Return the pairs of a large box with all others; of two large ones the first has them."""
    low = np.maximum(boxes[one, :2], boxes[:, :2])
    high = np.minimum(boxes[one, 2:], boxes[:, 2:])
    meets = (high > low).all(axis=1) & (labels == labels[one])
    meets[large[large <= one]] = False
    others = np.flatnonzero(meets)
    return np.minimum(others, one), np.maximum(others, one)


def intersections(boxes: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the areas ``(m,)`` that pairs of boxes share."""
    one, other = boxes[first], boxes[second]
    low = np.maximum(one[:, :2], other[:, :2])
    high = np.minimum(one[:, 2:], other[:, 2:])
    return np.clip(high - low, 0, None).prod(axis=1)


def areas(boxes: np.ndarray) -> np.ndarray:
    """Return the areas ``(n,)`` of boxes."""
    return (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)


class _Grid:
    """Boxes as entries in square cells: a box that covers four cells has four entries."""

    def __init__(self, boxes: np.ndarray, labels: np.ndarray) -> None:
        self._boxes = boxes
        sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
        self._side = max(float(np.median(sides)), float(sides.max()) / LARGEST_SPAN, 1e-6)
        self._origin = boxes[:, :2].min(axis=0)
        low, high = self._cells(boxes[:, :2]), self._cells(boxes[:, 2:])
        spans = high - low + 1
        counts = spans.prod(axis=1)
        box = np.repeat(np.arange(len(boxes)), counts)
        local = _count_up(counts)
        cols = low[box, 0] + local % spans[box, 0]
        rows = low[box, 1] + local // spans[box, 0]
        # Classes never meet, so each has cells of its own.
        keys = (rows * (int(high[:, 0].max()) + 1) + cols) * (int(labels.max()) + 1) + labels[box]
        order = np.argsort(keys, kind="stable")
        self._keys, self._box = keys[order], box[order]
        self._place = np.stack([cols[order], rows[order]], axis=1)

    def candidates(self) -> Iterator[Pairs]:
        """Yield pairs of entries of one cell, in portions."""
        places = np.arange(len(self._keys))
        partners = np.searchsorted(self._keys, self._keys, side="right") - places - 1
        before = np.concatenate([[0], partners.cumsum()])
        start = 0
        while start < len(places):
            limit = before[start] + PAIRS_AT_A_TIME
            stop = max(int(np.searchsorted(before, limit, side="right")) - 1, start + 1)
            counts = partners[start:stop]
            first = np.repeat(places[start:stop], counts)
            yield first, first + 1 + _count_up(counts)
            start = stop

    def touching(self, first: np.ndarray, second: np.ndarray) -> Pairs:
        """Return the boxes of those entries that share an area."""
        one, other = self._boxes[self._box[first]], self._boxes[self._box[second]]
        low = np.maximum(one[:, :2], other[:, :2])
        high = np.minimum(one[:, 2:], other[:, 2:])
        # Boxes may share several cells: the pair counts where its shared area begins.
        home = (self._cells(low) == self._place[first]).all(axis=1)
        keep = home & (high > low).all(axis=1)
        return self._box[first[keep]], self._box[second[keep]]

    def _cells(self, points: np.ndarray) -> np.ndarray:
        return np.floor((points - self._origin) / self._side).astype(np.int64)


def _count_up(counts: np.ndarray) -> np.ndarray:
    """Return 0, 1, … up to each count, one after the other."""
    return np.arange(int(counts.sum())) - np.repeat(counts.cumsum() - counts, counts)
