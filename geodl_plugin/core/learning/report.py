"""The training report: one HTML file that needs nothing else, readable on a phone."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import pages
from ..assess.chart import curves_svg
from ..chips import contact_sheet
from ..chips.contact_sheet import View
from ..geo.picture import data_address
from ..progress import duration
from .pictures import rate_picture, words

if TYPE_CHECKING:
    from .delivery import Outcome
    from .examination import Calibration, Examination, Example
    from .options import TrainingOptions
    from .preparation import Preparation
    from .views import Looks

_LARGEST_MATRIX = 30  # classes; a larger one is in nobody's interest
_STYLE = (
    contact_sheet.STYLE
    + """
img.chart { display: block; width: 100%; max-width: 40rem; height: auto; background: #fff;
  border-radius: 6px; }
.facts td:nth-child(2) { white-space: normal; overflow-wrap: anywhere; text-align: left; }
.pair { margin: 0.8rem 0 1.2rem; }
.pair > p { margin: 0 0 0.3rem; font-size: 0.9rem; overflow-wrap: anywhere; }
.pair > div { display: grid; grid-template-columns: 1fr 1fr; gap: 0.6rem; max-width: 36rem; }
.pair figure { margin: 0; min-width: 0; } .pair svg { border-radius: 4px; }
.pair figcaption { font-size: 0.85rem; } .pair small { display: block; color: var(--soft); }
tr.best { background: #3a9d5d33; }
"""
)


def make_report(
    outcome: Outcome, examination: Examination, looks: Looks, pictures: Mapping[str, bytes]
) -> str:
    """Return the report as an HTML page with its pictures inside.

    Args:
        outcome: of the training.
        examination: of the validation chips.
        looks: how chips are shown.
        pictures: by name, as :func:`.pictures.draw_all` makes them.
    """
    preparation = outcome.preparation
    parts = [
        pages.lead(_sentence(outcome)),
        pages.figures(_figures(outcome)),
        pages.heading("What was trained on what"),
        f'<div class="facts">{pages.table(["", ""], _facts(outcome))}</div>',
        *(pages.note(each) for each in preparation.notes),
        pages.heading("Losses, score and learning rate by epoch"),
        _image(pictures["loss_graph.png"], "Losses, score and learning rate by epoch"),
    ]
    if outcome.curve is not None:
        rates = rate_picture(outcome.curve)
        parts += [pages.heading("Finding the learning rate"), _image(rates, "Loss by rate")]
    parts += [pages.heading("Classes"), _table(outcome.scores.classes)]
    parts += _confusion(outcome)
    parts += _precision(outcome, examination)
    parts += _calibration(examination.calibration)
    parts += _examples(outcome, examination, looks)
    parts += [pages.heading("Epochs"), _table(_epoch_rows(outcome), best=outcome.best_epoch - 1)]
    title = f"{preparation.spec.model_type} trained on {preparation.folder.path.name}"
    return pages.page(title, parts, _STYLE)


def _sentence(outcome: Outcome) -> str:
    label = words(outcome.score_name)
    return (
        f"Best epoch {outcome.best_epoch} of {len(outcome.records)}: "
        f"{label} {outcome.best_score:.3f} on the validation chips."
    )


def _figures(outcome: Outcome) -> dict[str, float | str | None]:
    values = outcome.scores.values
    names = ("average_precision", "miou", "accuracy", "f1_score", "precision", "recall")
    found: dict[str, float | str | None] = {
        words(name): values[name] for name in names if name in values
    }
    found["time"] = duration(outcome.seconds)
    return found


def _facts(outcome: Outcome) -> list[list[str]]:
    preparation, options = outcome.preparation, outcome.options
    spec, split = preparation.spec, preparation.split
    encoder, head = outcome.rates
    bands = ", ".join(preparation.band_names)
    arguments = ", ".join(f"{name}={value}" for name, value in spec.arguments.items())
    return [
        ["Model type", _network(preparation)],
        ["Encoder", _encoder(outcome)],
        ["Arguments", arguments or "none"],
        ["Data", f"{len(preparation.folder.chips)} chips, {preparation.folder.format}"],
        ["Bands", f"{spec.band_count}: {bands} ({preparation.folder.dtype})"],
        ["Classes", str(preparation.schema)],
        ["Ignored classes", options.ignore_classes or "none"],
        ["Chip size", _chip_size(preparation)],
        [
            "Chips",
            f"{len(split.training)} for training, {len(split.validation)} for validation, "
            f"{len(split.dropped)} left out",
        ],
        ["Batch size", str(outcome.batch_size)],
        ["Learning rate", f"{head:.2g}" + (f" (encoder {encoder:.2g})" if encoder != head else "")],
        ["Loss", options.loss],
        ["Augmentation", _augmentation(options, preparation)],
        ["Monitor", options.monitor],
        ["Seed", str(options.seed)],
        ["Time", f"{duration(outcome.seconds)} on {outcome.hardware}"],
    ]


def _chip_size(preparation: Preparation) -> str:
    spec = preparation.spec
    inside = f", scaled to {spec.resize_to} for the network" if spec.resize_to else ""
    return f"{spec.chip_size} pixels{inside}"


def _augmentation(options: TrainingOptions, preparation: Preparation) -> str:
    told = f"{options.augmentation} {options.augmentation_parameters}".strip()
    kept = told == "DEFAULT" and not preparation.augmentation["probability"]
    return f"{told} (turned and mirrored only)" if kept else told


def _network(preparation: Preparation) -> str:
    spec, parent = preparation.spec, preparation.pretrained
    on = f" on {spec.backbone}" if spec.backbone else ""
    if parent is not None:
        return f"{spec.model_type}{on}, going on from {parent.name}"
    weights = "random" if spec.weights == "none" else spec.weights
    return f"{spec.model_type}{on}, starting from {weights} weights"


def _encoder(outcome: Outcome) -> str:
    """Return when the encoder trained."""
    first, preparation = outcome.options.freeze_until(), outcome.preparation
    if first == 1 or not preparation.encoder_knows:
        return "trained from the start"
    new = preparation.has_new_bands(outcome.options.weight_init_scheme)
    rested = "rested but for the weights of the bands" if new else "rested"
    return f"{rested} until epoch {first}" if first else rested


def _image(content: bytes, text: str) -> str:
    return f'<img class="chart" alt="{html.escape(text)}" src="{data_address(content)}">'


def _confusion(outcome: Outcome) -> list[str]:
    matrix = outcome.scores.confusion
    if matrix is None or len(matrix) > _LARGEST_MATRIX:
        return []
    names = [str(row["class"]) for row in outcome.scores.classes]
    rows = [[name, *map(str, row)] for name, row in zip(names, matrix.tolist())]
    return [
        pages.heading("Confusion matrix"),
        pages.table(["truth \\ told", *names], rows, diagonal=len(names)),
    ]


def _precision(outcome: Outcome, examination: Examination) -> list[str]:
    colors = {each.name: each.color for each in outcome.preparation.schema.classes}
    lines = {
        name: (np.r_[0.0, curve.recall], np.r_[curve.precision[:1], curve.precision], colors[name])
        for name, curve in examination.curves.items()
        if len(curve.recall)
    }
    if not lines:
        return []
    return [pages.heading("Precision and recall"), curves_svg(lines, "recall", "precision")]


def _calibration(calibration: Calibration) -> list[str]:
    sure, right = calibration.curve()
    if not len(sure):
        return []
    ends = np.array([0.0, 1.0])
    lines = {
        "this network": (sure, right, (31, 111, 180)),
        "as sure as right": (ends, ends, (150, 150, 150)),
    }
    return [
        pages.heading("Calibration"),
        pages.note(
            f"Of answers with a confidence, the share that is right; the two differ by "
            f"{calibration.error:.3f} on average. Below the grey line the network is too sure."
        ),
        curves_svg(lines, "confidence", "share of right answers"),
    ]


def _examples(outcome: Outcome, examination: Examination, looks: Looks) -> list[str]:
    parts = []
    for title, examples in (
        ("Best validation chips", examination.best),
        ("Worst validation chips", examination.worst),
    ):
        if examples:
            parts += [pages.heading(title), pages.note(f"By the {examination.meaning}.")]
            parts += [_pair(outcome, each, looks) for each in examples]
    return parts


def _pair(outcome: Outcome, example: Example, looks: Looks) -> str:
    """Return a chip's truth and prediction side by side."""
    shown = []
    for name, label in (("truth", example.truth), ("prediction", example.told)):
        pixels, label = looks.of(example, label)
        view = View(name, pixels, np.ones(pixels.shape[1:], bool), label)
        shown.append(contact_sheet.figure(view, outcome.preparation.schema, looks.limits))
    return (
        f'<div class="pair"><p>{html.escape(example.name)} · <b>{example.score:.2f}</b></p>'
        f"<div>{''.join(shown)}</div></div>"
    )


def _epoch_rows(outcome: Outcome) -> list[dict[str, Any]]:
    names = ("epoch", "train_loss", "valid_loss", "score", "learning_rate", "seconds")
    return [{name: record[name] for name in names} for record in outcome.records]


def _table(rows: Sequence[dict[str, Any]], best: int = -1) -> str:
    """Return a table of dicts with the same keys, one row of it marked."""
    if not rows:
        return pages.note("None.")
    cells = [[_text(value) for value in row.values()] for row in rows]
    text = pages.table([words(name) for name in rows[0]], cells)
    if best < 0:
        return text
    lines = text.split("\n")
    lines[best + 2] = lines[best + 2].replace("<tr>", '<tr class="best">')
    return "\n".join(lines)


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
