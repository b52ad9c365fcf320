"""The training report: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..progress import duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..models.registry import NetworkSpec
    from .delivery import Outcome

_STYLE = """
body { font: 15px/1.5 sans-serif; color: #222; max-width: 960px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { font-size: 1.15em; margin-top: 2em; }
table { border-collapse: collapse; margin: 0.5em 0; }
th, td { border-bottom: 1px solid #ddd; padding: 0.25em 0.9em 0.25em 0; text-align: left; }
td.number, th.number { text-align: right; } img { max-width: 100%; }
tr.best { background: #e8f4ea; }
"""


def make_report(outcome: Outcome) -> str:
    """Return the report as an HTML page with its pictures inside."""
    preparation = outcome.preparation
    title = f"{preparation.spec.model_type} trained on {preparation.folder.path.name}"
    label = outcome.score_name.replace("_", " ")
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>Best epoch {outcome.best_epoch} of {len(outcome.records)}: "
        f"{label} {outcome.best_score:.3f}.</p>",
        "<h2>What was trained on what</h2>",
        _facts(outcome),
        "<p>" + " ".join(html.escape(note) for note in preparation.notes) + "</p>",
        "<h2>Losses and score by epoch</h2>",
        _picture(lambda axes: _draw_losses(axes, outcome), "Losses by epoch"),
    ]
    if outcome.curve is not None:
        parts += [
            "<h2>Finding the learning rate</h2>",
            _picture(lambda axes: _draw_rates(axes, outcome), "Loss by learning rate"),
        ]
    parts += ["<h2>Classes</h2>", _table(outcome.scores.classes)]
    if outcome.scores.confusion is not None:
        names = [row["class"] for row in outcome.scores.classes]
        parts += ["<h2>Confusion matrix</h2>", _confusion(outcome.scores.confusion, names)]
    parts += ["<h2>Epochs</h2>", _table(_epoch_rows(outcome), best=outcome.best_epoch - 1)]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>'
        f"{html.escape(title)}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _facts(outcome: Outcome) -> str:
    preparation, options = outcome.preparation, outcome.options
    spec, split = preparation.spec, preparation.split
    encoder, head = outcome.rates
    arguments = ", ".join(f"{name}={value}" for name, value in spec.arguments.items())
    rows = [
        ("Model type", _network(spec)),
        ("Arguments", arguments or "none"),
        ("Data", f"{len(preparation.folder.chips)} chips, {preparation.folder.format}"),
        ("Bands", f"{spec.band_count} ({preparation.folder.dtype})"),
        ("Classes", str(preparation.schema)),
        ("Chip size", f"{spec.chip_size} pixels"),
        (
            "Chips",
            f"{len(split.training)} for training, {len(split.validation)} for validation, "
            f"{len(split.dropped)} left out",
        ),
        ("Batch size", str(outcome.batch_size)),
        ("Learning rate", f"{head:.2g}" + (f" (encoder {encoder:.2g})" if encoder != head else "")),
        ("Loss", options.loss),
        (
            "Augmentation",
            f"{options.augmentation} {options.augmentation_parameters}".strip(),
        ),
        ("Monitor", options.monitor),
        ("Seed", str(options.seed)),
        ("Time", f"{duration(outcome.seconds)} on {outcome.hardware}"),
    ]
    cells = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in rows
    )
    return f"<table>{cells}</table>"


def _network(spec: NetworkSpec) -> str:
    on = f" on {spec.backbone}" if spec.backbone else ""
    return f"{spec.model_type}{on}, starting from {spec.weights} weights"


def _picture(draw: Any, text: str) -> str:
    """Return an image tag that holds what ``draw`` puts on a pair of axes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), dpi=100, tight_layout=True)
    draw(figure.add_subplot())
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img alt="{html.escape(text)}" src="data:image/png;base64,{data}">'


def _draw_losses(axes: Axes, outcome: Outcome) -> None:
    epochs = [record["epoch"] for record in outcome.records]
    for key, name, color in (
        ("train_loss", "training loss", "#1f6fb4"),
        ("valid_loss", "validation loss", "#e07b00"),
    ):
        axes.plot(epochs, [record[key] for record in outcome.records], color=color, label=name)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.set_ylim(bottom=0)
    axes.axvline(outcome.best_epoch, color="#999999", linestyle=":", label="best epoch")
    right = axes.twinx()
    name = outcome.score_name.replace("_", " ")
    scores = [record["score"] for record in outcome.records]
    right.plot(epochs, scores, color="#2a8f3c", label=name)
    right.set_ylabel(name)
    right.set_ylim(0, 1)
    lines = [*axes.get_lines(), *right.get_lines()]
    axes.legend(lines, [line.get_label() for line in lines], loc="upper center", ncol=4, fontsize=8)


def _draw_rates(axes: Axes, outcome: Outcome) -> None:
    curve = outcome.curve
    if curve is None:
        return
    axes.semilogx(curve.rates, curve.losses, color="#1f6fb4")
    axes.axvline(curve.suggestion, color="#2a8f3c", label=f"chosen {curve.suggestion:.2g}")
    axes.axvline(curve.steepest, color="#999999", linestyle=":", label="steepest fall")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss")
    axes.legend()


def _epoch_rows(outcome: Outcome) -> list[dict[str, Any]]:
    names = ("epoch", "train_loss", "valid_loss", "score", "learning_rate", "seconds")
    return [{name: record[name] for name in names} for record in outcome.records]


def _table(rows: Sequence[dict[str, Any]], best: int = -1) -> str:
    if not rows:
        return "<p>None.</p>"
    head = "".join(_cell("th", name.replace("_", " "), name != "class") for name in rows[0])
    body = "".join(
        f"<tr{' class=best' if index == best else ''}>"
        + "".join(_cell("td", _text(value), not isinstance(value, str)) for value in row.values())
        + "</tr>"
        for index, row in enumerate(rows)
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _confusion(matrix: np.ndarray, names: Sequence[str]) -> str:
    rows = [
        {"truth \\ told": name, **{other: int(n) for other, n in zip(names, row)}}
        for name, row in zip(names, matrix)
    ]
    return _table(rows)


def _cell(tag: str, text: str, number: bool) -> str:
    return f"<{tag}{' class=number' if number else ''}>{html.escape(text)}</{tag}>"


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
