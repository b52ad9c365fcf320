"""The same objects in two lists, whatever their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Objects:
    """What is listed of one image.

    Attributes:
        boxes: ``(n, 4)`` in pixels.
        scores: ``(n,)``.
        labels: ``(n,)``, whatever numbers.
        masks: ``(n, m)``, the probabilities of the grids; ``m`` is 0 where there are none.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    masks: np.ndarray


@dataclass(frozen=True)
class Matched:
    """How two lists differ.

    Attributes:
        chance: at most, of the scores and masks of the objects that both have.
        shift: at most, of their boxes.
        missing: how many objects one of the lists has alone.
        count: how many both lists have together.
    """

    chance: float
    shift: float
    missing: int
    count: int


def listed(answer: Any) -> list[Objects]:
    """Return the objects of each image, without what fills the list up.

    Args:
        answer: of a converted detector of two stages: see :class:`.exportable.Exportable`.
    """
    found = []
    if isinstance(answer, dict):
        for boxes, scores, labels, masks in zip(
            *(answer[name] for name in ("boxes", "scores", "labels", "masks"))
        ):
            flat = masks.reshape(len(masks), -1)
            found.append(_real(Objects(boxes, scores, labels, flat)))
        return found
    for rows in np.asarray(answer).transpose(0, 2, 1):
        chances = rows[:, 4:]
        empty = np.zeros((len(rows), 0))
        found.append(_real(Objects(rows[:, :4], chances.max(1), chances.argmax(1), empty)))
    return found


def _real(objects: Objects) -> Objects:
    real = objects.scores != 0  # what is no number stays, and matches nothing
    return Objects(
        objects.boxes[real], objects.scores[real], objects.labels[real], objects.masks[real]
    )


def match(one: Objects, two: Objects, shift: float, chance: float) -> Matched:
    """Return how two lists differ; the same are objects of a class that differ by no more."""
    pairs = 0
    largest_chance = largest_shift = 0.0
    free = np.ones(len(two.scores), bool)
    for index in range(len(one.scores)):
        moved = np.abs(two.boxes - one.boxes[index]).max(1, initial=0.0)
        apart = np.abs(two.scores - one.scores[index])
        apart = np.maximum(apart, np.abs(two.masks - one.masks[index]).max(1, initial=0.0))
        same = free & (two.labels == one.labels[index]) & (moved <= shift) & (apart <= chance)
        if not same.any():
            continue
        place = int(np.where(same, moved, np.inf).argmin())
        free[place] = False
        pairs += 1
        largest_chance = max(largest_chance, float(apart[place]))
        largest_shift = max(largest_shift, float(moved[place]))
    missing = len(one.scores) + len(two.scores) - 2 * pairs
    return Matched(largest_chance, largest_shift, missing, len(one.scores) + len(two.scores))
