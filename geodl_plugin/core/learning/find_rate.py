"""The task "find_rate": the learning rate that suits data and network, with its curve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from .. import pages
from ..errors import InputError
from ..geo.picture import data_address
from ..memory import is_out_of_memory, keep_freed_memory
from ..progress import Phase, Progress
from .batches import choose_batch_size, make_loaders, refuse_single
from .building import build_module, quiet
from .hardware import choose_hardware
from .pictures import rate_picture
from .preparation import prepare
from .rate_options import RateOptions
from .rates import BATCHES, RateCurve, find_rate

_READ = 0.3  # share of the whole task


def run(options: RateOptions, progress: Progress) -> dict[str, Any]:
    """Find a learning rate, write the report and return ``learning_rate`` and ``report``.

    Raises:
        InputError: when an option cannot be used, or the loss falls at no rate.
        TrainingDataError: when the folder cannot be used.
    """
    training = options.training()
    keep_freed_memory()
    with quiet():
        hardware = choose_hardware(options.device, options.precision)
        preparation = prepare(training, Phase(progress, "Reading", 1, "chips", 0.0, _READ))
        for sentence in preparation.notes:
            progress.info(sentence)
        progress.info(f"Finding a learning rate on {hardware.describe()}.")
        pl.seed_everything(training.seed, workers=True, verbose=False)
        module = build_module(training, preparation, True, progress)
        phase = Phase(progress, "Finding a learning rate", BATCHES, "batches", _READ, 0.98)
        try:
            size = options.batch_size or choose_batch_size(module, preparation, hardware)
            loader, _ = make_loaders(preparation, size, hardware, training.seed)
            curve = find_rate(module, loader, hardware.device, hardware.precision, phase)
        except (RuntimeError, ValueError) as error:
            refuse_single(error, training)
            if not is_out_of_memory(error):
                raise
            raise InputError(
                f"The memory of {hardware.describe()} does not hold a batch of "
                f"{options.batch_size or 'this many'} chips. Set BATCH_SIZE to half of it."
            ) from error
    title = f"Learning rate of {preparation.spec.model_type} on {preparation.folder.path.name}"
    path = Path(options.output).expanduser().absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pages.write(path, _page(title, curve, size))
    except OSError as error:
        raise InputError(f"The report '{path}' cannot be written: {error}.") from error
    progress.update(1.0, "Done")
    return {"learning_rate": curve.suggestion, "report": str(path)}


def _page(title: str, curve: RateCurve, batch_size: int) -> str:
    """Return the report as an HTML page."""
    tried = f"{len(curve.rates)} batches of {batch_size} chips"
    picture = data_address(rate_picture(curve))
    return pages.page(
        title,
        [
            pages.lead(
                f"Suggested is a learning rate of {curve.suggestion:.2g}, two thirds along the "
                "longest falling run of the loss."
            ),
            pages.figures(
                {
                    "Suggestion": f"{curve.suggestion:.2g}",
                    "Steepest fall": f"{curve.steepest:.2g}",
                    "Tried with": tried,
                }
            ),
            pages.heading("Loss by learning rate"),
            f'<img alt="Loss by learning rate" style="max-width:100%" src="{picture}">',
            pages.note(
                "With one rate a pretrained encoder gets a tenth of it; the suggestion is that "
                "of the head."
            ),
        ],
    )
