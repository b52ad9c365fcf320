"""Assessing detections: hits, misses and false alarms against a reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import pages
from ..errors import InputError
from ..geo.vector import VectorReader
from ..geo.vector_writer import VectorWriter, check_table
from ..overwriting import refuse_inputs
from ..progress import Phase, Progress
from . import matching, report
from .matching import UNMATCHED, Curve, Match, Score
from .objects import CONFIDENCE_FIELD, Objects, Region, read_objects
from .overlaps import overlaps

HIT, MISS, FALSE_ALARM = "Hit", "Miss", "False alarm"
MATCH_COLORS = {HIT: (0, 200, 255), MISS: (255, 210, 0), FALSE_ALARM: (230, 30, 110)}
ALL = "All"
TABLE_FIELDS = {
    "Class": str,
    "Precision": float,
    "Recall": float,
    "F1_Score": float,
    "AP": float,
    "True_Positive": int,
    "False_Positive": int,
    "False_Negative": int,
}
MATCH_FIELDS = {"Match": str, "Class": str, "Confidence": float, "IoU": float}
Layer = tuple[str, str]  # path, and name of the layer in it ("" for the first)


@dataclass(frozen=True)
class DetectionAssessment:
    """What to compare and where to write the answer.

    Attributes:
        detections, reference: polygon layers, as (path, layer name).
        class_field, reference_class_field: their classes; "" compares all with all.
        min_iou: the least intersection over union of a hit, above 0 up to 1.
        mask: polygons; objects whose centre lies outside do not count.
        table, report, matches: files to write; "" for none.
    """

    detections: Layer
    reference: Layer
    class_field: str = ""
    reference_class_field: str = ""
    min_iou: float = 0.5
    mask: Layer | None = None
    table: str = ""
    report: str = ""
    matches: str = ""


@dataclass(frozen=True)
class Comparison:
    """The answer: scores by class with all of them last, curves, and every match."""

    scores: tuple[Score, ...]
    curves: Mapping[str, Curve]
    mean_average_precision: float | None
    match: Match

    @property
    def overall(self) -> Score:
        """The score of all classes together."""
        return self.scores[-1]


def assess(options: DetectionAssessment, progress: Progress) -> dict[str, Any]:
    """Compare detections with a reference, write the files and return the overall figures.

    Raises:
        InputError: when fields or values do not fit.
        VectorError: when a layer cannot be read or written.
    """
    _check(options)
    mask = (options.mask or ("",))[0]
    refuse_inputs(
        (options.table, options.matches, options.report),
        (options.detections[0], options.reference[0], mask),
    )
    if options.table:
        check_table(options.table)  # better told now than when all is compared
    detections, reference, crs = _read(options, progress)
    comparison = compare(detections, reference, options.min_iou, progress)
    if options.table:
        _write_table(options.table, comparison.scores)
    if options.matches:
        _write_matches(options.matches, crs, detections, reference, comparison.match)
    if options.report:
        page = report.detection_page(
            comparison.scores,
            comparison.curves,
            comparison.mean_average_precision,
            options.min_iou,
            detections.ranked,
        )
        pages.write(Path(options.report), page)
    overall = comparison.overall
    progress.info(report.detection_sentence(overall))
    return {
        "PRECISION": overall.precision,
        "RECALL": overall.recall,
        "F1_SCORE": overall.f1,
        "AP": overall.average_precision,
        "MAP": comparison.mean_average_precision,
    }


def compare(
    detections: Objects, reference: Objects, min_iou: float, progress: Progress | None = None
) -> Comparison:
    """Compare objects class by class.

    A hit is a detection that overlaps a reference object of its class by ``min_iou`` and that
    no surer detection has taken: a second detection of the same object is a false alarm.
    """
    phase = Phase(progress or Progress(), "Comparing", len(detections), "detections", 0.2, 0.9)
    least = min(min_iou, matching.COCO_THRESHOLDS[0])
    found = overlaps(detections.shapes, reference.shapes, least, phase)
    pairs = [
        [pair for pair in each if reference.classes[pair[0]] == detections.classes[index]]
        for index, each in enumerate(found)
    ]
    order = matching.by_confidence(detections.confidences, detections.shapes.bounds)
    at_min = matching.match(order, pairs, min_iou, reference.counted)
    names = sorted({*_counted_classes(detections), *_counted_classes(reference)})
    scores, curves = _scores(detections, reference, order, at_min, names)
    levels = []
    for threshold in matching.COCO_THRESHOLDS:
        at_threshold = matching.match(order, pairs, threshold, reference.counted)
        level, _ = _scores(detections, reference, order, at_threshold, names)
        levels.append(level[-1].average_precision)
    return Comparison(scores, curves, _mean(levels), at_min)


def _scores(
    detections: Objects,
    reference: Objects,
    order: np.ndarray,
    match: Match,
    names: Sequence[str],
) -> tuple[tuple[Score, ...], dict[str, Curve]]:
    hits = match.reference != UNMATCHED
    # COCO: what lies outside the area of interest neither helps nor harms.
    counted = detections.counted.copy()
    counted[hits] = reference.counted[match.reference[hits]]
    classes = np.array(detections.classes, dtype=object)
    wanted = np.array(reference.classes, dtype=object)
    groups = [
        (name, counted & (classes == name), reference.counted & (wanted == name))
        for name in names
        if name
    ]
    scores, curves = [], {}
    for name, own, present in [*groups, (ALL, counted, reference.counted)]:
        total = int(present.sum())
        ranked = order[own[order]]
        curve = Curve.of(hits[ranked], detections.confidences[ranked], total)
        true_positive = int(hits[ranked].sum())
        curves[name] = curve
        scores.append(
            Score(
                name,
                true_positive,
                len(ranked) - true_positive,
                total - true_positive,
                curve.average_precision() if total else None,
            )
        )
    if len(scores) > 1:
        average = _mean([score.average_precision for score in scores[:-1]])
        scores[-1] = replace(scores[-1], average_precision=average)
    return tuple(scores), curves


def _counted_classes(objects: Objects) -> set[str]:
    return {name for name, counted in zip(objects.classes, objects.counted) if counted}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _check(options: DetectionAssessment) -> None:
    if not 0 < options.min_iou <= 1:
        raise InputError(
            f"{options.min_iou:g} is no least intersection over union. "
            "Choose a number above 0 and up to 1, 0.5 for example."
        )
    if bool(options.class_field) != bool(options.reference_class_field):
        given = options.class_field or options.reference_class_field
        missing = "reference" if options.class_field else "detections"
        raise InputError(
            f"Only the class field '{given}' is given. Give the class field of the {missing} too, "
            "or none to compare without classes."
        )


def _read(options: DetectionAssessment, progress: Progress) -> tuple[Objects, Objects, str]:
    layer = VectorReader(options.detections[0], options.detections[1] or None)
    truth = VectorReader(options.reference[0], options.reference[1] or None)
    mask = None
    if options.mask is not None:
        mask = Region.of(VectorReader(options.mask[0], options.mask[1] or None))
    progress.update(0.0, "Reading the layers")
    detections = read_objects(layer, options.class_field, layer.crs, mask, progress)
    reference = read_objects(truth, options.reference_class_field, layer.crs, mask, progress)
    if not len(reference):
        raise InputError(
            f"The reference '{truth.name}' has no polygons. "
            "Choose a layer with the objects that are really there."
        )
    if mask is not None and not (detections.counted.any() or reference.counted.any()):
        raise InputError(
            f"The mask '{mask.name}' holds the centre of no object. Choose polygons around some."
        )
    if not detections.ranked:
        progress.warn(
            f"'{layer.name}' has no field '{CONFIDENCE_FIELD}': all detections count as equally "
            "sure, so average precision says little."
        )
    shared = set(detections.classes) & set(reference.classes)
    if len(detections) and options.class_field and not shared:
        raise InputError(
            f"No class occurs in both layers: the detections have {_listed(detections.classes)}, "
            f"the reference {_listed(reference.classes)}. Choose fields with the same classes."
        )
    return detections, reference, layer.crs


def _listed(classes: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(set(classes))[:10]) or "none"


def _write_table(path: str, scores: Sequence[Score]) -> None:
    with VectorWriter(path, "", TABLE_FIELDS, "None") as writer:
        for score in scores:
            values = (
                score.name,
                score.precision,
                score.recall,
                score.f1,
                score.average_precision,
                score.true_positive,
                score.false_positive,
                score.false_negative,
            )
            writer.write(None, dict(zip(TABLE_FIELDS, values)))


def _write_matches(
    path: str, crs: str, detections: Objects, reference: Objects, match: Match
) -> None:
    found = set(match.reference.tolist())
    with VectorWriter(path, crs, MATCH_FIELDS, "MultiPolygon") as writer:
        for index in range(len(detections)):
            other = match.reference[index]
            hit = other != UNMATCHED
            if not (reference.counted[other] if hit else detections.counted[index]):
                continue
            values = {
                "Match": HIT if hit else FALSE_ALARM,
                "Class": detections.classes[index],
                "Confidence": float(detections.confidences[index]),
                "IoU": float(match.iou[index]),
            }
            writer.write(detections.shapes.geometries[index], values)
        for index in range(len(reference)):
            if reference.counted[index] and index not in found:
                values = {"Match": MISS, "Class": reference.classes[index], "IoU": 0.0}
                writer.write(reference.shapes.geometries[index], values)
