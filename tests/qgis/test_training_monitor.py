"""The table of epochs beside a training."""

from __future__ import annotations

from typing import Any

import pytest

from geodl_plugin.gui.training_monitor import SCORE_COLUMN, VALIDATION_COLUMN, TrainingMonitor

LOSSES = (0.5, float("nan"), 0.4, 0.9)
SCORES = (0.2, 0.9, 0.6, 0.7)


@pytest.mark.parametrize(
    ("monitor", "scores", "column", "bold"),
    [
        ("valid_loss", SCORES, VALIDATION_COLUMN, 2),
        ("miou", SCORES, SCORE_COLUMN, 3),
        ("miou", (0.0, 0.0, 0.0, 0.0), SCORE_COLUMN, 2),
    ],
)
def test_the_epoch_that_is_kept_is_bold(
    provider: Any, monitor: str, scores: tuple[float, ...], column: int, bold: int
) -> None:
    table = TrainingMonitor()
    for epoch, (loss, score) in enumerate(zip(LOSSES, scores), start=1):
        facts = {"epoch": epoch, "epochs": 4, "train_loss": 1.0, "seconds": 1.0, "metric": "miou"}
        table.add({**facts, "valid_loss": loss, "score": score, "monitor": monitor})
    found = [
        (row, place)
        for row in range(4)
        for place in range(table.table.columnCount())
        if table.table.item(row, place).font().bold()
    ]
    assert found == [(bold, column)]
