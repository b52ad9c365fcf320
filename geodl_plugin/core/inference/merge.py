"""Detections of many tiles become those of the raster: each object once."""

from __future__ import annotations

import numpy as np

from ..geo.grid import Tile, Window
from ..geo.neighbours import areas, intersections, overlapping_pairs
from ..object_masks import as_objects
from .detections import BOTTOM, LEAST_SIDE, LEFT, RIGHT, TOP, Detections, tile_number
from .pieces import join_cut

RIM_SHARE = 0.02  # of a tile's side: a box that ends so near its rim is taken for cut
USUAL_SIDE = 512  # pixels, from which on wider tiles do not make boxes less exact
COVERED = 0.5  # share of a cut box that lies in another one, from which it is a part of that
SAME_OBJECT = 0.5  # IoU from which two tiles' boxes are one object, whatever may overlap

UNDECIDED, KEPT, DROPPED = 0, 1, 2


def suppress(found: Detections, overlap: float) -> Detections:
    """Return the best of the detections of each object, class by class, best first."""
    merger = Merger(overlap)
    merger.add(found)
    return merger.settle()


def place(found: Detections, tile: Tile, raster: Window, seen: Window | None = None) -> Detections:
    """Return a tile's detections in the raster's pixels, with what the tile's rim does to them.

    A piece that is cut in the padding is left out: the tile in whose inner part it lies sees
    where the object ends.

    Args:
        found: in pixels of the image.
        tile: its windows.
        raster: the window of all of it.
        seen: what the image shows of the tile, if not all: where it was trimmed nothing is cut,
            for there are no data beyond.
    """
    outer, inner, seen = tile.outer, tile.inner, seen or tile.outer
    boxes = found.boxes + np.array([seen.col, seen.row, seen.col, seen.row], float)
    if not found.outlined:
        # Networks of others tell boxes beyond what they see.
        low, high = (raster.col, raster.row), (raster.right, raster.bottom)
        boxes = boxes.clip([*low, *low], [*high, *high])
        there = ((boxes[:, 2:] - boxes[:, :2]) >= LEAST_SIDE).all(axis=1)
        found, boxes = found.take(there), boxes[there]
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
    number = np.full(len(found), tile_number(tile))
    masks = found.masks
    if found.outlined:
        masks = as_objects([each.moved(seen.col, seen.row) for each in masks])
    placed = Detections(boxes, found.scores, found.labels, cut, beyond > 0, number, masks)
    return placed.take((cut & beyond) == 0)


def rim_tolerance(size: int) -> float:
    """Return how near a box's side comes to the rim of a tile that cuts it, in pixels."""
    return max(1.0, RIM_SHARE * min(size, USUAL_SIDE))


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
        shared, area = _shared_and_own(ranked, first, second)
        ratio = shared / np.maximum(area[first] + area[second] - shared, 1e-12)
        covered = shared >= COVERED * area[second]
        falls = ratio > self.overlap
        falls |= (ranked.cut[second] > 0) & covered
        falls |= (ranked.tile[first] != ranked.tile[second]) & (ratio > SAME_OBJECT)
        return first[falls], second[falls]


def _shared_and_own(
    found: Detections, first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the areas ``(m,)`` that pairs share and all areas ``(n,)``: of masks or of boxes."""
    if not found.outlined:
        return intersections(found.boxes, first, second), areas(found.boxes)
    masks = found.masks
    pairs = zip(first.tolist(), second.tolist())
    shared = np.array([masks[one].shared(masks[other]) for one, other in pairs], float)
    return shared, np.array([each.area for each in masks], float)


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
