"""Which chips train and which validate, without a place on both sides."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# Neighbours share their edge; rounding of map coordinates must not make that an overlap.
_TOLERANCE = 1e-6


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
    unseen: bool

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
    reached; training chips that overlap a drawn one are left out.

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
    order = _in_blocks(bounds, seed)
    for size in range(wanted, 0, -1):
        # Where chips overlap a lot, fewer validation chips leave something to train on.
        chosen = order[:size]
        barred = clashes[chosen].any(axis=0)
        barred[chosen] = False
        training = np.setdiff1d(np.arange(count), np.r_[chosen, np.nonzero(barred)[0]])
        if len(training) >= max(size, 1):
            return Split(
                tuple(int(each) for each in training),
                tuple(sorted(int(each) for each in chosen)),
                tuple(int(each) for each in np.nonzero(barred)[0]),
                True,
            )
    return _seen(count)


def _seen(count: int) -> Split:
    everything = tuple(range(count))
    return Split(everything, everything, (), False)


def _overlaps(bounds: np.ndarray) -> np.ndarray:
    """Return which chips ``(n, n)`` share an area of the map."""
    low = np.maximum(bounds[:, None, :2], bounds[None, :, :2])
    high = np.minimum(bounds[:, None, 2:], bounds[None, :, 2:])
    tolerance = _TOLERANCE * np.abs(bounds[:, 2:] - bounds[:, :2]).mean(axis=0)
    return (high - low > tolerance).all(axis=2)


def _in_blocks(bounds: np.ndarray, seed: int) -> np.ndarray:
    """Return all positions, block by block in random order, row by row inside a block."""
    centres = (bounds[:, :2] + bounds[:, 2:]) / 2
    side = 3 * np.median(bounds[:, 2:] - bounds[:, :2], axis=0)
    side = np.where(side > 0, side, 1.0)
    cells = np.floor((centres - centres.min(axis=0)) / side).astype(int)
    columns = int(cells[:, 0].max()) + 1
    blocks = cells[:, 1] * columns + cells[:, 0]
    names = np.unique(blocks)
    rank = np.random.default_rng(seed).permutation(len(names))
    place = rank[np.searchsorted(names, blocks)]
    return np.lexsort((centres[:, 0], centres[:, 1], place))


def crops_per_chip(height: int, width: int, side: int) -> int:
    """Return how many random crops see about every pixel of a chip once."""
    return max(1, math.ceil(height * width / (side * side) - 0.5))
