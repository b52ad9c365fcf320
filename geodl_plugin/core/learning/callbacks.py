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
from .metrics import Scores
from .module import LearningModule
from .order import epoch_seed
from .ranking import LOSS, NO_RANK, is_gain, rank

PATIENCE = 5


class HopelessError(InputError):
    """A training would come to the same end whenever it went on."""


class EpochSeed(Callback):
    """Starts all generators of chance anew with each epoch, so that it can be repeated.

    Args:
        seed: of the training.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, module: LearningModule) -> None:
        """Seed those of torch, NumPy and Python."""
        seed = epoch_seed(self.seed, trainer.current_epoch) + trainer.global_rank
        pl.seed_everything(seed % 2**32, verbose=False)


class TrainingProgress(Callback):
    """Reports batches and epochs, and ends the training when it is cancelled.

    Args:
        progress: is told.
        phase: counts the batches.
        score: that is told besides the losses.
        monitor: by which the best epoch is found.
        epochs: to be trained at most.
        told: how many epochs of an interrupted training were told before.

    Attributes:
        records: one dict an epoch.
    """

    def __init__(
        self,
        progress: Progress,
        phase: Phase,
        score: str,
        monitor: str,
        epochs: int,
        told: int = 0,
    ) -> None:
        self.progress = progress
        self.phase = phase
        self.score = score
        self.monitor = monitor
        self.epochs = epochs
        self.told = told
        self.records: list[dict[str, Any]] = []
        self._began = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """Return the records, for an interrupted training."""
        return {"records": self.records}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the records of an interrupted training, and tell them."""
        self.records = list(state_dict["records"])
        for record in self.records[self.told :]:
            self.progress.epoch(record)

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
            "train_loss": module.training_loss.compute(),
            "valid_loss": values["valid_loss"],
            "metric": self.score,
            "monitor": self.monitor,
            "score": values[self.score],
            "learning_rate": float(trainer.optimizers[0].param_groups[-1]["lr"]),
            "seconds": time.monotonic() - self._began,
        }
        self.records.append(record)
        if trainer.logger is not None:
            logged = {name: record[name] for name in ("train_loss", "learning_rate", "seconds")}
            trainer.logger.log_metrics(logged, step=record["epoch"])
        self.progress.epoch(record)
        if not math.isfinite(record["train_loss"]):
            raise HopelessError(
                f"The loss is no number any more in epoch {record['epoch']}. Set a lower "
                "LEARNING_RATE, or PRECISION=float32."
            )


class BestEpoch(Callback):
    """Keeps the weights and scores of the best epoch, and stops when none gets better.

    Args:
        monitor: name of the score, in lower case.
        stop_early: whether to stop after five epochs without a gain; those in which the encoder
            still rests do not count where it is to train later.
    """

    def __init__(self, monitor: str, stop_early: bool) -> None:
        self.monitor = monitor
        self.stop_early = stop_early
        self.best = NO_RANK
        self.epoch = 0
        self.weights: dict[str, Tensor] = {}
        self.scores: Any = None
        self._reference = NO_RANK
        self._waited = 0

    def on_train_epoch_end(self, trainer: pl.Trainer, module: LearningModule) -> None:
        """Compare the epoch with the best one."""
        values = module.scores.values
        new = rank(self.monitor, values[self.monitor], values[LOSS])
        if new > self.best or not self.weights:
            self.best = new
            self.epoch = trainer.current_epoch + 1
            self.scores = module.scores
            self.weights = {
                name: tensor.detach().to("cpu", copy=True)
                for name, tensor in module.network.state_dict().items()
            }
        if is_gain(new, self._reference):
            self._reference = new
            self._waited = 0
        elif trainer.current_epoch + 1 >= module.frozen_until:
            self._waited += 1
        self._stop_when_due(trainer)

    def on_train_start(self, trainer: pl.Trainer, module: LearningModule) -> None:
        """Stop at once where an interrupted training had no more epochs to come."""
        self._stop_when_due(trainer)

    def _stop_when_due(self, trainer: pl.Trainer) -> None:
        # Several processes must agree, or one would wait for the others for ever.
        if trainer.strategy.broadcast(self.stop_early and self._waited >= PATIENCE):
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Return what an interrupted training needs, in types that are safe to load."""
        return {
            "best": [float(each) for each in self.best],
            "epoch": self.epoch,
            "weights": self.weights,
            "scores": self.scores.as_state() if self.scores else None,
            "reference": [float(each) for each in self._reference],
            "waited": self._waited,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up an interrupted training."""
        self.best, self.epoch = tuple(state_dict["best"]), state_dict["epoch"]
        self.weights = state_dict["weights"]
        self.scores = Scores.of_state(state_dict["scores"]) if state_dict["scores"] else None
        self._reference, self._waited = tuple(state_dict["reference"]), state_dict["waited"]

    def refuse_none(self) -> None:
        """Raise :class:`HopelessError` when the best epoch has no number for its loss: none has."""
        if not math.isfinite(self.scores.values["valid_loss"]):
            raise HopelessError(
                "The validation loss was no number in any epoch. Set a lower LEARNING_RATE, or "
                "PRECISION=float32, or look for odd values in the validation chips."
            )

    @torch.no_grad()
    def restore(self, module: LearningModule) -> None:
        """Put the best epoch's weights back into the network."""
        module.network.load_state_dict(self.weights)
