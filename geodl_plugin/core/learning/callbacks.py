"""What happens beside a training: progress, records, cancelling, keeping the best epoch."""

from __future__ import annotations

import math
import time
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from ..errors import InputError
from ..progress import Phase, Progress
from .module import LearningModule, mean

LEAST_CHANGE = 0.001
PATIENCE = 5


class TrainingProgress(Callback):
    """Reports batches and epochs, and ends the training when it is cancelled.

    Attributes:
        records: one dict an epoch.
    """

    def __init__(self, progress: Progress, phase: Phase, score: str, epochs: int) -> None:
        self.progress = progress
        self.phase = phase
        self.score = score
        self.epochs = epochs
        self.records: list[dict[str, Any]] = []
        self._began = time.monotonic()

    def on_train_epoch_start(self, trainer: pl.Trainer, module: LearningModule) -> None:
        """Start the epoch's clock."""
        self._began = time.monotonic()

    def on_train_batch_start(
        self, trainer: pl.Trainer, module: LearningModule, batch: Any, batch_idx: int
    ) -> None:
        """End here when cancelled."""
        self.progress.check()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        module: LearningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count the batch."""
        self.phase.step()

    def on_validation_batch_start(
        self,
        trainer: pl.Trainer,
        module: LearningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """End here when cancelled."""
        self.progress.check()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: LearningModule) -> None:
        """Tell the figures of the epoch."""
        values = module.scores.values
        record = {
            "epoch": trainer.current_epoch + 1,
            "epochs": self.epochs,
            "train_loss": mean(module.training_losses),
            "valid_loss": values["valid_loss"],
            "metric": self.score,
            "score": values[self.score],
            "learning_rate": float(trainer.optimizers[0].param_groups[-1]["lr"]),
            "seconds": time.monotonic() - self._began,
        }
        self.records.append(record)
        self.progress.epoch(record)
        if not math.isfinite(record["train_loss"]):
            raise InputError(
                f"The loss is no number any more in epoch {record['epoch']}. Set a lower "
                "LEARNING_RATE, or PRECISION=float32."
            )


class BestEpoch(Callback):
    """Keeps the weights and scores of the best epoch, and stops when none gets better.

    Args:
        monitor: name of the score, in lower case.
        stop_early: whether to stop after five epochs without a gain.
    """

    def __init__(self, monitor: str, stop_early: bool) -> None:
        self.monitor = monitor
        self.stop_early = stop_early
        self.sign = -1.0 if monitor == "valid_loss" else 1.0
        self.best = -float("inf")
        self.epoch = 0
        self.weights: dict[str, Tensor] = {}
        self.scores: Any = None
        self._reference = -float("inf")
        self._waited = 0

    def on_train_epoch_end(self, trainer: pl.Trainer, module: LearningModule) -> None:
        """Compare the epoch with the best one."""
        value = self.sign * module.scores.values[self.monitor]
        if value > self.best or not self.weights:
            self.best = value
            self.epoch = trainer.current_epoch + 1
            self.scores = module.scores
            self.weights = {
                name: tensor.detach().to("cpu", copy=True)
                for name, tensor in module.network.state_dict().items()
            }
        if value > self._reference + LEAST_CHANGE:
            self._reference = value
            self._waited = 0
        else:
            self._waited += 1
        if self.stop_early and self._waited >= PATIENCE:
            trainer.should_stop = True

    @torch.no_grad()
    def restore(self, module: LearningModule) -> None:
        """Put the best epoch's weights back into the network."""
        module.network.load_state_dict(self.weights)
