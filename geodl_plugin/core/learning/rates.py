"""The learning-rate finder (Smith 2015, arXiv:1506.01186, with fast.ai's "valley")."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import InputError
from ..progress import Phase
from .module import LearningModule

LOWEST, HIGHEST = 1e-7, 10.0
BATCHES = 100
_SMOOTHING = 0.98
_EXPLODED = 4.0  # times the smallest loss


@dataclass(frozen=True)
class RateCurve:
    """The smoothed loss by learning rate, and what it suggests.

    Attributes:
        rates, losses: of each batch.
        suggestion: the rate two thirds along the longest falling run.
        steepest: the rate where the loss falls fastest.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float
    steepest: float


def find_rate(
    module: LearningModule,
    batches: Iterable[Any],
    device: torch.device,
    precision: str,
    phase: Phase,
) -> RateCurve:
    """Train for a few batches at growing rates and return the curve; the network is restored.

    Raises:
        InputError: when the loss never falls.
    """
    network = module.network
    before = copy.deepcopy(network.state_dict())
    random = torch.get_rng_state()
    network.to(device).train()
    module.rest(module.frozen_until != 1)
    head = [each for each in network.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(head, lr=LOWEST)
    count = phase.total
    kind = getattr(torch, precision)
    rates, losses = [], []
    average = 0.0
    for index, batch in enumerate(itertools.islice(_endless(batches), count)):
        rate = LOWEST * (HIGHEST / LOWEST) ** (index / max(count - 1, 1))
        optimizer.param_groups[0]["lr"] = rate
        with torch.autocast(device.type, dtype=kind, enabled=precision == "bfloat16"):
            loss, _ = module.step_loss(module.transfer_batch_to_device(batch, device, 0))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average = _SMOOTHING * average + (1 - _SMOOTHING) * float(loss.detach())
        smooth = average / (1 - _SMOOTHING ** (index + 1))
        phase.step()
        if not math.isfinite(smooth) or (losses and smooth > _EXPLODED * min(losses)):
            break
        rates.append(rate)
        losses.append(smooth)
    network.load_state_dict(before)
    # Processes of further devices find no rate: all must have the same parameters to share.
    module.rest(False)
    torch.set_rng_state(random)
    return RateCurve(tuple(rates), tuple(losses), *suggest(rates, losses))


def suggest(rates: Sequence[float], losses: Sequence[float]) -> tuple[float, float]:
    """Return the rate two thirds along the longest falling run, and that of the steepest fall.

    Raises:
        InputError: when the loss never falls.
    """
    start, length = 0, 0
    run = 0
    for index in range(1, len(losses)):
        run = index if losses[index] >= losses[index - 1] else run
        if index - run > length:
            start, length = run, index - run
    if length < 3 or losses[start] - losses[start + length] < 1e-3 * abs(losses[start]):
        raise InputError(
            "No learning rate could be found, because the loss falls at none. "
            "Give LEARNING_RATE, for example 1e-3, or look at the training data."
        )
    falls = [losses[i + 1] - losses[i] for i in range(len(losses) - 1)]
    steepest = min(range(len(falls)), key=falls.__getitem__)
    return float(rates[start + round(length * 2 / 3)]), float(rates[steepest])


def _endless(batches: Iterable[Any]) -> Iterable[Any]:
    while True:
        yield from batches
