"""Losses of pixel networks against their definitions."""

from __future__ import annotations

import pytest
import torch

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.learning.losses import IGNORED, LOSSES, make_loss, terms

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
    assert terms("Dice + 0.25 * focal") == [(1.0, "dice"), (0.25, "focal")]


@pytest.mark.parametrize("text", ["dise", "", "dice+", "2dice", "-1*dice", "dice-focal"])
def test_what_is_no_loss_is_refused(text):
    with pytest.raises(InputError, match="There is no loss"):
        terms(text)
