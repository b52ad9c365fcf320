"""The order of the chips in an epoch, and what chance does to each of them.

Both follow from the seed and the number of the epoch alone: not from what was drawn before,
nor from how many processes load. So an interrupted training goes on exactly as it would have.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

Draw = tuple[int, int]  # position in the data set, seed of what chance does to it
_LARGEST_SEED = 2**62
_EPOCHS_APART = 1_000_003  # a prime: seeds of one run's epochs are not those of another's


class EpochOrder(Sampler):
    """Gives positions in random order, each with a seed of its own.

    Args:
        count: of the data set.
        seed: of the training.
        weights: how often each position is drawn, relative to others; none draws each once.
        rank, ranks: which of how many processes that train together this one is.
    """

    def __init__(
        self,
        count: int,
        seed: int,
        weights: Sequence[float] | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.count = count
        self.seed = seed
        self.weights = weights
        self.rank, self.ranks = rank, ranks
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Tell which epoch, from 0, is drawn next."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Draw]:
        chance = torch.Generator().manual_seed(epoch_seed(self.seed, self.epoch))
        if self.weights is None:
            places = torch.randperm(self.count, generator=chance)
        else:
            weights = torch.as_tensor(self.weights, dtype=torch.float64)
            places = torch.multinomial(weights, self.count, replacement=True, generator=chance)
        seeds = torch.randint(_LARGEST_SEED, (self.count,), generator=chance)
        draws = list(zip(places.tolist(), seeds.tolist()))
        # All processes take equally many, or they would wait for each other for ever.
        draws += draws[: -self.count % self.ranks]
        return iter(draws[self.rank :: self.ranks])

    def __len__(self) -> int:
        return -(-self.count // self.ranks)


def epoch_seed(seed: int, epoch: int) -> int:
    """Return the seed of all that chance does in an epoch, from 0."""
    return (seed + 1) * _EPOCHS_APART + epoch


@contextlib.contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Let chance follow from a seed inside the block and go on undisturbed after it."""
    if seed is None:
        yield
        return
    before = torch.get_rng_state()
    # Not torch.manual_seed, which starts the GPU's generators anew as well.
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before)
