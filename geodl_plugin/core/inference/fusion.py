"""Weighted box fusion: the boxes that several views have found of one object become one.

Solovyev, Wang, Gabruseva: Weighted boxes fusion, 2019, arXiv:1910.13302.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..geo.neighbours import areas
from ..object_masks import ObjectMask
from .detections import Detections
from .polygons import ObjectPolygon

SAME_OBJECT = 0.55  # IoU with the joined box so far; the paper's threshold
LEAST_WEIGHT = 1e-9  # of a box, for a threshold of 0 lets boxes without any score pass


def fuse(views: Sequence[Detections]) -> Detections:
    """Return the objects that views of one image have found, most certain first.

    A joined box is the mean of its boxes, weighted by their scores; its score is their mean,
    less where not all views have found it. Outlines cannot be averaged: the surest view's stays,
    and outlines are compared with it. What one view tells apart is not joined.
    """
    found = Detections.join(views)
    order = np.lexsort((found.boxes[:, 0], found.boxes[:, 1], -found.scores))
    ranked = found.take(order)
    origin = np.repeat(np.arange(len(views)), [len(each) for each in views])[order]
    seen = np.zeros((len(found), len(views)), bool)  # by which view a joined box was found
    joined = np.empty_like(ranked.boxes)
    labels = np.empty_like(ranked.labels)
    members: list[list[int]] = []
    for index, (box, label) in enumerate(zip(ranked.boxes, ranked.labels)):
        if ranked.outlined:
            surest = [ranked.masks[each[0]] for each in members]
            ratios = _outline_ratios(ranked.masks[index], surest)
        else:
            ratios = _ratios(box, joined[: len(members)])
        ratios[labels[: len(members)] != label] = 0.0
        ratios[seen[: len(members), origin[index]]] = 0.0
        if len(ratios) and ratios.max() > SAME_OBJECT:
            place = int(ratios.argmax())
            members[place].append(index)
            weights = np.maximum(ranked.scores[members[place]], LEAST_WEIGHT)
            joined[place] = np.average(ranked.boxes[members[place]], axis=0, weights=weights)
        else:
            place = len(members)
            joined[place], labels[place] = box, label
            members.append([index])
        seen[place, origin[index]] = True
    scores = np.array([ranked.scores[each].sum() / len(views) for each in members])
    best = ranked.take(np.array([each[0] for each in members], np.int64))
    boxes = best.boxes if best.outlined else joined[: len(members)]
    order = np.argsort(-scores, kind="stable")
    return dataclasses.replace(best, boxes=boxes, scores=scores).take(order)


def _ratios(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return intersection over union ``(n,)`` of a box with others."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    return shared / np.maximum(areas(box[None]) + areas(others) - shared, 1e-12)


def _outline_ratios(outline: ObjectMask | ObjectPolygon, others: Sequence[Any]) -> np.ndarray:
    """Return intersection over union ``(n,)`` of an outline with others."""
    shared = np.array([outline.shared(each) for each in others], float)
    both = np.array([outline.area + each.area for each in others], float)
    return shared / np.maximum(both - shared, 1e-12)
