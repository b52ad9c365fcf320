"""The confusion matrix and the figures that follow from it.

User's and producer's accuracy and kappa as in R. G. Congalton, A review of assessing the
accuracy of classifications of remotely sensed data, 1991.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Confusion:
    """How many pixels of each class of the reference were given each class.

    Attributes:
        values: the class values, ascending.
        names: their names.
        counts: array ``(n, n)``; rows are the result's classes, columns the reference's.
    """

    values: tuple[int, ...]
    names: tuple[str, ...]
    counts: np.ndarray

    @classmethod
    def of(cls, pairs: Mapping[tuple[int, int], int], names: Mapping[int, str]) -> Confusion:
        """Return the matrix of pixels counted by (value in the result, value in the reference)."""
        values = sorted({value for pair in pairs for value in pair})
        counts = np.zeros((len(values), len(values)), dtype=np.int64)
        for (result, reference), count in pairs.items():
            counts[values.index(result), values.index(reference)] += count
        return cls(tuple(values), tuple(names.get(each, str(each)) for each in values), counts)

    @property
    def total(self) -> int:
        """How many pixels were compared."""
        return int(self.counts.sum())

    @property
    def hits(self) -> np.ndarray:
        """Pixels ``(n,)`` of each class on which both agree."""
        return np.diag(self.counts)

    @property
    def results(self) -> np.ndarray:
        """Pixels ``(n,)`` of each class in the result."""
        return self.counts.sum(axis=1)

    @property
    def references(self) -> np.ndarray:
        """Pixels ``(n,)`` of each class in the reference."""
        return self.counts.sum(axis=0)

    @property
    def users_accuracy(self) -> np.ndarray:
        """The share ``(n,)`` of a class in the result that is right (precision); NaN if none."""
        return _ratios(self.hits, self.results)

    @property
    def producers_accuracy(self) -> np.ndarray:
        """The share ``(n,)`` of a class in the reference that was found (recall); NaN if none."""
        return _ratios(self.hits, self.references)

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union ``(n,)``."""
        return _ratios(self.hits, self.results + self.references - self.hits)

    @property
    def f1(self) -> np.ndarray:
        """F1 ``(n,)``, the harmonic mean of user's and producer's accuracy."""
        return _ratios(2 * self.hits, self.results + self.references)

    @property
    def overall_accuracy(self) -> float:
        """The share of pixels on which both agree."""
        return float(self.hits.sum() / self.total)

    @property
    def mean_iou(self) -> float:
        """The mean of :attr:`iou` over the classes that occur."""
        return float(np.nanmean(self.iou))

    @property
    def macro_f1(self) -> float:
        """The mean of :attr:`f1` over the classes that occur."""
        return float(np.nanmean(self.f1))

    @property
    def kappa(self) -> float:
        """Cohen's kappa: agreement beyond chance, 1 where all is of one and the same class."""
        chance = float((self.results / self.total * (self.references / self.total)).sum())
        if chance >= 1:
            return 1.0
        return (self.overall_accuracy - chance) / (1 - chance)


def _ratios(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    return np.divide(parts, wholes, out=np.full(len(parts), np.nan), where=wholes > 0)
