"""Which chips train and which validate, without a place on both sides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .clashes import Clashes

_DRAWS = 32


@dataclass(frozen=True)
class Split:
    """Positions of chips by their use.

    Attributes:
        training, validation: positions in the folder's list.
        dropped: those that overlap a validation chip, used by neither.
        unseen: whether the validation chips were kept from training.
        by_user: whether the user has chosen the validation chips.
    """

    training: tuple[int, ...]
    validation: tuple[int, ...]
    dropped: tuple[int, ...]
    unseen: bool = True
    by_user: bool = False

    def of(self, positions: Sequence[int]) -> Split:
        """Return the split by positions in a longer list, of which these were split."""
        return Split(
            tuple(positions[each] for each in self.training),
            tuple(positions[each] for each in self.validation),
            tuple(positions[each] for each in self.dropped),
            self.unseen,
            self.by_user,
        )

    def describe(self) -> str:
        """Return one sentence for people."""
        if not self.unseen:
            return (
                f"All {len(self.training)} chips train: none could be set apart for validation, "
                "so the scores are of chips that the network has seen."
            )
        how = (
            "those of the validation folder"
            if self.by_user
            else "set apart in blocks of the map that hold about as much of each class as the rest"
        )
        text = f"{len(self.training)} chips train and {len(self.validation)} validate, {how}"
        if self.dropped:
            text += f"; {len(self.dropped)} that overlap validation chips are left out"
        return text + "."


def split_chips(
    footprints: np.ndarray,
    percentage: float,
    seed: int,
    contents: np.ndarray | None = None,
    clashes: Clashes | None = None,
) -> Split:
    """Set chips apart for validation so that no training chip overlaps any of them.

    Whole blocks of the map, about three chips wide, are drawn at random until the share is
    reached; training chips that overlap a drawn one are left out. Of several draws the one
    counts whose chips hold most nearly what all chips do, and that leaves most to train on. No
    class is left without a training chip: half of its chips come back, which costs, and where
    that leaves none to validate, all train and validate.

    Args:
        footprints: map bounds ``(n, 4)`` as xmin, ymin, xmax, ymax.
        percentage: share of the chips, 0 to 90.
        seed: of the draw.
        contents: how much of each class every chip holds, ``(n, classes)``.
        clashes: which chips share ground; by their footprints where not given.
    """
    bounds = np.asarray(footprints, dtype=float).reshape(-1, 4)
    count = len(bounds)
    wanted = min(max(round(count * percentage / 100), 1), count - 1)
    if percentage <= 0 or wanted < 1:
        return _seen(count)
    clashes = Clashes.of_bounds(bounds) if clashes is None else clashes
    random = np.random.default_rng(seed)
    draws = [_draw(clashes, _in_blocks(bounds, random), wanted) for _ in range(_DRAWS)]
    held = np.zeros((count, 0)) if contents is None else np.asarray(contents, float)
    best, least = _seen(count), math.inf
    for draw in filter(None, draws):
        found = _with_all_classes(draw, clashes, held)
        if found is None:
            continue
        cost = _cost(found, held) + 1 - len(found.validation) / len(draw.validation)
        if cost < least:
            best, least = found, cost
    return best


def split_apart(clashes: Clashes, validation: Sequence[int]) -> Split:
    """Return the split of chips of which the user has set some apart for validation.

    Training chips that share ground with any of them are left out.

    Args:
        clashes: which chips share ground.
        validation: positions of the chips that are set apart.
    """
    chosen = np.zeros(clashes.count, bool)
    chosen[list(validation)] = True
    barred = clashes.beside(chosen) & ~chosen
    parts = (~chosen & ~barred, chosen, barred)
    training, validating, dropped = (_positions(each) for each in parts)
    return Split(training, validating, dropped, by_user=True)


def _with_all_classes(split: Split, clashes: Clashes, contents: np.ndarray) -> Split | None:
    """Return the split with training chips of every class, none if that leaves no others.

    A class may lie in one place only, as a stand of trees does, which validates as a whole.
    """
    holds = contents > 0
    trains, validates = np.zeros((2, len(contents)), bool)
    trains[list(split.training)], validates[list(split.validation)] = True, True
    for own in holds[:, holds.any(axis=0) & ~holds[trains].any(axis=0)].T:
        if (own & trains).any():  # since others came back
            continue
        had = int((own & validates).sum())
        while not (own & trains).any() or 2 * (own & validates).sum() > had:
            # Some only lie beside those that validate.
            left = own & validates if had else own
            place = np.argmin(np.where(left, clashes.count_beside(validates), len(own)))
            back = np.arange(len(own)) == place
            validates &= ~back & ~clashes.beside(back)
            trains = ~validates & ~clashes.beside(validates)
    if not validates.any():
        return None
    return Split(*map(_positions, (trains, validates, ~trains & ~validates)))


def _cost(split: Split, contents: np.ndarray) -> float:
    """Return what is bad about a split.

    That is how unlike the whole the validation chips are, and how many chips are lost. The first
    is the mean over the classes of the difference in their amount a chip, relative to that of
    all chips and 1 at most: 0 is alike, 1 a class that is missing or doubled.
    """
    lost = len(split.dropped) / len(contents)
    whole = contents.mean(axis=0)
    own = contents[list(split.validation)].mean(axis=0)
    met = whole > 0
    if not met.any():
        return lost
    unlike = np.minimum(np.abs(own[met] - whole[met]) / whole[met], 1.0).mean()
    return lost + float(unlike)


def _draw(clashes: Clashes, order: np.ndarray, wanted: int) -> Split | None:
    """Return the split that validates the first chips of ``order``, none if it is not clean.

    Where chips overlap a lot, fewer validate, so that something is left to train on: as many as
    validate, or as the share leaves.
    """
    count = len(order)
    rank = np.empty(count, np.int64)
    rank[order] = np.arange(count)
    # A chip trains as long as neither it nor one that it clashes with validates.
    until = np.minimum(rank, clashes.least_beside(rank, count))
    training = count - np.searchsorted(np.sort(until), np.arange(wanted + 1))
    needed = np.minimum(np.arange(1, wanted + 1), count - wanted)
    clean = np.flatnonzero(training[1:] >= needed)
    if not len(clean):
        return None
    size = int(clean[-1]) + 1
    chosen, trains = rank < size, until >= size
    return Split(_positions(trains), _positions(chosen), _positions(~trains & ~chosen))


def _positions(chosen: np.ndarray) -> tuple[int, ...]:
    return tuple(int(each) for each in np.nonzero(chosen)[0])


def _seen(count: int) -> Split:
    everything = tuple(range(count))
    return Split(everything, everything, (), False)


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
