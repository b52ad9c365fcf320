"""Matching detections with a reference, and what follows from it: precision, recall, AP.

The rules are those of the COCO detection evaluation (T.-Y. Lin et al., Microsoft COCO: Common
Objects in Context, 2014; ``pycocotools.cocoeval``), without its limit of 100 detections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..geo.neighbours import ROUNDING

COCO_THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
RECALL_POINTS = np.linspace(0.0, 1.0, 101)
UNMATCHED = -1

Pairs = Sequence[Sequence[tuple[int, float]]]


@dataclass(frozen=True)
class Match:
    """Which reference each detection found.

    Attributes:
        reference: array ``(detections,)``, the index of the reference or :data:`UNMATCHED`.
        iou: array ``(detections,)``, the intersection over union of the match, else 0.
    """

    reference: np.ndarray
    iou: np.ndarray


def match(
    order: Sequence[int],
    pairs: Pairs,
    min_iou: float,
    counted: np.ndarray,
) -> Match:
    """Match greedily: the surest detection first takes the free reference it overlaps most.

    Args:
        order: indices of the detections, the surest first.
        pairs: for each detection the references it overlaps, with the intersection over union.
        min_iou: the least overlap of a match; one that rounding keeps below it is enough.
        counted: array ``(references,)``; a reference that does not count is taken only where
            no other fits.
    """
    reference = np.full(len(pairs), UNMATCHED, dtype=int)
    iou = np.zeros(len(pairs))
    taken = np.zeros(len(counted), dtype=bool)
    for detection in order:
        free = [
            (bool(counted[other]), overlap, -other)
            for other, overlap in pairs[detection]
            if overlap >= min_iou - ROUNDING and not taken[other]
        ]
        if free:
            _, overlap, negative = max(free)
            reference[detection], iou[detection] = -negative, overlap
            taken[-negative] = True
    return Match(reference, iou)


def by_confidence(confidences: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Return the order of detections, the surest first; ties do not depend on the file's order."""
    return np.lexsort((*bounds.T, -confidences))


@dataclass(frozen=True)
class Score:
    """How well the detections of a class, or of all, agree with the reference."""

    name: str
    true_positive: int
    false_positive: int
    false_negative: int
    average_precision: float | None

    @property
    def precision(self) -> float | None:
        """The share of detections that are right; none where nothing was detected."""
        return _ratio(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float | None:
        """The share of the reference that was found; none where there is no reference."""
        return _ratio(self.true_positive, self.true_positive + self.false_negative)

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN)."""
        twice = 2 * self.true_positive
        return _ratio(twice, twice + self.false_positive + self.false_negative)


@dataclass(frozen=True)
class Curve:
    """Precision and recall when only the surest detections are kept, more and more of them.

    Attributes:
        recall, precision, confidence: arrays ``(counted detections,)``.
    """

    recall: np.ndarray
    precision: np.ndarray
    confidence: np.ndarray

    @classmethod
    def of(cls, hits: np.ndarray, confidences: np.ndarray, reference_count: int) -> Curve:
        """Return the curve of detections ``(n,)`` sorted with the surest first."""
        found = np.cumsum(hits)
        kept = np.arange(1, len(hits) + 1)
        return cls(found / max(reference_count, 1), found / kept, confidences)

    def average_precision(self) -> float:
        """Return COCO's average precision.

        Precision is made to fall with recall, then averaged at 101 recalls from 0 to 1; it is
        0 at recalls that are not reached.
        """
        if not len(self.recall):
            return 0.0
        falling = np.maximum.accumulate(self.precision[::-1])[::-1]
        places = np.searchsorted(self.recall, RECALL_POINTS, side="left")
        return float(np.append(falling, 0.0)[places].mean())

    def best(self) -> tuple[float, float] | None:
        """Return the highest F1 and the confidence from which detections reach it."""
        total = self.precision + self.recall
        if not len(total) or not total.max():
            return None
        f1 = np.divide(
            2 * self.precision * self.recall, total, out=np.zeros_like(total), where=total > 0
        )
        # Detections of equal confidence are kept or dropped together.
        last = np.append(self.confidence[1:] != self.confidence[:-1], True)
        place = int(np.argmax(np.where(last, f1, -1.0)))
        return float(f1[place]), float(self.confidence[place])


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
