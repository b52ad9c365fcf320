"""Losses of pixel networks, and weighted sums of them.

Definitions: p = probability, t = truth, both summed over all pixels of the batch that are
not ignored, and over all classes (micro) or for each class, of which the mean is taken (macro).
An ignored pixel enters neither numerator nor denominator.

Over all classes together, what is told wrongly of one is missed of another: frequent classes
rule, and it is the same whether false positives or negatives weigh more. The mean gives rare
classes the same say; what the batch does not show has none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Optional

from ..arguments import entries, parse
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
Loss = Callable[..., "Tensor"]  # of logits, targets, weights and what it may be told
Criterion = Callable[["Tensor", "Tensor"], "Tensor"]
LOSSES: dict[str, Loss] = {}
ARGUMENTS: dict[str, dict[str, Any]] = {}  # of each loss, with their defaults
# Those that judge each answer alone, and so whole chips, too.
OF_SINGLE_ANSWERS = ("cross_entropy", "focal")
_TERM = re.compile(
    r"^(?:(?P<weight>\d*\.?\d+)\s*\*\s*)?(?P<name>[a-z_]+)\s*(?:\((?P<arguments>[^()]*)\))?$"
)
_SHARES, _POWERS = ("alpha", "beta"), ("gamma",)


@dataclass(frozen=True)
class Term:
    """A loss in a sum: its weight there, its name, and all of its arguments."""

    weight: float
    name: str
    arguments: dict[str, Any]


def register(**arguments: Any) -> Callable[[Loss], Loss]:
    """Return a decorator that adds a loss under its own name.

    The loss is one of logits ``(b, n, h, w)`` and targets ``(b, h, w)``.

    Args:
        arguments: what it may be told, with the defaults.
    """

    def enter(loss: Loss) -> Loss:
        LOSSES[loss.__name__] = loss
        ARGUMENTS[loss.__name__] = arguments
        return loss

    return enter


def terms(text: str) -> list[Term]:
    """Read ``dice`` or ``0.5*tversky(alpha=0.3)+0.5*cross_entropy``.

    Raises:
        InputError: when a term is no known loss, or one is told what it does not know, or
            all weigh nothing.
    """
    found = []
    for term in text.lower().split("+"):
        match = _TERM.match(term.strip())
        if match is None or match["name"] not in LOSSES:
            raise InputError(
                f"There is no loss '{term.strip()}'. Choose one of: {', '.join(LOSSES)}, or a "
                "sum such as 0.5*dice+0.5*cross_entropy."
            )
        arguments = _arguments(match["name"], match["arguments"] or "")
        found.append(Term(float(match["weight"] or 1.0), match["name"], arguments))
    if not any(each.weight for each in found):
        raise InputError(f"LOSS={text} weighs nothing, so that nothing is learned from it.")
    return found


def _arguments(name: str, text: str) -> dict[str, Any]:
    """Return all arguments of a loss, of which some are written; raise :class:`InputError`."""
    text = text.replace(",", ";")
    values = parse(text, ARGUMENTS[name])
    for each, value in values.items():
        if each in _SHARES and not 0 <= value <= 1:
            raise InputError(f"{each}={value:g} of the loss {name} must lie between 0 and 1.")
        if each in _POWERS and not 0 < value <= 10:
            raise InputError(f"{each}={value:g} of the loss {name} must lie between 0 and 10.")
    given = {entry.partition("=")[0].strip() for entry in entries(text)}
    shares = given & set(_SHARES)
    if shares == {"beta"}:
        values["alpha"] = 1 - values["beta"]
    elif shares == {"alpha"}:
        values["beta"] = 1 - values["alpha"]
    elif shares and abs(values["alpha"] + values["beta"] - 1) > 1e-6:
        raise InputError(
            f"alpha={values['alpha']:g} and beta={values['beta']:g} of the loss {name} must add "
            "up to 1. Give one of them."
        )
    if shares and "macro" not in given:  # it would change nothing
        values["macro"] = True
    values.pop("beta", None)
    return values


def make_loss(text: str, class_weights: Sequence[float] | None = None) -> Criterion:
    """Return the loss that a text names, of logits ``(b, n, …)`` and targets ``(b, …)``.

    Args:
        text: a name or a weighted sum.
        class_weights: one a class; none weighs all alike.

    Raises:
        InputError: when the text names no loss.
    """
    parts = [(each.weight, partial(LOSSES[each.name], **each.arguments)) for each in terms(text)]

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
        for each in parts:
            # Cross entropy is focal loss without a focus.
            focus = _missed(-plain) ** each.arguments["gamma"] if each.name == "focal" else 1.0
            sum_ = sum_ + each.weight * focus * plain
        if class_weights is not None:
            sum_ = sum_ * logits.new_tensor(class_weights)
        return sum_.mean()

    return total


@register()
def cross_entropy(logits: Tensor, targets: Tensor, weights: Weights = None) -> Tensor:
    """Return the mean of −log p of the true classes, weighted by theirs."""
    from torch.nn import functional

    total = functional.cross_entropy(
        logits, targets, weight=weights, ignore_index=IGNORED, reduction="sum"
    )
    return total / _amount(targets[targets != IGNORED], weights)


@register(gamma=FOCUS)
def focal(logits: Tensor, targets: Tensor, weights: Weights = None, gamma: float = FOCUS) -> Tensor:
    """Return the mean of −(1 − p)^γ log p of the true classes, weighted by theirs."""
    chance, _ = _known(logits.log_softmax(1), targets)
    labels = targets[targets != IGNORED]
    true = chance.gather(1, labels.unsqueeze(1)).squeeze(1)
    losses = -(_missed(true) ** gamma) * true
    if weights is not None:
        losses = losses * weights[labels]
    return losses.sum() / _amount(labels, weights)


@register(macro=False)
def dice(logits: Tensor, targets: Tensor, weights: Weights = None, macro: bool = False) -> Tensor:
    """Return 1 − (2Σpt + ε) / (Σp + Σt + ε), each class by its weight."""
    chance, truth = _known(logits.softmax(1), targets)
    both, either = (chance * truth).sum(0), (chance + truth).sum(0)
    if not macro:
        both, either = (both * _of(weights)).sum(), (either * _of(weights)).sum()
    losses = 1 - (2 * both + EPSILON) / (either + EPSILON)
    return _mean(losses, truth, weights) if macro else losses


@register(alpha=ALPHA, beta=1 - ALPHA, macro=False)
def tversky(
    logits: Tensor,
    targets: Tensor,
    weights: Weights = None,
    alpha: float = ALPHA,
    macro: bool = False,
) -> Tensor:
    """Return 1 − (TP + ε) / (TP + αFP + βFN + ε), α + β = 1, each class by its weight."""
    return _tversky(logits, targets, weights, alpha, 1.0, macro)


@register(alpha=ALPHA, beta=1 - ALPHA, gamma=GAMMA, macro=False)
def focal_tversky(
    logits: Tensor,
    targets: Tensor,
    weights: Weights = None,
    alpha: float = ALPHA,
    gamma: float = GAMMA,
    macro: bool = False,
) -> Tensor:
    """Return the Tversky loss to the power of γ, that of each class where their mean is taken."""
    return _tversky(logits, targets, weights, alpha, gamma, macro)


@register()
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


def _missed(true: Tensor) -> Tensor:
    """Return 1 − p for log p; not nothing, where powers below one have no slope."""
    return (1 - true.exp()).clamp(min=1e-6)


def _tversky(
    logits: Tensor, targets: Tensor, weights: Weights, alpha: float, gamma: float, macro: bool
) -> Tensor:
    """Return the Tversky loss to the power of γ, or the mean of those of the classes."""
    chance, truth = _known(logits.softmax(1), targets)
    hits = (chance * truth).sum(0)
    told, missed = (chance * (1 - truth)).sum(0), ((1 - chance) * truth).sum(0)
    if not macro:
        hits, told, missed = ((each * _of(weights)).sum() for each in (hits, told, missed))
    wrong = alpha * told + (1 - alpha) * missed
    losses = 1 - (hits + EPSILON) / (hits + wrong + EPSILON)
    if gamma != 1:
        losses = losses.clamp(min=1e-6) ** gamma  # powers below one have no slope at nothing
    return _mean(losses, truth, weights) if macro else losses


def _mean(losses: Tensor, truth: Tensor, weights: Weights) -> Tensor:
    """Return the weighted mean of the losses ``(n,)`` of the classes that there are."""
    shares = truth.any(0).to(losses.dtype) * _of(weights)
    return (losses * shares).sum() / shares.sum().clamp(min=1e-6)


def _of(weights: Weights) -> Tensor | float:
    return 1.0 if weights is None else weights


def _known(values: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return values and one-hot truth ``(pixels, n)`` of the pixels that have a label."""
    from torch.nn import functional

    known = targets != IGNORED
    chosen = values.movedim(1, -1)[known]
    return chosen, functional.one_hot(targets[known], values.shape[1]).to(chosen.dtype)
