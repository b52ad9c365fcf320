"""Training a model: from a folder of chips to a package with a report."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader

from ..device import is_out_of_memory
from ..errors import InputError
from ..models.registry import build_network
from ..progress import Phase, Progress
from .batches import choose_batch_size, make_loaders
from .callbacks import BestEpoch, TrainingProgress
from .delivery import Outcome, deliver
from .hardware import Hardware, choose_hardware
from .losses import pixel_loss
from .module import MODULES, LearningModule, PixelModule
from .options import TrainingOptions
from .preparation import Preparation, prepare
from .rates import BATCHES, RateCurve, find_rate

# Shares of the whole task: chips are read, a rate is found, the network trains, files follow.
_READ, _FOUND, _TRAINED = 0.05, 0.12, 0.98
_LARGEST_GRADIENT = 10.0  # norm of a step; it tames rare, wild batches


def train(options: TrainingOptions, progress: Progress) -> dict[str, Any]:
    """Train a model and write its package and report.

    Returns:
        ``model`` and ``report`` (paths), ``epochs`` (trained) and ``best_score``.

    Raises:
        InputError: when an option cannot be used.
        TrainingDataError: when the folder cannot be used.
        CancelledError: when the user cancels; nothing is written then.
    """
    options.check()
    began = time.monotonic()
    with _quiet():
        hardware = choose_hardware(options.device, options.precision)
        pl.seed_everything(options.seed, workers=True, verbose=False)
        preparation = prepare(options, Phase(progress, "Reading", 1, "chips", 0.0, _READ))
        for sentence in preparation.notes:
            progress.info(sentence)
        progress.info(f"Training on {hardware.describe()}.")
        network = build_network(preparation.spec)
        network.to(memory_format=torch.channels_last)
        module = _module(options, preparation, network, progress)
        try:
            batch_size = options.batch_size or choose_batch_size(module, preparation, hardware)
            loaders = make_loaders(preparation, batch_size, hardware)
            curve = _set_rates(options, preparation, module, loaders[0], hardware, progress)
            run = _fit(options, preparation, module, loaders, hardware, progress, curve is None)
        except (RuntimeError, ValueError) as error:
            sentence = _explained(error, options, hardware)
            if sentence is None:
                raise
            raise sentence from error
        best, reporter = run
        best.restore(module)
        outcome = Outcome(
            options=options,
            preparation=preparation,
            network=network,
            records=reporter.records,
            best_epoch=best.epoch,
            scores=best.scores,
            score_name=reporter.score,
            rates=module.rates,
            curve=curve,
            batch_size=batch_size,
            hardware=hardware.describe(),
            seconds=time.monotonic() - began,
        )
        progress.update(_TRAINED, "Writing the model")
        result = deliver(outcome, progress)
    progress.update(1.0, "Done")
    return result


def _module(
    options: TrainingOptions, preparation: Preparation, network: Any, progress: Progress
) -> LearningModule:
    """Return the module of the task, with the encoder frozen only where it knows something."""
    frozen_until = options.freeze_until()
    if preparation.spec.weights == "none" and frozen_until != 1:
        frozen_until = 1
        progress.info("The encoder starts from random weights, so all layers train from the start.")
    names = preparation.schema.names
    cls = MODULES[preparation.kind.task]
    module = cls(network, names, _pair(preparation, options.rates()), frozen_until)
    if isinstance(module, PixelModule):
        module.criterion = pixel_loss(options.loss)
    return module


def _pair(preparation: Preparation, rates: tuple[float, ...]) -> tuple[float, float]:
    """Return the rates of encoder and head.

    A pretrained encoder learns at a tenth of the head's rate; a random one has all to learn.
    """
    if len(rates) == 2:
        return rates[0], rates[1]
    rate = rates[0] if rates else 1e-3
    return (rate if preparation.spec.weights == "none" else rate / 10), rate


def _set_rates(
    options: TrainingOptions,
    preparation: Preparation,
    module: LearningModule,
    loader: DataLoader,
    hardware: Hardware,
    progress: Progress,
) -> RateCurve | None:
    """Find the learning rate where none is given, and set it."""
    if options.rates():
        return None
    phase = Phase(progress, "Finding a learning rate", BATCHES, "batches", _READ, _FOUND)
    curve = find_rate(module, loader, hardware.device, hardware.precision, phase)
    module.rates = _pair(preparation, (curve.suggestion,))
    progress.info(
        f"Learning rate found: {curve.suggestion:.2g} (steepest fall at {curve.steepest:.2g})."
    )
    return curve


def _fit(
    options: TrainingOptions,
    preparation: Preparation,
    module: LearningModule,
    loaders: tuple[DataLoader, DataLoader],
    hardware: Hardware,
    progress: Progress,
    rate_given: bool,
) -> tuple[BestEpoch, TrainingProgress]:
    """Train, and return what the callbacks kept."""
    monitor = options.monitor_of(preparation.kind.task).lower()
    score = module.own_score if monitor == "valid_loss" else monitor
    total = len(loaders[0]) * options.max_epochs
    start = _READ if rate_given else _FOUND
    phase = Phase(progress, "Training", total, "batches", start, _TRAINED)
    best = BestEpoch(monitor, options.stop_training)
    reporter = TrainingProgress(progress, phase, score, options.max_epochs)
    folder = tempfile.mkdtemp(prefix="geodl-train-")
    try:
        trainer = pl.Trainer(
            max_epochs=options.max_epochs,
            callbacks=[reporter, best],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            gradient_clip_val=_LARGEST_GRADIENT,
            default_root_dir=folder,
            **hardware.trainer_arguments(),
        )
        trainer.fit(module, *loaders)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return best, reporter


def _explained(error: Exception, options: TrainingOptions, hardware: Hardware) -> InputError | None:
    """Return a sentence for what the batch size mends: the lack of memory, or of chips."""
    if "more than 1 value per channel" in str(error):
        return InputError(
            f"A batch of one chip of this size is too little for batch norm to learn from. Set "
            f"BATCH_SIZE to 2 or more, or a larger CHIP_SIZE (now {options.batch_size} and "
            f"{options.chip_size}, where 0 chooses)."
        )
    if not is_out_of_memory(error):
        return None
    return InputError(
        f"The memory of {hardware.describe()} does not hold a batch of "
        f"{options.batch_size or 'this many'} chips. Set BATCH_SIZE to half of it, or CHIP_SIZE "
        "to a smaller one."
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's tips away: what the user should know is told through the progress."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
