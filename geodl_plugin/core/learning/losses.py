"""Losses of pixel networks, and weighted sums of them.

Definitions: p = probability, t = truth, both summed over all pixels of the batch that are
not ignored and over all classes (micro). An ignored pixel enters neither numerator nor
denominator.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

IGNORED = -1  # index of pixels without a label
DEFAULT_LOSS = "cross_entropy"
EPSILON = 1.0  # pixels; keeps the ratios of empty batches finite
FOCUS = 2.0  # Lin et al. 2017, arXiv:1708.02002
ALPHA = 0.5  # weight of false positives in tversky; false negatives have the rest
GAMMA = 0.75  # Abraham and Khan 2019, arXiv:1810.07842

Loss = Callable[["Tensor", "Tensor"], "Tensor"]
LOSSES: dict[str, Loss] = {}
_TERM = re.compile(r"^(?:(?P<weight>\d*\.?\d+)\s*\*\s*)?(?P<name>[a-z_]+)$")


def register(loss: Loss) -> Loss:
    """Add a loss of logits ``(b, n, h, w)`` and targets ``(b, h, w)`` under its own name."""
    LOSSES[loss.__name__] = loss
    return loss


def terms(text: str) -> list[tuple[float, str]]:
    """Read ``dice`` or ``0.5*dice+0.5*cross_entropy`` as weights and names.

    Raises:
        InputError: when a term is no known loss.
    """
    found = []
    for term in text.lower().split("+"):
        match = _TERM.match(term.strip())
        if match is None or match["name"] not in LOSSES:
            raise InputError(
                f"There is no loss '{term.strip()}'. Choose one of: {', '.join(LOSSES)}, or a "
                "sum such as 0.5*dice+0.5*cross_entropy."
            )
        found.append((float(match["weight"] or 1.0), match["name"]))
    return found


def pixel_loss(text: str) -> Loss:
    """Return the loss that a text names; raise :class:`InputError` when it names none."""
    parts = [(weight, LOSSES[name]) for weight, name in terms(text)]

    def total(logits: Tensor, targets: Tensor) -> Tensor:
        return sum(weight * loss(logits, targets) for weight, loss in parts)

    return total


@register
def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean of −log p of the true classes."""
    from torch.nn import functional

    total = functional.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum")
    return total / (targets != IGNORED).sum().clamp(min=1)


@register
def focal(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean of −(1 − p)^γ log p of the true classes."""
    chance, _ = _known(logits.log_softmax(1), targets)
    true = chance.gather(1, targets[targets != IGNORED].unsqueeze(1)).squeeze(1)
    return -((1 - true.exp()) ** FOCUS * true).sum() / max(len(true), 1)


@register
def dice(logits: Tensor, targets: Tensor) -> Tensor:
    """Return 1 − (2Σpt + ε) / (Σp + Σt + ε)."""
    chance, truth = _known(logits.softmax(1), targets)
    both, either = (chance * truth).sum(), chance.sum() + truth.sum()
    return 1 - (2 * both + EPSILON) / (either + EPSILON)


@register
def tversky(logits: Tensor, targets: Tensor) -> Tensor:
    """Return 1 − (TP + ε) / (TP + αFP + βFN + ε), α + β = 1."""
    chance, truth = _known(logits.softmax(1), targets)
    hits = (chance * truth).sum()
    false = ALPHA * (chance * (1 - truth)).sum() + (1 - ALPHA) * ((1 - chance) * truth).sum()
    return 1 - (hits + EPSILON) / (hits + false + EPSILON)


@register
def focal_tversky(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the Tversky loss to the power of γ."""
    return tversky(logits, targets).clamp(min=1e-6) ** GAMMA


@register
def lovasz(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the Lovász-Softmax loss (Berman et al. 2018, arXiv:1705.08790), present classes."""
    import torch

    chance, truth = _known(logits.softmax(1), targets)
    losses = []
    for index in range(chance.shape[1]):
        own = truth[:, index]
        if not own.any():
            continue
        errors, order = (own - chance[:, index]).abs().sort(descending=True)
        sorted_truth = own[order]
        union = own.sum() + (1 - sorted_truth).cumsum(0)
        jaccard = 1 - (own.sum() - sorted_truth.cumsum(0)) / union
        steps = torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])
        losses.append((errors * steps).sum())
    return torch.stack(losses).mean() if losses else chance.sum() * 0


def _known(values: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return values and one-hot truth ``(pixels, n)`` of the pixels that have a label."""
    from torch.nn import functional

    known = targets != IGNORED
    chosen = values.movedim(1, -1)[known]
    return chosen, functional.one_hot(targets[known], values.shape[1]).to(chosen.dtype)
