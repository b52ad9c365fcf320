"""The pictures of a training as PNG: for the report and, by their names in ArcGIS, the package."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..chips.contact_sheet import UNKNOWN, tinted
from ..chips.labels import BoxLabel, ClassLabel, InstanceLabel, Label
from ..geo.picture import stretched

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..samples.schema import Schema
    from .delivery import Outcome
    from .examination import Examination, Example
    from .rates import RateCurve
    from .views import Looks

CHARACTERISTICS = "ModelCharacteristics"
BLUE, ORANGE, GREEN, GREY = "#1f6fb4", "#e07b00", "#2a8f3c", "#999999"
_SHOWN = 2  # of the best and of the worst chips each
_LARGEST_MATRIX = 40  # classes; a larger one is not readable
_WILD = 6  # times the median, from which a loss is beyond the picture
_VALUES = 12  # classes up to which the cells tell their numbers


def draw_all(outcome: Outcome, examination: Examination, looks: Looks) -> dict[str, bytes]:
    """Return the pictures by their names in a package."""
    pictures = {
        "loss_graph.png": _png((6.4, 8.2), lambda figure: _draw_epochs(figure, outcome)),
        "show_results.png": _results(outcome.preparation.schema, examination, looks),
    }
    matrix = outcome.scores.confusion
    if matrix is not None and len(matrix) <= _LARGEST_MATRIX:
        names = [_plain(str(row["class"])) for row in outcome.scores.classes]
        side = min(3 + 0.45 * len(names), 14)
        pictures["confusion_matrix.png"] = _png(
            (side + 0.8, side), lambda figure: _draw_matrix(figure, matrix, names)
        )
    return pictures


def rate_picture(curve: RateCurve) -> bytes:
    """Return the curve of the search for a learning rate."""
    return _png((6.4, 3.4), lambda figure: _draw_rates(figure.add_subplot(), curve))


def words(name: str) -> str:
    """Return the name of a score as people write it."""
    known = {"miou": "mean IoU", "iou": "IoU", "f1_score": "F1 score", "dice": "Dice"}
    return known.get(name, name.replace("_", " "))


def _png(size: tuple[float, float], draw: Callable[[Figure], None]) -> bytes:
    """Return what ``draw`` puts on a figure of so many inches."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=110, layout="tight")
    draw(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _draw_epochs(figure: Figure, outcome: Outcome) -> None:
    """Draw losses, score and learning rate by epoch, one below the other."""
    losses, score, rate = figure.subplots(
        3, 1, sharex=True, gridspec_kw={"height_ratios": (3, 2, 1.4)}
    )
    epochs = [record["epoch"] for record in outcome.records]

    def line(axes: Axes, key: str, color: str, name: str) -> None:
        marker = "o" if len(epochs) < 3 else None  # a line of one point is none
        values = [record[key] for record in outcome.records]
        axes.plot(epochs, values, color=color, label=name, marker=marker)

    line(losses, "train_loss", BLUE, "training")
    line(losses, "valid_loss", ORANGE, "validation")
    _limit(losses, outcome)
    losses.set_ylabel("loss")
    name = words(outcome.score_name)
    line(score, "score", GREEN, name)
    score.set_ylim(0, 1)
    score.set_ylabel(name)
    line(rate, "learning_rate", GREY, "learning rate")
    rate.set_ylim(bottom=0)
    rate.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    rate.set_ylabel("learning rate")
    rate.set_xlabel("epoch")
    rate.xaxis.get_major_locator().set_params(integer=True)
    for axes in (losses, score, rate):
        axes.axvline(outcome.best_epoch, color=GREY, linestyle=":", label="best epoch")
        axes.grid(alpha=0.25)
    losses.legend()


def _limit(axes: Axes, outcome: Outcome) -> None:
    """Let a few wild epochs leave the picture: they would press all others flat."""
    losses = [record[key] for record in outcome.records for key in ("train_loss", "valid_loss")]
    known = [each for each in losses if np.isfinite(each)]
    top = 1.05 * max(known, default=1.0)
    usual = _WILD * float(np.median(known)) if known else top
    axes.set_ylim(0, min(top, usual) or 1.0)
    if top > usual:
        axes.set_title(f"losses above {usual:.3g} are cut off", fontsize=9, loc="right")


def _draw_rates(axes: Axes, curve: RateCurve) -> None:
    axes.semilogx(curve.rates, curve.losses, color=BLUE)
    axes.axvline(curve.suggestion, color=GREEN, label=f"chosen {curve.suggestion:.2g}")
    axes.axvline(curve.steepest, color=GREY, linestyle=":", label="steepest fall")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.25)
    axes.legend()


def _draw_matrix(figure: Figure, matrix: np.ndarray, names: Sequence[str]) -> None:
    """Draw the confusion matrix by the shares of each true class."""
    axes = figure.add_subplot()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Greens", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, fraction=0.046, label="share of the true class")
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("told")
    axes.set_ylabel("truth")
    if len(names) > _VALUES:
        return
    for row, column in np.ndindex(shares.shape):
        share = shares[row, column]
        color = "white" if share > 0.6 else "black"
        axes.text(column, row, f"{share:.2f}", ha="center", va="center", color=color, fontsize=8)


def _results(schema: Schema, examination: Examination, looks: Looks) -> bytes:
    """Draw truth and prediction of a few chips side by side."""
    shown = [*examination.best[:_SHOWN], *examination.worst[:_SHOWN]]

    def draw(figure: Figure) -> None:
        grid = figure.subplots(len(shown), 2, squeeze=False)
        for (left, right), example in zip(grid, shown):
            _draw_chip(left, looks, example, example.truth, schema)
            _draw_chip(right, looks, example, example.told, schema)
            left.set_title(_titled("Truth", example.truth, schema), fontsize=9)
            title = _titled(f"Prediction ({example.score:.2f})", example.told, schema)
            right.set_title(title, fontsize=9)

    return _png((6.4, 3.2 * max(len(shown), 1)), draw)


def _draw_chip(axes: Axes, looks: Looks, example: Example, label: Label, schema: Schema) -> None:
    from matplotlib.patches import Rectangle

    pixels, label = looks.of(example, label)
    picture = tinted(stretched(pixels, looks.limits), label, schema)
    axes.imshow(picture.transpose(1, 2, 0), interpolation="nearest")
    axes.set_axis_off()
    if isinstance(label, BoxLabel):
        for (xmin, ymin, xmax, ymax), value in zip(label.boxes.tolist(), label.values.tolist()):
            color = np.array(_color(value, schema)) / 255
            # Pixels are drawn around their centres: the first one begins at −0.5.
            corner = (xmin - 0.5, ymin - 0.5)
            axes.add_patch(
                Rectangle(corner, xmax - xmin, ymax - ymin, fill=False, edgecolor=color, lw=1.5)
            )


def _titled(text: str, label: Label, schema: Schema) -> str:
    if isinstance(label, (BoxLabel, InstanceLabel)):
        return f"{text}: {len(label.values)}"
    if isinstance(label, ClassLabel):
        found = (schema.by_value(value) for value in label.values)
        names = ", ".join(_plain(each.name) for each in found if each)
        return f"{text}: {names or 'nothing'}"
    return text


def _plain(name: str) -> str:
    """Return a name as matplotlib shows it as it is: what stands between two $ is a formula."""
    return name.replace("$", r"\$")


def _color(value: int, schema: Schema) -> Any:
    found = schema.by_value(value)
    return found.color if found else UNKNOWN
