"""Which chips train and which validate, without a place on both sides."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# Neighbours share their edge; rounding of map coordinates must not make that an overlap.
_TOLERANCE = 1e-6
_DRAWS = 8


@dataclass(frozen=True)
class Split:
    """Positions of chips by their use.

    Attributes:
        training, validation: positions in the folder's list.
        dropped: those that overlap a validation chip, used by neither.
        unseen: whether the validation chips were kept from training.
    """

    training: tuple[int, ...]
    validation: tuple[int, ...]
    dropped: tuple[int, ...]
    unseen: bool = True

    def describe(self) -> str:
        """Return one sentence for people."""
        if not self.unseen:
            return (
                f"All {len(self.training)} chips train: none could be set apart for validation, "
                "so the scores are of chips that the network has seen."
            )
        text = (
            f"{len(self.training)} chips train and {len(self.validation)} validate, "
            "set apart in blocks of the map"
        )
        if self.dropped:
            text += f"; {len(self.dropped)} that overlap validation chips are left out"
        return text + "."


def split_chips(footprints: np.ndarray, percentage: float, seed: int) -> Split:
    """Set chips apart for validation so that no training chip overlaps any of them.

    Whole blocks of the map, about three chips wide, are drawn at random until the share is
    reached; training chips that overlap a drawn one are left out. Of several draws the one
    that leaves most chips to train on counts.

    Args:
        footprints: map bounds ``(n, 4)`` as xmin, ymin, xmax, ymax.
        percentage: share of the chips, 0 to 90.
        seed: of the draw.
    """
    bounds = np.asarray(footprints, dtype=float).reshape(-1, 4)
    count = len(bounds)
    wanted = min(max(round(count * percentage / 100), 1), count - 1)
    if percentage <= 0 or wanted < 1:
        return _seen(count)
    clashes = _overlaps(bounds)
    random = np.random.default_rng(seed)
    draws = [_draw(clashes, _in_blocks(bounds, random), wanted) for _ in range(_DRAWS)]
    best = max((draw for draw in draws if draw), key=lambda each: len(each.training), default=None)
    return best or _seen(count)


def _draw(clashes: np.ndarray, order: np.ndarray, wanted: int) -> Split | None:
    """Return the split that validates the first chips of ``order``, none if it is not clean.

    Where chips overlap a lot, fewer validate, so that something is left to train on.
    """
    for size in range(wanted, 0, -1):
        chosen = order[:size]
        barred = clashes[chosen].any(axis=0)
        barred[chosen] = False
        training = np.ones(len(order), bool)
        training[chosen] = False
        training &= ~barred
        if training.sum() >= size:
            return Split(_positions(training), tuple(sorted(map(int, chosen))), _positions(barred))
    return None


def _positions(chosen: np.ndarray) -> tuple[int, ...]:
    return tuple(int(each) for each in np.nonzero(chosen)[0])


def _seen(count: int) -> Split:
    everything = tuple(range(count))
    return Split(everything, everything, (), False)


def _overlaps(bounds: np.ndarray) -> np.ndarray:
    """Return which chips ``(n, n)`` share an area of the map."""
    low = np.maximum(bounds[:, None, :2], bounds[None, :, :2])
    high = np.minimum(bounds[:, None, 2:], bounds[None, :, 2:])
    tolerance = _TOLERANCE * np.abs(bounds[:, 2:] - bounds[:, :2]).mean(axis=0)
    return (high - low > tolerance).all(axis=2)


def _in_blocks(bounds: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return all positions, block by block in random order, row by row inside a block."""
    centres = (bounds[:, :2] + bounds[:, 2:]) / 2
    side = 3 * np.median(bounds[:, 2:] - bounds[:, :2], axis=0)
    side = np.where(side > 0, side, 1.0)
    cells = np.floor((centres - centres.min(axis=0)) / side).astype(int)
    columns = int(cells[:, 0].max()) + 1
    blocks = cells[:, 1] * columns + cells[:, 0]
    names = np.unique(blocks)
    rank = random.permutation(len(names))
    place = rank[np.searchsorted(names, blocks)]
    return np.lexsort((centres[:, 0], centres[:, 1], place))


def crops_per_chip(height: int, width: int, side: int) -> int:
    """Return how many random crops see about every pixel of a chip once."""
    return max(1, math.ceil(height * width / (side * side) - 0.5))
