"""Which chips share ground."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..geo.neighbours import overlapping_pairs

# Neighbours share their edge; rounding of map coordinates must not make that an overlap.
_TOLERANCE = 1e-6  # sides of a chip
_AT_A_TIME = 100_000  # pairs whose corners are compared


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

    def among(self, corners: np.ndarray, systems: np.ndarray) -> Clashes:
        """Return the clashes without those of turned chips of which only the bounds meet.

        Args:
            corners: of all chips ``(n, 4, 2)``, in turn.
            systems: number of each chip's coordinate reference system ``(n,)``; the corners of
                one are compared. Chips of a negative one have no place.
        """
        first, second = self.pairs()
        turned = _are_turned(corners)
        doubtful = (turned[first] | turned[second]) & (systems[first] == systems[second])
        doubtful &= systems[first] >= 0
        keep = np.ones(len(first), bool)
        places = np.flatnonzero(doubtful)
        for part in np.array_split(places, -(-len(places) // _AT_A_TIME)) if len(places) else ():
            keep[part] = _share_ground(corners[first[part]], corners[second[part]])
        return Clashes.of_pairs(self.count, [(first[keep], second[keep])])

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

    def count_beside(self, chosen: np.ndarray) -> np.ndarray:
        """Return with how many of the ``chosen`` ``(n,)`` each chip shares ground, ``(n,)``."""
        return np.bincount(self.second[chosen[self.first]], minlength=self.count)

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


def _are_turned(corners: np.ndarray) -> np.ndarray:
    """Return which chips ``(n,)`` do not fill their bounds."""
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 1]
    own = np.abs(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0])
    full = np.prod(corners.max(axis=1) - corners.min(axis=1), axis=1)
    return own < (1 - _TOLERANCE) * full


def _share_ground(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return which pairs of parallelograms ``(m, 4, 2)`` share an area, ``(m,)``.

    Two of them do unless they lie apart as seen along a side of one of them.
    """
    sides = np.concatenate([each[:, 1:3] - each[:, :2] for each in (ones, others)], axis=1)
    across = np.stack([-sides[..., 1], sides[..., 0]], axis=-1)
    # From a corner nearby: large coordinates would cost digits.
    corner = ones[:, :1]
    spans = []
    for each in (ones, others):
        places = np.einsum("mcx,mdx->mdc", each - corner, across)
        spans.append((places.min(axis=2), places.max(axis=2)))
    (low, high), (begin, end) = spans
    shared = np.minimum(high, end) - np.maximum(low, begin)
    return (shared > _TOLERANCE * np.maximum(high - low, end - begin)).all(axis=1)
