"""Running the epochs of a training: with what, from where, and with less when memory ends."""

from __future__ import annotations

import dataclasses
import gc
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader
from torchvision.ops import MultiScaleRoIAlign

from ..errors import InputError
from ..memory import is_out_of_memory
from ..progress import Phase, Progress
from .batches import choose_batch_size, make_loaders, refuse_single
from .callbacks import BestEpoch, EpochSeed, TrainingProgress
from .checkpoint import Interrupted, Keeper, mark
from .hardware import Hardware
from .logs import make_logger
from .module import LearningModule
from .options import TrainingOptions
from .preparation import Preparation
from .ranks import companions
from .rates import BATCHES, RateCurve, find_rate

# Shares of the whole task: chips are read, a rate is found, the network trains, files follow.
READ, FOUND, TRAINED = 0.05, 0.12, 0.98
_LARGEST_GRADIENT = 10.0  # norm of a step; it tames rare, wild batches
_LEAST_BATCH = 2  # of which batch norm can learn


@dataclass(frozen=True)
class Plan:
    """What is settled before the first epoch and stays for all.

    Attributes:
        batch_size: chips computed together.
        parts: how many of them make a step; more than one when memory was short.
        rates: of encoder and head.
        curve: of the search for the rate, where there was one.
        seconds: spent in runs before.
    """

    batch_size: int
    parts: int
    rates: tuple[float, float]
    curve: RateCurve | None = None
    seconds: float = 0.0

    def facts(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Plan:
        """Return the plan of plain values."""
        curve = RateCurve(**facts["curve"]) if facts["curve"] else None
        return cls(**{**facts, "rates": tuple(facts["rates"]), "curve": curve})


@dataclass(frozen=True)
class Fitted:
    """A training that has come to its end."""

    module: LearningModule
    plan: Plan
    best: BestEpoch
    reporter: TrainingProgress


class Fitting:
    """Trains a module, and again with smaller batches when the memory does not suffice.

    Args:
        options, preparation, hardware, progress: of the training.
        make_module: returns the untrained module, always the same one.
        interrupted: a training to go on with.
    """

    def __init__(
        self,
        options: TrainingOptions,
        preparation: Preparation,
        hardware: Hardware,
        progress: Progress,
        make_module: Callable[[], LearningModule],
        interrupted: Interrupted | None = None,
    ) -> None:
        self.options = options
        self.preparation = preparation
        self.hardware = hardware
        self.progress = progress
        self.make_module = make_module
        self.interrupted = interrupted
        self._size = options.batch_size
        self._parts = 1
        self._told = 0
        self._keeper: Keeper | None = None

    def run(self) -> Fitted:
        """Train; raise :class:`InputError` when even a small batch does not fit into memory."""
        if self.interrupted is not None:
            plan = Plan.of(self.interrupted.facts)
            self._size, self._parts = plan.batch_size, plan.parts
        while True:
            shortage = self._attempt()
            if isinstance(shortage, Fitted):
                return shortage
            self._halve(shortage)

    def _attempt(self) -> Fitted | Exception:
        """Train, or return the error that says that memory does not suffice."""
        try:
            return self._fit()
        except (RuntimeError, ValueError, MemoryError) as error:
            refuse_single(error, self.options)
            if not is_out_of_memory(error):
                raise
            # Its traceback holds on to the memory that is lacking.
            return error.with_traceback(None)

    def _fit(self) -> Fitted:
        module = self.make_module()
        if not self._size:
            self._size = choose_batch_size(module, self.preparation, self.hardware)
        known = self.interrupted
        done = known.epochs if known else 0
        loaders = make_loaders(self.preparation, self._size, self.hardware, self.options.seed, done)
        plan = self._plan(module, loaders[0])
        module.rates = plan.rates
        monitor = self.options.monitor_of(self.preparation.kind.task).lower()
        score = module.own_score if monitor == "valid_loss" else monitor
        total = len(loaders[0]) * self.options.max_epochs
        start = READ if plan.curve is None else FOUND
        phase = Phase(self.progress, "Training", total, "batches", start, TRAINED)
        phase.done = len(loaders[0]) * done
        best = BestEpoch(monitor, self.options.stop_training)
        reporter = TrainingProgress(
            self.progress, phase, score, monitor, self.options.max_epochs, self._told
        )
        self._keeper = Keeper(self.options, mark(self.preparation), plan.facts())
        callbacks = [EpochSeed(self.options.seed), reporter, best, self._keeper]
        self._run_epochs(module, loaders, callbacks, plan, str(known.path) if known else None)
        return Fitted(module, plan, best, reporter)

    def _run_epochs(
        self,
        module: LearningModule,
        loaders: tuple[DataLoader, DataLoader],
        callbacks: list[pl.Callback],
        plan: Plan,
        checkpoint: str | None,
    ) -> None:
        folder = tempfile.mkdtemp(prefix="geodl-train-")
        try:
            trainer = pl.Trainer(
                max_epochs=self.options.max_epochs,
                callbacks=callbacks,
                logger=make_logger(self.options.output, self.progress) or False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
                gradient_clip_val=_LARGEST_GRADIENT,
                accumulate_grad_batches=plan.parts,
                default_root_dir=folder,
                deterministic=_deterministic(module, self.hardware.device),
                **self.hardware.trainer_arguments(),
            )
            with companions(self.options, plan.batch_size, plan.rates):
                trainer.fit(module, *loaders, ckpt_path=checkpoint)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _plan(self, module: LearningModule, loader: DataLoader) -> Plan:
        """Return the plan of the run that goes on, or of a new one; find its rate if wanted."""
        if self.interrupted is not None:
            known = Plan.of(self.interrupted.facts)
            return dataclasses.replace(known, batch_size=self._size, parts=self._parts)
        rates, curve = self.options.rates(), None
        if not rates:
            phase = Phase(self.progress, "Finding a learning rate", BATCHES, "batches", READ, FOUND)
            device, precision = self.hardware.device, self.hardware.precision
            curve = find_rate(module, loader, device, precision, phase)
            rates = (curve.suggestion,)
            self.progress.info(
                f"Learning rate found: {curve.suggestion:.2g} "
                f"(steepest fall at {curve.steepest:.2g})."
            )
        return Plan(self._size, self._parts, pair(self.preparation, rates), curve)

    @property
    def kept(self) -> Interrupted | None:
        """The training as it was kept last, if an epoch came to its end."""
        return (self._keeper and self._keeper.kept) or self.interrupted

    def _halve(self, error: Exception) -> None:
        if self._size < 2 * _LEAST_BATCH or self.hardware.count > 1:
            raise InputError(
                f"The memory of {self.hardware.describe()} does not hold a batch of "
                f"{self._size or 'two'} chips. Set BATCH_SIZE or CHIP_SIZE to a smaller one, or "
                "choose a smaller BACKBONE."
            ) from error
        self._size, self._parts = self._size // 2, self._parts * 2
        self.interrupted = self.kept
        self._told = self._keeper.kept.epochs if self._keeper and self._keeper.kept else self._told
        gc.collect()
        if self.hardware.device.type == "cuda":
            torch.cuda.empty_cache()
        self.progress.warn(
            f"The memory does not suffice: batches are now {self._size} chips, of which "
            f"{self._parts} make a step."
        )


def _deterministic(module: LearningModule, device: torch.device) -> Literal["warn"] | None:
    """Return whether GPUs add up in one order always: what cannot only differs by rounding.

    Two-stage detectors are spared: torchvision would compile their pooling, which takes a
    compiler and much more memory.
    """
    pools = any(isinstance(each, MultiScaleRoIAlign) for each in module.modules())
    return "warn" if device.type == "cuda" and not pools else None


def pair(preparation: Preparation, rates: tuple[float, ...]) -> tuple[float, float]:
    """Return the rates of encoder and head.

    A pretrained encoder learns at a tenth of the head's rate; a random one has all to learn.
    """
    if len(rates) == 2:
        return rates[0], rates[1]
    rate = rates[0] if rates else 1e-3
    return (rate / 10 if preparation.encoder_knows else rate), rate
