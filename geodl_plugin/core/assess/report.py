"""Reports of assessments: what their pages show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..pages import figures, heading, lead, note, page, ratio, table
from ..samples.schema import default_color
from .areas import Z95, Estimate
from .chart import curves_svg
from .confusion import Confusion
from .matching import Curve, Score

SIGNIFICANT = 4  # digits of the whole area, at least
CURVES = 8  # more classes than this are not told apart by colours


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


def pixel_page(confusion: Confusion, estimate: Estimate | None = None) -> str:
    """Return the report on a class raster; ``estimate`` is what sample points say of areas."""
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
    if estimate is not None:
        parts += _estimate_parts(estimate)
    return page("Assessment of pixels", parts)


def _estimate_parts(estimate: Estimate) -> list[str]:
    """Return what the points say about the whole map, with 95 % confidence intervals."""
    # Of a small field as many digits count as of a country.
    digits = min(max(SIGNIFICANT - 1 - math.floor(math.log10(estimate.area)), 1), 9)
    areas = [
        [
            name,
            f"{mapped * estimate.area:,.{digits}f}",
            f"{share * estimate.area:,.{digits}f} ± {Z95 * error * estimate.area:,.{digits}f}",
            f"{share:.2%} ± {Z95 * error:.2%}",
        ]
        for name, mapped, share, error in zip(
            estimate.names, estimate.mapped, estimate.shares, estimate.shares_error
        )
    ]
    accuracies = [
        [name, _between(users, users_error), _between(producers, producers_error)]
        for name, users, users_error, producers, producers_error in zip(
            estimate.names,
            estimate.users,
            estimate.users_error,
            estimate.producers,
            estimate.producers_error,
        )
    ]
    unit = estimate.unit
    return [
        heading("Areas, estimated from the points"),
        lead(
            f"Weighted by the area of the classes, {estimate.overall:.1%} of the map is right "
            f"(± {Z95 * estimate.overall_error:.1%})."
        ),
        table(["Class", f"Mapped ({unit})", f"Estimated ({unit})", "Share"], areas),
        table(["Class", "User's accuracy", "Producer's accuracy"], accuracies),
        note(
            "± is a 95 % confidence interval. It holds when the points are a random sample of "
            "each class of the map, or of the whole map (Olofsson et al. 2014). Areas are those "
            "of the map's projection."
        ),
    ]


def _between(value: float, error: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f} ± {Z95 * error:.3f}"
