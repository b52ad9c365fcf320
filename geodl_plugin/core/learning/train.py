"""Training a model: from a folder of chips to a package with a report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl

from ..errors import CancelledError
from ..memory import keep_freed_memory
from ..progress import Phase, Progress
from .building import build_module, quiet
from .callbacks import HopelessError
from .checkpoint import Interrupted, alone, discard, find_interrupted, mark, refuse_other_data
from .delivery import Outcome, deliver
from .fitting import READ, TRAINED, Fitted, Fitting
from .hardware import Hardware, choose_hardware
from .module import LearningModule
from .options import TrainingOptions
from .preparation import Preparation, prepare
from .ranks import own_rank


def train(options: TrainingOptions, progress: Progress) -> dict[str, Any]:
    """Train a model and write its package and report.

    After each epoch the training keeps its state in the output folder. The same call goes on
    there when it was interrupted, and ends with the same weights as if it had not been.

    Returns:
        ``model`` and ``report`` (paths), ``epochs`` (trained) and ``best_score``.

    Raises:
        InputError: when an option cannot be used.
        TrainingDataError: when the folder cannot be used.
        CancelledError: when the user cancels; no model is written then.
    """
    options.check()
    began = time.monotonic()
    keep_freed_memory()
    with quiet(), alone(options.output):
        hardware = choose_hardware(options.device, options.precision, options.devices)
        interrupted = find_interrupted(options)
        preparation = prepare(options, Phase(progress, "Reading", 1, "chips", 0.0, READ))
        for sentence in preparation.notes:
            progress.info(sentence)
        progress.info(f"Training on {hardware.describe()}.")
        if interrupted is not None:
            refuse_other_data(interrupted, mark(preparation))
            progress.info(
                f"The training in the output folder was interrupted after epoch "
                f"{interrupted.epochs}: it goes on there."
            )
        fitted = _fit(options, preparation, hardware, progress, interrupted)
        if own_rank():
            return {}
        fitted.best.restore(fitted.module)
        progress.update(TRAINED, "Writing the model")
        spent = interrupted.facts["seconds"] if interrupted else 0.0
        outcome = _outcome(options, preparation, hardware, fitted, time.monotonic() - began + spent)
        result = deliver(outcome, progress)
        discard(options.output)
    progress.update(1.0, "Done")
    return result


def _fit(
    options: TrainingOptions,
    preparation: Preparation,
    hardware: Hardware,
    progress: Progress,
    interrupted: Interrupted | None,
) -> Fitted:
    """Train; what is kept of a training that does not end is said, or removed if useless."""
    fresh = interrupted is None
    if fresh and not own_rank():
        discard(options.output)

    def make_module() -> LearningModule:
        pl.seed_everything(options.seed, workers=True, verbose=False)
        return build_module(options, preparation, fresh, progress)

    for sentence in _of_the_encoder(options, preparation):
        progress.info(sentence)
    fitting = Fitting(options, preparation, hardware, progress, make_module, interrupted)
    try:
        fitted = fitting.run()
        fitted.best.refuse_none()
        return fitted
    except CancelledError:
        if fitting.kept is not None:
            progress.info(
                f"The training is kept as it was after epoch {fitting.kept.epochs}: start it "
                "with the same options and the same output folder to go on."
            )
        raise
    except HopelessError:
        discard(options.output)
        raise


def _of_the_encoder(options: TrainingOptions, preparation: Preparation) -> Iterator[str]:
    """Yield sentences on options that do not say what the encoder does."""
    first, rates = options.freeze_until(), options.rates()
    if not preparation.encoder_knows:
        if first != 1:
            yield "The encoder starts from random weights, so all layers train from the start."
        return
    if first > options.max_epochs:
        yield (
            f"The encoder rests in all epochs, for FREEZE={first} is above "
            f"MAX_EPOCHS={options.max_epochs}."
        )
    rests = not 0 < first <= options.max_epochs
    if rests and len(rates) == 2 and not preparation.has_new_bands(options.weight_init_scheme):
        yield (
            f"The rate of the encoder, {rates[0]:g}, is not used, for with FREEZE={options.freeze} "
            "it rests. Set FREEZE=false to train it."
        )


def _outcome(
    options: TrainingOptions,
    preparation: Preparation,
    hardware: Hardware,
    fitted: Fitted,
    seconds: float,
) -> Outcome:
    best, plan = fitted.best, fitted.plan
    return Outcome(
        options=options,
        preparation=preparation,
        network=fitted.module.network,
        records=fitted.reporter.records,
        best_epoch=best.epoch,
        scores=best.scores,
        score_name=fitted.reporter.score,
        rates=plan.rates,
        curve=plan.curve,
        batch_size=plan.batch_size * plan.parts,
        parts=plan.parts,
        hardware=hardware.describe(),
        seconds=seconds,
    )
