"""Reports of assessments: one HTML file without anything from elsewhere, readable on a phone."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..samples.schema import default_color
from .chart import curves_svg
from .confusion import Confusion
from .matching import Curve, Score

STYLE = """
:root { color-scheme: light dark; --ink: #1d2522; --soft: #66736d; --line: #d5dcd8; --back: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eeea; --soft: #9fada6; --line: #3a4540; --back: #161c19; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back);
  max-width: 46rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.4rem; margin: 0.2rem 0 0.6rem; }
h2 { font-size: 1.1rem; margin: 1.6rem 0 0.4rem; }
.lead { font-size: 1.05rem; }
.figures { display: flex; flex-wrap: wrap; gap: 0.6rem; margin: 1rem 0; padding: 0; }
.figures div { border: 1px solid var(--line); border-radius: 8px; padding: 0.4rem 0.8rem; }
.figures b { display: block; font-size: 1.35rem; }
.figures span, .note { color: var(--soft); font-size: 0.9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.3rem 0.7rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th { font-weight: 600; font-size: 0.9rem; }
th:first-child, td:first-child { text-align: left; }
td.diagonal { font-weight: 700; background: #3a9d5d33; }
svg { display: block; width: 100%; max-width: 32rem; height: auto; color: var(--ink); }
"""
CURVES = 8  # more classes than this are not told apart by colours


def write(path: Path, page: str) -> None:
    """Write a page under a temporary name and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.part")
    temporary.write_text(page, encoding="utf-8")
    temporary.replace(path)


def page(title: str, parts: Iterable[str]) -> str:
    """Return a whole HTML page."""
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{html.escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]], diagonal: int = 0) -> str:
    """Return an HTML table that scrolls sideways by itself.

    Args:
        header, rows: texts, escaped here.
        diagonal: how many rows have the cell to the right of the diagonal marked.
    """
    lines = ["<tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in header) + "</tr>"]
    for position, row in enumerate(rows):
        cells = []
        for column, cell in enumerate(row):
            marked = position < diagonal and column == position + 1
            cells.append(f"<td{' class=diagonal' if marked else ''}>{html.escape(cell)}</td>")
        lines.append("<tr>" + "".join(cells) + "</tr>")
    return '<div class="wide"><table>\n' + "\n".join(lines) + "\n</table></div>"


def figures(values: Mapping[str, float | None]) -> str:
    """Return the figures that matter most, each large with its name."""
    boxes = "".join(
        f"<div><b>{ratio(value)}</b><span>{html.escape(name)}</span></div>"
        for name, value in values.items()
    )
    return f'<div class="figures">{boxes}</div>'


def lead(text: str) -> str:
    """Return the sentence that says it all."""
    return f'<p class="lead">{html.escape(text)}</p>'


def note(text: str) -> str:
    """Return a sentence in small print."""
    return f'<p class="note">{html.escape(text)}</p>'


def heading(text: str) -> str:
    """Return the heading of a part."""
    return f"<h2>{html.escape(text)}</h2>"


def ratio(value: float | None) -> str:
    """Return a share of 1 with three decimals, or a dash where there is none."""
    return "–" if value is None else f"{value:.3f}"


def detection_sentence(score: Score) -> str:
    """Return what was found, missed and falsely found, as a sentence."""
    total = score.true_positive + score.false_negative
    return (
        f"{score.true_positive:,} of {total:,} reference objects were found, "
        f"{score.false_negative:,} were missed, and {score.false_positive:,} detections are "
        "false alarms."
    )


def detection_page(
    scores: Sequence[Score],
    curves: Mapping[str, Curve],
    mean_average_precision: float | None,
    min_iou: float,
    ranked: bool,
) -> str:
    """Return the report on detections.

    Args:
        scores: one a class and the one of all last.
        curves: by the name of the score.
        mean_average_precision: the average over COCO's ten overlaps.
        min_iou: the least overlap of a hit.
        ranked: whether the detections have confidences.
    """
    overall = scores[-1]
    parts = [
        lead(detection_sentence(overall)),
        figures(
            {
                "F1": overall.f1,
                "Precision": overall.precision,
                "Recall": overall.recall,
                f"AP at IoU {min_iou:g}": overall.average_precision,
                "COCO mAP, IoU 0.50 to 0.95": mean_average_precision,
            }
        ),
        note(
            f"A detection is a hit when its intersection over union with a reference object is "
            f"at least {min_iou:g} and no surer detection has taken that object."
        ),
        heading("Classes"),
        _score_table(scores),
    ]
    if ranked:
        parts += _curve_parts(scores, curves)
    return page("Assessment of detections", parts)


def _curve_parts(scores: Sequence[Score], curves: Mapping[str, Curve]) -> list[str]:
    names = [score.name for score in scores]
    shown = names if len(names) <= CURVES + 1 else names[-1:]
    lines = {
        name: (curves[name].recall, curves[name].precision, default_color(position))
        for position, name in enumerate(shown)
    }
    parts = [heading("Precision and recall"), curves_svg(lines, "Recall", "Precision")]
    best = curves[names[-1]].best()
    if best is not None:
        parts.append(
            lead(
                f"The best F1, {best[0]:.3f}, is reached with detections of confidence "
                f"{best[1]:.4g} and above."
            )
        )
    return parts


def _score_table(scores: Sequence[Score]) -> str:
    header = ["Class", "Precision", "Recall", "F1", "AP", "Hits", "False alarms", "Misses"]
    rows = [
        [
            score.name,
            ratio(score.precision),
            ratio(score.recall),
            ratio(score.f1),
            ratio(score.average_precision),
            f"{score.true_positive:,}",
            f"{score.false_positive:,}",
            f"{score.false_negative:,}",
        ]
        for score in scores
    ]
    return table(header, rows)


def pixel_sentence(confusion: Confusion) -> str:
    """Return how much of the result agrees with the reference, as a sentence."""
    return (
        f"{confusion.overall_accuracy:.1%} of {confusion.total:,} compared pixels have the class "
        f"of the reference; the mean intersection over union is {confusion.mean_iou:.3f}."
    )


def pixel_page(confusion: Confusion) -> str:
    """Return the report on a class raster."""
    rows = [
        [name, *(f"{count:,}" for count in counts), f"{total:,}"]
        for name, counts, total in zip(
            confusion.names, confusion.counts.tolist(), confusion.results.tolist()
        )
    ]
    columns = [*(f"{count:,}" for count in confusion.references.tolist()), f"{confusion.total:,}"]
    ratios = zip(
        confusion.users_accuracy, confusion.producers_accuracy, confusion.iou, confusion.f1
    )
    classes = [
        [name, *(ratio(None if math.isnan(value) else float(value)) for value in values)]
        for name, values in zip(confusion.names, ratios)
    ]
    parts = [
        lead(pixel_sentence(confusion)),
        figures(
            {
                "Overall accuracy": confusion.overall_accuracy,
                "Mean IoU": confusion.mean_iou,
                "Kappa": confusion.kappa,
                "F1, mean of classes": confusion.macro_f1,
            }
        ),
        heading("Classes"),
        table(["Class", "User's accuracy", "Producer's accuracy", "IoU", "F1"], classes),
        heading("Confusion matrix, in pixels"),
        note("Rows: class in the result. Columns: class in the reference."),
        table(["", *confusion.names, "Total"], [*rows, ["Total", *columns]], len(rows)),
    ]
    return page("Assessment of pixels", parts)
