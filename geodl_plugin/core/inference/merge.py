"""Detections of many tiles become those of the raster: each object once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from ..geo.grid import Tile, Window
from .neighbours import areas, intersections, overlapping_pairs

LEFT, TOP, RIGHT, BOTTOM = 1, 2, 4, 8
RIM_SHARE = 0.02  # of a tile's side: a box that ends so near its rim is taken for cut
COVERED = 0.5  # share of a cut box that lies in another one, from which it is a part of that
SAME_OBJECT = 0.5  # IoU from which two tiles' boxes are one object, whatever may overlap
ALIGNED = 0.6  # IoU of the sides along which two cut boxes are joined

UNDECIDED, KEPT, DROPPED = 0, 1, 2


@dataclass(frozen=True)
class Detections:
    """Boxes found in an image.

    Attributes:
        boxes: array ``(n, 4)`` of xmin, ymin, xmax, ymax in pixels.
        scores: array ``(n,)``, 0 to 1.
        labels: array ``(n,)`` of indices of classes.
        cut: array ``(n,)`` of bits: the sides at which the tile's rim cuts the box.
        padded: array ``(n,)``: whether the centre lies in the tile's padding.
        tile: array ``(n,)`` of numbers: which tile it was found in.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    cut: np.ndarray
    padded: np.ndarray
    tile: np.ndarray

    @classmethod
    def of(cls, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> Detections:
        """Return detections that no tile cuts."""
        count = len(scores)
        return cls(
            np.asarray(boxes, float).reshape(-1, 4),
            np.asarray(scores, float),
            np.asarray(labels, np.int64),
            np.zeros(count, np.int64),
            np.zeros(count, bool),
            np.zeros(count, np.int64),
        )

    @classmethod
    def none(cls) -> Detections:
        """Return no detections."""
        return cls.of(np.empty((0, 4)), np.empty(0), np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, chosen: np.ndarray) -> Detections:
        """Return the detections at indices, or where a mask is true."""
        return Detections(*(getattr(self, each.name)[chosen] for each in fields(self)))

    @staticmethod
    def join(parts: Sequence[Detections]) -> Detections:
        """Return all detections of several."""
        names = [each.name for each in fields(Detections)]
        return Detections(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in names)
        )

    @property
    def centres(self) -> np.ndarray:
        """The middles ``(n, 2)`` of the boxes."""
        return (self.boxes[:, :2] + self.boxes[:, 2:]) / 2


def suppress(found: Detections, overlap: float) -> Detections:
    """Return the best of the detections of each object, class by class, best first."""
    merger = Merger(overlap)
    merger.add(found)
    return merger.settle()


def place(found: Detections, tile: Tile, raster: Window) -> Detections:
    """Return a tile's detections in the raster's pixels, with what the tile's rim does to them.

    A piece that is cut in the padding is left out: the tile in whose inner part it lies sees
    where the object ends.
    """
    outer, inner = tile.outer, tile.inner
    boxes = found.boxes + np.array([outer.col, outer.row, outer.col, outer.row], float)
    near = rim_tolerance(min(outer.width, outer.height))
    cut = np.zeros(len(found), np.int64)
    # The raster's own edges cut nothing that another tile could see whole.
    if outer.col > raster.col:
        cut |= np.where(boxes[:, 0] < outer.col + near, LEFT, 0)
    if outer.row > raster.row:
        cut |= np.where(boxes[:, 1] < outer.row + near, TOP, 0)
    if outer.right < raster.right:
        cut |= np.where(boxes[:, 2] > outer.right - near, RIGHT, 0)
    if outer.bottom < raster.bottom:
        cut |= np.where(boxes[:, 3] > outer.bottom - near, BOTTOM, 0)
    x, y = ((boxes[:, :2] + boxes[:, 2:]) / 2).T
    beyond = np.where(x < inner.col, LEFT, 0) | np.where(y < inner.row, TOP, 0)
    beyond |= np.where(x >= inner.right, RIGHT, 0) | np.where(y >= inner.bottom, BOTTOM, 0)
    number = np.full(len(found), outer.row * 2**31 + outer.col)
    placed = Detections(boxes, found.scores, found.labels, cut, beyond > 0, number)
    return placed.take((cut & beyond) == 0)


def rim_tolerance(size: int) -> float:
    """Return how near a box's side comes to the rim of a tile that cuts it, in pixels."""
    return max(1.0, RIM_SHARE * size)


def inside(points: np.ndarray, window: Window, margin: float = 0.0) -> np.ndarray:
    """Return which points ``(n, 2)`` lie in a window that is grown by a margin."""
    x, y = points[:, 0], points[:, 1]
    across = (x >= window.col - margin) & (x < window.right + margin)
    return across & (y >= window.row - margin) & (y < window.bottom + margin)


class Merger:
    """Non-maximum suppression of a stream of detections that comes from top to bottom.

    The result is that of suppressing all at once, but a box leaves as soon as nothing that
    is still to come can change its fate. Boxes rank by whether they are whole, whether they
    lie in the inner part of their tile, and by score; a box falls to one of higher rank and
    the same class that overlaps it, unless that one falls itself.

    Args:
        overlap: intersection over union above which two boxes are one object.
        margin: how far above the frontier boxes may still be added or grow, in pixels.
    """

    def __init__(self, overlap: float, margin: float = 0.0) -> None:
        self.overlap = overlap
        self.margin = margin
        self._pending = [Detections.none()]

    def add(self, found: Detections) -> None:
        """Add detections in the raster's pixels."""
        if len(found):
            self._pending.append(found)

    def settle(self, frontier: float = np.inf) -> Detections:
        """Return the detections that are decided, best first.

        Args:
            frontier: the row above which nothing will be added any more.
        """
        waiting = _ranked(join_cut(Detections.join(self._pending)))
        open_ = waiting.boxes[:, 3] > frontier - self.margin
        state = decide(*self._falling(waiting), open_)
        self._pending = [waiting.take(state == UNDECIDED)]
        return waiting.take(state == KEPT)

    def _falling(self, ranked: Detections) -> tuple[np.ndarray, np.ndarray]:
        """Return pairs of which the second falls if the first one stands."""
        first, second = overlapping_pairs(ranked.boxes, ranked.labels)
        shared = intersections(ranked.boxes, first, second)
        area = areas(ranked.boxes)
        ratio = shared / np.maximum(area[first] + area[second] - shared, 1e-12)
        covered = shared >= COVERED * area[second]
        falls = ratio > self.overlap
        falls |= (ranked.cut[second] > 0) & covered
        falls |= (ranked.tile[first] != ranked.tile[second]) & (ratio > SAME_OBJECT)
        return first[falls], second[falls]


def _ranked(found: Detections) -> Detections:
    boxes = found.boxes
    return found.take(
        np.lexsort((boxes[:, 0], boxes[:, 1], -found.scores, found.padded, found.cut > 0))
    )


def decide(first: np.ndarray, second: np.ndarray, open_: np.ndarray) -> np.ndarray:
    """Return the state of each box; round by round those stand that no other can fell.

    Args:
        first, second: arrays ``(m,)`` of indices: the second falls if the first one stands.
        open_: array ``(n,)``: boxes that are not to be decided yet.

    Returns:
        Array ``(n,)`` of UNDECIDED, KEPT or DROPPED.
    """
    state = np.full(len(open_), UNDECIDED)
    while True:
        blocked = np.zeros(len(open_), bool)
        alive = (state[first] == UNDECIDED) & (state[second] == UNDECIDED)
        blocked[second[alive]] = True
        stands = (state == UNDECIDED) & ~blocked & ~open_
        if not stands.any():
            return state
        state[stands] = KEPT
        fallen = second[stands[first]]
        state[fallen[state[fallen] == UNDECIDED]] = DROPPED
        first, second = first[alive], second[alive]


def join_cut(found: Detections) -> Detections:
    """Join the pieces of objects that no tile sees whole: they are larger than the overlap."""
    if not found.cut.any():
        return found
    joined = Detections(*(getattr(found, each.name).copy() for each in fields(found)))
    alive = np.ones(len(found), bool)
    for before, after, axis in ((RIGHT, LEFT, 0), (BOTTOM, TOP, 1)):
        for one in np.flatnonzero(joined.cut & before).tolist():
            # What was joined may be cut behind the second piece too.
            while alive[one] and joined.cut[one] & before:
                other = _continuation(joined, alive, one, after, axis)
                if other is None:
                    break
                _join_pair(joined, one, other, before, after)
                alive[other] = False
    return joined.take(alive)


def _join_pair(found: Detections, one: int, other: int, before: int, after: int) -> None:
    boxes = found.boxes
    boxes[one, :2] = np.minimum(boxes[one, :2], boxes[other, :2])
    boxes[one, 2:] = np.maximum(boxes[one, 2:], boxes[other, 2:])
    found.scores[one] = max(found.scores[one], found.scores[other])
    found.cut[one] = (found.cut[one] & ~before) | (found.cut[other] & ~after)
    found.padded[one] &= found.padded[other]


def _continuation(
    found: Detections, alive: np.ndarray, one: int, after: int, axis: int
) -> int | None:
    """Return the piece that goes on where the tile of ``one`` ends."""
    begins = np.flatnonzero(alive & ((found.cut & after) > 0) & (found.labels == found.labels[one]))
    low, high = found.boxes[begins, :2], found.boxes[begins, 2:]
    own_low, own_high = found.boxes[one, :2], found.boxes[one, 2:]
    side = 1 - axis
    # The first piece reaches into the second, and the second goes on behind it.
    fits = (begins != one) & (own_low[axis] <= low[:, axis]) & (low[:, axis] <= own_high[axis])
    fits &= own_high[axis] <= high[:, axis]
    shared = np.minimum(own_high, high)[:, side] - np.maximum(own_low, low)[:, side]
    whole = np.maximum(own_high, high)[:, side] - np.minimum(own_low, low)[:, side]
    fits &= shared >= ALIGNED * whole
    return int(begins[fits][0]) if fits.any() else None
