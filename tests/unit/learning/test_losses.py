"""Losses of pixel networks against their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.learning.losses import (
    ARGUMENTS,
    IGNORED,
    LOSSES,
    labels_loss,
    make_loss,
    terms,
)

TARGETS = torch.tensor([[[0, 1], [2, IGNORED]]])
LOGITS = torch.tensor(
    [[[[2.0, 0.1], [0.3, 9.0]], [[0.5, 1.5], [0.2, 0.0]], [[0.1, 0.2], [1.0, 5.0]]]]
)


def perfect(targets):
    logits = torch.full((1, 3, 2, 2), -30.0)
    for row in range(2):
        for col in range(2):
            logits[0, max(int(targets[0, row, col]), 0), row, col] = 30.0
    return logits


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_perfect_answer_costs_nothing_and_a_wrong_one_does(name):
    loss = LOSSES[name]
    assert float(loss(perfect(TARGETS), TARGETS)) == pytest.approx(0.0, abs=1e-3)
    wrong = perfect(torch.tensor([[[1, 2], [0, 0]]]))
    assert float(loss(wrong, TARGETS)) > 0.25


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_pixels_without_a_label_carry_no_loss(name):
    changed = LOGITS.clone()
    changed[0, :, 1, 1] = torch.tensor([-7.0, 3.0, 11.0])
    one, other = LOSSES[name](LOGITS, TARGETS), LOSSES[name](changed, TARGETS)
    assert float(one) == pytest.approx(float(other))
    nothing = torch.full_like(TARGETS, IGNORED)
    assert torch.isfinite(LOSSES[name](LOGITS, nothing))


def test_dice_and_tversky_are_their_formulas():
    chance = LOGITS.softmax(1)
    hits = float(chance[0, 0, 0, 0] + chance[0, 1, 0, 1] + chance[0, 2, 1, 0])
    assert float(LOSSES["dice"](LOGITS, TARGETS)) == pytest.approx(1 - (2 * hits + 1) / 7)
    wrong = 3 - hits  # of the probabilities of three pixels, both false and missed
    assert float(LOSSES["tversky"](LOGITS, TARGETS)) == pytest.approx(
        1 - (hits + 1) / (hits + wrong + 1)
    )


def test_lovasz_of_a_hard_answer_is_one_minus_the_mean_overlap():
    answer = torch.tensor([[[0, 1], [1, 0]]])  # 2 is taken for 1
    loss = LOSSES["lovasz"](perfect(answer), TARGETS)
    overlaps = [1.0, 1 / 2, 0.0]
    assert float(loss) == pytest.approx(1 - sum(overlaps) / 3, abs=1e-4)


def test_a_sum_is_weighted():
    total = make_loss("0.5*dice+2*cross_entropy")(LOGITS, TARGETS)
    parts = [float(LOSSES[name](LOGITS, TARGETS)) for name in ("dice", "cross_entropy")]
    assert float(total) == pytest.approx(0.5 * parts[0] + 2 * parts[1])
    read = [(each.weight, each.name) for each in terms("Dice + 0.25 * focal")]
    assert read == [(1.0, "dice"), (0.25, "focal")]


def overlap(
    logits: torch.Tensor,
    targets: torch.Tensor,
    weights: list[float],
    alpha: float,
    gamma: float,
    macro: bool,
) -> float:
    """Return 1 − (TP + ε) / (TP + αFP + (1 − α)FN + ε) to the power of γ, pixel by pixel."""
    hits, told, missed = (np.zeros(len(weights)) for _ in range(3))
    for image, truths in zip(logits.double().numpy(), targets.numpy()):
        for row, col in np.argwhere(truths != IGNORED):
            powers = np.exp(image[:, row, col])
            for index, chance in enumerate(powers / powers.sum()):
                if truths[row, col] == index:
                    hits[index] += chance
                    missed[index] += 1 - chance
                else:
                    told[index] += chance
    shares = np.array(weights)
    if not macro:
        hits, told, missed = ((each * shares).sum(keepdims=True) for each in (hits, told, missed))
        shares = np.ones(1)
    else:
        shares = shares * [(targets == index).any().item() for index in range(len(weights))]
    losses = 1 - (hits + 1) / (hits + alpha * told + (1 - alpha) * missed + 1)
    return float((losses**gamma * shares).sum() / shares.sum())


def scene(classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits and truths of two images in which classes are the rarer, the later they come.

    The last one is not there at all, and a tenth of the pixels has no label.
    """
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, classes, 12, 12, generator=generator) * 2
    shares = torch.tensor([0.9, *[0.1**place for place in range(1, classes - 1)], 0.0])
    targets = torch.multinomial(shares, 288, True, generator=generator).reshape(2, 12, 12)
    targets[torch.rand(2, 12, 12, generator=generator) < 0.1] = IGNORED
    return logits, targets


@pytest.mark.parametrize("weights", [None, [0.5, 1.0, 2.0, 0.5]])
@pytest.mark.parametrize(
    ("text", "alpha", "gamma", "macro"),
    [
        ("tversky", 0.5, 1.0, False),
        ("tversky(macro=true)", 0.5, 1.0, True),
        ("tversky(alpha=0.3)", 0.3, 1.0, True),
        ("tversky(beta=0.9)", 0.1, 1.0, True),
        ("tversky(alpha=0.2, beta=0.8, macro=false)", 0.2, 1.0, False),
        ("focal_tversky", 0.5, 0.75, False),
        ("Focal_Tversky (alpha=0.7, gamma=1.5)", 0.7, 1.5, True),
    ],
)
def test_tversky_is_its_formula_whatever_it_is_told(text, alpha, gamma, macro, weights):
    logits, targets = scene(4)
    wanted = overlap(logits, targets, weights or [1.0] * 4, alpha, gamma, macro)
    assert float(make_loss(text, weights)(logits, targets)) == pytest.approx(wanted, abs=1e-5)


def test_dice_over_the_classes_is_the_mean_of_each_by_itself():
    logits, targets = scene(4)
    chance, known = logits.softmax(1).movedim(1, -1).numpy(), targets.numpy() != IGNORED
    losses = []
    for index in range(3):  # the last class is not there
        truth = targets.numpy()[known] == index
        both, either = chance[known][truth, index].sum(), chance[known][:, index].sum()
        losses.append(1 - (2 * both + 1) / (either + truth.sum() + 1))
    assert float(make_loss("dice(macro=true)")(logits, targets)) == pytest.approx(np.mean(losses))
    weighted = make_loss("dice(macro=true)", [0.0, 3.0, 1.0, 5.0])(logits, targets)
    assert float(weighted) == pytest.approx((3 * losses[1] + losses[2]) / 4)


def test_alpha_matters_and_so_do_rare_classes():
    """Of a hundred pixels four are an object, which hardly show in the whole."""
    targets = torch.zeros(1, 10, 10, dtype=torch.long)
    targets[0, 0, :4] = 1
    told, missed = torch.zeros(2, 1, 2, 10, 10)
    told[0, 1], missed[0, 1] = -9.0, -9.0
    told[0, 1, 0, :8], missed[0, 1, 0, :1] = 9.0, 9.0  # four too many, and three too few

    def cost(text: str, logits: torch.Tensor) -> float:
        return float(make_loss(text)(logits, targets))

    for name in ("tversky", "focal_tversky"):
        assert cost(f"{name}(alpha=0.1)", told) < cost(f"{name}(alpha=0.9)", told) - 0.05
        assert cost(f"{name}(alpha=0.1)", missed) > cost(f"{name}(alpha=0.9)", missed) + 0.05
    empty = torch.zeros(1, 2, 10, 10)
    empty[0, 1] = -9.0
    assert cost("dice", empty) < 0.05
    for name in ("dice", "tversky", "focal_tversky"):
        assert cost(f"{name}(macro=true)", empty) > 0.3


@pytest.mark.parametrize("name", ["dice", "tversky", "focal_tversky"])
def test_what_a_batch_does_not_show_has_no_say(name):
    loss = make_loss(f"{name}(macro=true)", [0.0, 1.0, 1.0])
    for targets in (torch.full((1, 4, 4), IGNORED), torch.zeros(1, 4, 4, dtype=torch.long)):
        logits = torch.randn(1, 3, 4, 4, requires_grad=True)
        answer = loss(logits, targets)
        answer.backward()
        assert answer.item() == 0 and not logits.grad.any()
    right = torch.full((1, 3, 4, 4), -30.0)
    right[:, 0] = 30.0
    plain = make_loss(f"{name}(macro=true)")(right, torch.zeros(1, 4, 4, dtype=torch.long))
    assert float(plain) == pytest.approx(0, abs=1e-3)


def test_the_focus_is_as_told_and_bears_sure_answers():
    chance = LOGITS.softmax(1)
    true = torch.stack([chance[0, 0, 0, 0], chance[0, 1, 0, 1], chance[0, 2, 1, 0]]).numpy()
    wanted = np.mean(-((1 - true) ** 0.5) * np.log(true))
    assert float(make_loss("focal(gamma=0.5)")(LOGITS, TARGETS)) == pytest.approx(wanted)
    sure = perfect(TARGETS).requires_grad_()
    make_loss("focal(gamma=0.5)")(sure, TARGETS).backward()
    assert torch.isfinite(sure.grad).all()
    logits, truth = torch.tensor([[0.5, -1.0]]), torch.tensor([[1, 0]])
    true = 1 / (1 + np.exp([-0.5, -1.0]))
    wanted = np.mean(-((1 - true) ** 3) * np.log(true))
    assert float(labels_loss("focal(gamma=3)")(logits, truth)) == pytest.approx(wanted)


def test_all_that_is_offered_is_taken():
    for name, arguments in ARGUMENTS.items():
        values: dict[str, Any] = {"alpha": 0.25, "beta": 0.75, "gamma": 1.25, "macro": True}
        told = ",".join(f"{each}={values[each]}" for each in arguments)
        loss = make_loss(f"0.5*{name}({told}) + 0.5*cross_entropy()")
        assert torch.isfinite(loss(LOGITS, TARGETS))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("dice(alpha=0.3)", "There is no argument 'alpha'. Known are: macro"),
        ("cross_entropy(gamma=2)", "There is no argument 'gamma'. Known are: none"),
        ("tversky(alpha=1.5)", "alpha=1.5 of the loss tversky must lie between 0 and 1"),
        ("tversky(alpha=nan)", "alpha=nan of the loss tversky must lie"),
        ("tversky(alpha=0.3,beta=0.3)", "must add up to 1. Give one of them"),
        ("focal(gamma=0)", "gamma=0 of the loss focal must lie between 0 and 10"),
        ("0.5*tversky(alpha=much)+0.5*dice", "'much' is no value for 'alpha'"),
        ("tversky(0.3)", "Write name=value"),
        ("0*dice", r"LOSS=0\*dice weighs nothing"),
        ("0.0*dice+0*focal", "weighs nothing, so that nothing is learned"),
    ],
)
def test_what_a_loss_is_not_told_is_one_sentence(text, sentence):
    with pytest.raises(InputError, match=sentence):
        terms(text)


@pytest.mark.parametrize(
    "text", ["dise", "", "dice+", "2dice", "-1*dice", "dice-focal", "dice(macro=true", "dice)"]
)
def test_what_is_no_loss_is_refused(text):
    with pytest.raises(InputError, match="There is no loss"):
        terms(text)
