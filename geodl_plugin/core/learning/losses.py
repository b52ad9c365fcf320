"""Losses of pixel networks, and weighted sums of them.

Definitions: p = probability, t = truth, both summed over all pixels of the batch that are
not ignored and over all classes (micro). An ignored pixel enters neither numerator nor
denominator.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Optional

from ..errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

IGNORED = -1  # index of pixels without a label
DEFAULT_LOSS = "cross_entropy"
EPSILON = 1.0  # pixels; keeps the ratios of empty batches finite
FOCUS = 2.0  # Lin et al. 2017, arXiv:1708.02002
ALPHA = 0.5  # weight of false positives in tversky; false negatives have the rest
GAMMA = 0.75  # Abraham and Khan 2019, arXiv:1810.07842

Weights = Optional["Tensor"]  # of each class, (n,); none where all weigh alike
Loss = Callable[["Tensor", "Tensor", Weights], "Tensor"]
Criterion = Callable[["Tensor", "Tensor"], "Tensor"]
LOSSES: dict[str, Loss] = {}
# Those that judge each answer alone, and so whole chips, too.
OF_SINGLE_ANSWERS = ("cross_entropy", "focal")
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


def make_loss(text: str, class_weights: Sequence[float] | None = None) -> Criterion:
    """Return the loss that a text names, of logits ``(b, n, …)`` and targets ``(b, …)``.

    Args:
        text: a name or a weighted sum.
        class_weights: one a class; none weighs all alike.

    Raises:
        InputError: when the text names no loss.
    """
    parts = [(weight, LOSSES[name]) for weight, name in terms(text)]

    def total(logits: Tensor, targets: Tensor) -> Tensor:
        weights = None if class_weights is None else logits.new_tensor(class_weights)
        return sum(weight * loss(logits, targets, weights) for weight, loss in parts)

    return total


def labels_loss(text: str, class_weights: Sequence[float] | None = None) -> Criterion:
    """Return the loss of logits and truths ``(b, n)`` of several labels a chip.

    Each label is a question of its own: cross entropy and focal loss of one sigmoid each.
    """
    parts = terms(text)

    def total(logits: Tensor, targets: Tensor) -> Tensor:
        from torch.nn import functional

        truth = targets.to(logits.dtype)
        plain = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        sum_ = plain * 0
        for weight, name in parts:
            missed = 1 - (-plain).exp()  # 1 − p of what is true
            sum_ = sum_ + weight * (plain if name == "cross_entropy" else missed**FOCUS * plain)
        if class_weights is not None:
            sum_ = sum_ * logits.new_tensor(class_weights)
        return sum_.mean()

    return total


@register
def cross_entropy(logits: Tensor, targets: Tensor, weights: Weights = None) -> Tensor:
    """Return the mean of −log p of the true classes, weighted by theirs."""
    from torch.nn import functional

    total = functional.cross_entropy(
        logits, targets, weight=weights, ignore_index=IGNORED, reduction="sum"
    )
    return total / _amount(targets[targets != IGNORED], weights)


@register
def focal(logits: Tensor, targets: Tensor, weights: Weights = None) -> Tensor:
    """Return the mean of −(1 − p)^γ log p of the true classes, weighted by theirs."""
    chance, _ = _known(logits.log_softmax(1), targets)
    labels = targets[targets != IGNORED]
    true = chance.gather(1, labels.unsqueeze(1)).squeeze(1)
    losses = -((1 - true.exp()) ** FOCUS) * true
    if weights is not None:
        losses = losses * weights[labels]
    return losses.sum() / _amount(labels, weights)


@register
def dice(logits: Tensor, targets: Tensor, weights: Weights = None) -> Tensor:
    """Return 1 − (2Σwpt + ε) / (Σwp + Σwt + ε)."""
    chance, truth = _known(logits.softmax(1), targets)
    both = (chance * truth * _of(weights)).sum()
    either = (chance * _of(weights)).sum() + (truth * _of(weights)).sum()
    return 1 - (2 * both + EPSILON) / (either + EPSILON)


@register
def tversky(logits: Tensor, targets: Tensor, weights: Weights = None) -> Tensor:
    """Return 1 − (TP + ε) / (TP + αFP + βFN + ε), α + β = 1, each class by its weight."""
    chance, truth = _known(logits.softmax(1), targets)
    hits = (chance * truth * _of(weights)).sum()
    told = (chance * (1 - truth) * _of(weights)).sum()
    missed = ((1 - chance) * truth * _of(weights)).sum()
    return 1 - (hits + EPSILON) / (hits + ALPHA * told + (1 - ALPHA) * missed + EPSILON)


@register
def focal_tversky(logits: Tensor, targets: Tensor, weights: Weights = None) -> Tensor:
    """Return the Tversky loss to the power of γ."""
    return tversky(logits, targets, weights).clamp(min=1e-6) ** GAMMA


@register
def lovasz(logits: Tensor, targets: Tensor, weights: Weights = None) -> Tensor:
    """Return the Lovász-Softmax loss (Berman et al. 2018, arXiv:1705.08790), present classes."""
    import torch

    chance, truth = _known(logits.softmax(1), targets)
    losses, shares = [], []
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
        shares.append(chance.new_ones(()) if weights is None else weights[index])
    if not losses:
        return chance.sum() * 0
    share = torch.stack(shares)
    return (torch.stack(losses) * share).sum() / share.sum().clamp(min=1e-6)


def _amount(labels: Tensor, weights: Weights) -> Tensor | int:
    """Return how much all labels weigh together; not nothing, for it divides."""
    if weights is None:
        return max(labels.numel(), 1)
    return weights[labels].sum().clamp(min=1e-6)


def _of(weights: Weights) -> Tensor | float:
    return 1.0 if weights is None else weights


def _known(values: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return values and one-hot truth ``(pixels, n)`` of the pixels that have a label."""
    from torch.nn import functional

    known = targets != IGNORED
    chosen = values.movedim(1, -1)[known]
    return chosen, functional.one_hot(targets[known], values.shape[1]).to(chosen.dtype)
