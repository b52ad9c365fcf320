"""Pieces of objects that no tile sees whole, because they are larger than the overlap."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from ..geo.neighbours import overlapping_pairs
from .detections import BOTTOM, LEFT, RIGHT, TOP, Detections

ALIGNED = 0.6  # IoU of the sides along which two cut boxes are joined
AGREEING = 0.5  # IoU of two masks where both tiles see the object, from which it is one


def join_cut(found: Detections) -> Detections:
    """Join the pieces of objects that no tile sees whole: they are larger than the overlap."""
    if not found.cut.any():
        return found
    if found.outlined:
        return _join_masks(found)
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


def _join_masks(found: Detections) -> Detections:
    """Join the pieces whose masks agree where their tiles overlap, whatever their shapes."""
    pieces = np.flatnonzero(found.cut)
    first, second = overlapping_pairs(found.boxes[pieces], found.labels[pieces])
    group = np.arange(len(found))
    for one, other in zip(pieces[first].tolist(), pieces[second].tolist()):
        apart = found.tile[one] != found.tile[other] and group[one] != group[other]
        if apart and found.masks[one].agreement(found.masks[other]) >= AGREEING:
            group[group == group[other]] = group[one]
    joined = Detections(*(getattr(found, each.name).copy() for each in fields(found)))
    alive = np.ones(len(found), bool)
    for leader in np.unique(group[pieces]).tolist():
        members = np.flatnonzero(group == leader)
        if len(members) > 1:
            _unite(joined, members)
            alive[members[1:]] = False
    return joined.take(alive)


def _unite(found: Detections, members: np.ndarray) -> None:
    """Make the first of the members what all of them are together."""
    first = members[0]
    boxes, cuts = found.boxes[members], found.cut[members]
    box = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])
    cut = 0
    for side, bit in enumerate((LEFT, TOP, RIGHT, BOTTOM)):
        # The whole is cut where the piece that reaches farthest is.
        farthest = np.abs(boxes[:, side] - box[side]) < 1
        cut |= bit if (cuts[farthest] & bit).all() else 0
    mask = found.masks[first]
    for member in members[1:].tolist():
        mask = mask.joined(found.masks[member])
    found.boxes[first], found.cut[first], found.masks[first] = box, cut, mask
    found.scores[first] = found.scores[members].max()
    found.padded[first] = found.padded[members].all()
