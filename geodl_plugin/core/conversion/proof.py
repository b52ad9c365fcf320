"""Proof that a converted network answers as the original does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import ModelError
from ..models.registry import Task
from .exportable import Answer, Exportable
from .matching import listed, match

LARGEST_CHANCE = 1e-3  # probabilities may differ by this much
LARGEST_SHIFT = 0.05  # pixels that a box may move
LARGEST_SHARE = 0.02  # of listed objects may be others: rounding decides which of two boxes stays


@dataclass(frozen=True)
class Disagreement:
    """How much two forms of a network differ at most.

    Attributes:
        chance: of the probabilities.
        shift: of the boxes' numbers, in pixels; 0 where there are none.
        share: of the objects that only one of both lists.
    """

    chance: float
    shift: float = 0.0
    share: float = 0.0

    def __str__(self) -> str:
        text = f"{self.chance:.1e} in probability"
        if self.shift:
            text = f"{text}, {self.shift:.1e} pixels in boxes"
        return f"{text}, {self.share:.1%} of the boxes" if self.share else text


def compare(
    network: Exportable, images: Sequence[Tensor], other: Callable[[np.ndarray], Any]
) -> Disagreement:
    """Ask both forms and return how they differ.

    Raises:
        ModelError: when it is by more than rounding explains.
    """
    found = Disagreement(0.0)
    for batch in images:
        with torch.inference_mode():
            exact = arrays(network(batch))
        rough = other(batch.numpy())
        _check_shapes(exact, rough)
        if network.second is not None:
            new = _listed_difference(exact, rough)
        else:
            new = _difference(np.asarray(exact), np.asarray(rough), network.task)
        found = Disagreement(
            _larger(found.chance, new.chance),
            _larger(found.shift, new.shift),
            _larger(found.share, new.share),
        )
    # Not "greater than": what is no number must not pass.
    alike = found.chance <= LARGEST_CHANCE and found.shift <= LARGEST_SHIFT
    if not (alike and found.share <= LARGEST_SHARE):
        raise ModelError(f"The converted model answers differently (by {found}). It was not kept.")
    return found


def arrays(answer: Answer) -> Any:
    """Return an answer as an array, or as several by their names."""
    if isinstance(answer, Tensor):
        return answer.numpy()
    return {name: each.numpy() for name, each in answer.items()}


def _check_shapes(exact: Any, rough: Any) -> None:
    named = isinstance(exact, dict)
    if named and (not isinstance(rough, dict) or exact.keys() != rough.keys()):
        raise ModelError("The converted model answers under other names. It was not written.")
    for name in exact if named else [""]:
        wanted = exact[name].shape if named else exact.shape
        shape = np.asarray(rough[name] if named else rough).shape
        # How many objects are sure enough may depend on rounding.
        free = named and len(shape) == len(wanted)
        if shape != wanted and not (free and shape[2:] == wanted[2:] and shape[0] == wanted[0]):
            raise ModelError(
                f"The converted model answers in another shape ({shape} for {wanted}). It was not "
                "written."
            )


def _difference(exact: np.ndarray, rough: np.ndarray, task: Task) -> Disagreement:
    difference = np.abs(rough - exact)
    if task is not Task.DETECTION:
        return Disagreement(_largest(difference))
    return Disagreement(_largest(difference[:, 4:]), _largest(difference[:, :4]))


def _listed_difference(exact: Any, rough: Any) -> Disagreement:
    """Return the difference of lists, whose order rounding may change."""
    chance = shift = 0.0
    missing = count = 0
    for one, two in zip(listed(exact), listed(rough)):
        pairs = match(one, two, LARGEST_SHIFT, LARGEST_CHANCE)
        chance, shift = _larger(chance, pairs.chance), _larger(shift, pairs.shift)
        missing, count = missing + pairs.missing, count + pairs.count
    return Disagreement(chance, shift, missing / count if count else 0.0)


def _largest(difference: np.ndarray) -> float:
    return float(difference.max(initial=0.0))


def _larger(value: float, other: float) -> float:
    """Return the larger of both, or not a number when any is none: ``max`` would lose it."""
    return float(np.maximum(value, other))
