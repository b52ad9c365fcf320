"""The best epoch is the one whose weights are kept."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

from geodl_plugin.core.learning.callbacks import BestEpoch
from geodl_plugin.core.learning.metrics import Scores

NO_NUMBER = math.nan


def best_of(
    monitor: str,
    values: list[float],
    stop_early: bool = False,
    frozen_until: int = 1,
    losses: list[float] | None = None,
) -> tuple[BestEpoch, Any]:
    """Return the callback after epochs with these values, and what it was told by."""
    best = BestEpoch(monitor, stop_early)
    strategy = SimpleNamespace(broadcast=lambda value: value)
    trainer = SimpleNamespace(current_epoch=0, should_stop=False, strategy=strategy)
    for trainer.current_epoch, value in enumerate(values):
        loss = losses[trainer.current_epoch] if losses else 1.0
        scores = Scores({"valid_loss": loss, monitor: value})
        module = SimpleNamespace(network=nn.Linear(1, 1), scores=scores, frozen_until=frozen_until)
        best.on_train_epoch_end(trainer, module)
    return best, trainer


@pytest.mark.parametrize(
    ("monitor", "values", "epoch"),
    [
        ("valid_loss", [3.0, 1.0, 2.0], 2),
        ("miou", [0.3, 0.1, 0.4, 0.4], 3),
        ("valid_loss", [NO_NUMBER, 3.0, 1.0, NO_NUMBER, 2.0], 3),
        ("valid_loss", [math.inf, NO_NUMBER, 3.0], 3),
        ("valid_loss", [NO_NUMBER, NO_NUMBER], 1),
    ],
)
def test_the_best_epoch_is_that_of_the_best_number(monitor, values, epoch):
    assert best_of(monitor, values)[0].epoch == epoch


@pytest.mark.parametrize(("gain", "stops"), [(0.0, True), (0.0009, True), (0.0011, False)])
def test_it_stops_after_five_epochs_without_a_gain(gain, stops):
    values = [0.5, *(0.5 + gain for _ in range(5))]
    assert best_of("miou", values, True)[1].should_stop is stops
    assert not best_of("miou", values[:5], True)[1].should_stop


@pytest.mark.parametrize(
    ("first", "share", "stops"),
    [(0.01, 0.95, False), (0.0005, 0.5, False), (0.01, 0.999, True), (1.0, 0.9999, True)],
)
def test_a_small_loss_falls_by_small_numbers(first, share, stops):
    """A focal loss of 0.01 that fell by a twentieth each epoch stopped a training."""
    values = [first * share**epoch for epoch in range(10)]
    assert best_of("valid_loss", values, True)[1].should_stop is stops


def test_while_nothing_is_found_the_loss_tells_which_epoch_is_better():
    """A detector whose loss fell was stopped after six epochs, and the first one was kept."""
    losses = [5.0, 4.0, 3.0, 3.5, 2.0, 1.9, 1.8, 1.7]
    nothing = best_of("average_precision", [0.0] * 8, True, losses=losses)
    assert nothing[0].epoch == 8 and not nothing[1].should_stop
    late = best_of("average_precision", [*[0.0] * 7, 0.1], True, losses=[*losses[:7], 9.0])
    assert late[0].epoch == 8 and not late[1].should_stop
    stuck = best_of("average_precision", [0.0] * 7, True, losses=[5.0, 4.0, *[4.1] * 5])
    assert stuck[0].epoch == 2 and stuck[1].should_stop
    lost = best_of("average_precision", [0.2, *[0.0] * 5], True, losses=losses)
    assert lost[0].epoch == 1 and lost[1].should_stop


@pytest.mark.parametrize(("frozen_until", "last"), [(0, 6), (1, 6), (6, 10), (30, 34)])
def test_it_does_not_stop_before_the_encoder_has_trained(frozen_until, last):
    """Five epochs without a gain of the head alone ended trainings early."""
    values = [0.5] * 40
    stopped = next(
        count
        for count in range(1, 41)
        if count == 40 or best_of("miou", values[:count], True, frozen_until)[1].should_stop
    )
    assert stopped == last
