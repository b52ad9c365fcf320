"""Proof that a converted network answers as the original does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import ModelError
from ..models.registry import Task
from .exportable import Exportable

LARGEST_CHANCE = 1e-3  # probabilities may differ by this much
LARGEST_SHIFT = 0.05  # pixels that a box may move


@dataclass(frozen=True)
class Disagreement:
    """How much two forms of a network differ at most.

    Attributes:
        chance: of the probabilities.
        shift: of the boxes' numbers, in pixels; 0 where there are none.
    """

    chance: float
    shift: float = 0.0

    def __str__(self) -> str:
        text = f"{self.chance:.1e} in probability"
        return f"{text}, {self.shift:.1e} pixels in boxes" if self.shift else text


def compare(
    network: Exportable, images: Sequence[Tensor], other: Callable[[np.ndarray], np.ndarray]
) -> Disagreement:
    """Ask both forms and return how they differ.

    Raises:
        ModelError: when it is by more than rounding explains.
    """
    chance = shift = 0.0
    for batch in images:
        with torch.inference_mode():
            exact = network(batch).numpy()
        rough = np.asarray(other(batch.numpy()))
        if rough.shape != exact.shape:
            raise ModelError(
                f"The converted model answers in another shape ({rough.shape} for {exact.shape}). "
                "It was not written."
            )
        difference = np.abs(rough - exact)
        if network.task is Task.DETECTION:
            shift = _larger(shift, difference[:, :4])
            difference = difference[:, 4:]
        chance = _larger(chance, difference)
    found = Disagreement(chance, shift)
    # Not "greater than": what is no number must not pass.
    if not (chance <= LARGEST_CHANCE and shift <= LARGEST_SHIFT):
        raise ModelError(f"The converted model answers differently (by {found}). It was not kept.")
    return found


def _larger(value: float, others: np.ndarray) -> float:
    """Return the largest of all, or not a number when any is none: ``max`` would lose it."""
    return float(np.maximum(value, others.max(initial=0.0)))
