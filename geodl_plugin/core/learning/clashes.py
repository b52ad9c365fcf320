"""Which chips share ground."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..geo.neighbours import overlapping_pairs

# Neighbours share their edge; rounding of map coordinates must not make that an overlap.
_TOLERANCE = 1e-6  # sides of a chip


@dataclass(frozen=True)
class Clashes:
    """Pairs of chips that share ground; the memory is that of the pairs.

    Attributes:
        count: of the chips.
        first, second: positions ``(m,)``; each pair is there twice, in both orders.
    """

    count: int
    first: np.ndarray
    second: np.ndarray

    @classmethod
    def of_bounds(cls, bounds: np.ndarray) -> Clashes:
        """Return which chips share an area of the map.

        Args:
            bounds: ``(n, 4)`` as xmin, ymin, xmax, ymax.
        """
        bounds = np.asarray(bounds, float).reshape(-1, 4)
        placed = np.flatnonzero((bounds[:, 2:] > bounds[:, :2]).all(axis=1))
        known = bounds[placed]
        sides = (known[:, 2:] - known[:, :2]).mean(axis=0) if len(known) else np.ones(2)
        corner = known[:, :2].min(axis=0, initial=np.inf)
        # In sides of a chip, for pixels may be oblong and degrees are small numbers.
        smaller = (known - np.tile(corner, 2)) / np.tile(sides, 2)
        smaller += _TOLERANCE / 2 * np.array([1.0, 1.0, -1.0, -1.0])
        first, second = overlapping_pairs(smaller, np.zeros(len(smaller), np.int64))
        return cls.of_pairs(len(bounds), [(placed[first], placed[second])])

    @classmethod
    def of_pairs(cls, count: int, pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Clashes:
        """Return the clashes of pairs, each of which is there in one order."""
        parts = [np.empty((2, 0), np.int64), *(np.stack(each) for each in pairs)]
        first, second = np.concatenate(parts, axis=1)
        return cls(count, np.concatenate([first, second]), np.concatenate([second, first]))

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Return each pair once, the smaller position first."""
        once = self.first < self.second
        return self.first[once], self.second[once]

    def beside(self, chosen: np.ndarray) -> np.ndarray:
        """Return which chips ``(n,)`` share ground with any of the ``chosen`` ``(n,)``."""
        found = np.zeros(self.count, bool)
        found[self.second[chosen[self.first]]] = True
        return found

    def least_beside(self, values: np.ndarray, none: int) -> np.ndarray:
        """Return for each chip the least of the values ``(n,)`` of those it clashes with."""
        least = np.full(self.count, none, values.dtype)
        np.minimum.at(least, self.second, values[self.first])
        return least

    def of(self, positions: Sequence[int]) -> Clashes:
        """Return the clashes of some of the chips, among each other."""
        chosen = np.asarray(positions, np.int64)
        place = np.full(self.count, -1, np.int64)
        place[chosen] = np.arange(len(chosen))
        first, second = place[self.first], place[self.second]
        keep = (first >= 0) & (second >= 0)
        return Clashes(len(chosen), first[keep], second[keep])
