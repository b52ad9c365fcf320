"""Non-maximum suppression of a layer of detections; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..geo.gdal_calls import attempt
from ..geo.neighbours import ROUNDING, areas, intersections, overlapping_pairs
from ..geo.shapes import area_of, rectangle, repaired
from ..geo.vector import Geometry, VectorReader
from ..geo.vector_writer import VectorWriter
from ..overwriting import refuse_inputs
from ..progress import Phase, Progress
from .merge import KEPT, decide

CLASS_FIELDS = ("class", "classvalue", "value")  # used when no field is named
FULL = 1e-9  # share by which a rectangle's area may differ from its envelope's
_READ, _COMPARED = 0.4, 0.6


@dataclass(frozen=True)
class SuppressionOptions:
    """What is suppressed and where the rest is written.

    Attributes:
        layer: ``(path, name of the layer)`` of the detections.
        output: path of the layer to write.
        confidence_field: the field by which detections rank.
        class_field: detections of different classes never suppress each other; "" takes the
            first of :data:`CLASS_FIELDS` that the layer has.
        max_overlap_ratio: intersection over union above which the less certain one goes.
    """

    layer: tuple[str, str]
    output: str
    confidence_field: str = "Confidence"
    class_field: str = ""
    max_overlap_ratio: float = 0.0


def suppress_layer(options: SuppressionOptions, progress: Progress) -> int:
    """Write the detections of a layer that no surer one overlaps; return how many were left out.

    Greedy: a detection goes when it overlaps one of its class that is more certain and stays.
    Shapes are compared as they are, not by their envelopes. The kept ones keep their order,
    fields and geometries.

    Raises:
        InputError: when the layer holds no polygons or an option does not fit.
        VectorError: when a field is missing or a file cannot be read or written.
    """
    if not 0 <= options.max_overlap_ratio <= 1:
        raise InputError(
            f"MAX_OVERLAP_RATIO={options.max_overlap_ratio:g} must lie between 0 and 1."
        )
    path, name = options.layer
    refuse_inputs([options.output], [path])
    reader = VectorReader(path, name or None)
    found = _read(reader, options, Phase(progress, "Reading", reader.count, "objects", 0.0, _READ))
    removed = found.suppressed(options.max_overlap_ratio, progress)
    phase = Phase(progress, "Writing", reader.count, "objects", _COMPARED, 1.0)
    fields = reader.definitions
    with VectorWriter(
        options.output, reader.crs, fields, reader.writable_type, reader.number_column
    ) as writer:
        places = writer.places(list(fields))
        for feature in reader.features(fields=(), empty=True):
            if feature.fid not in removed and feature.row is not None:
                writer.write_like(feature.row, places, ())
            phase.step()
    if writer.losses:
        progress.warn(writer.losses)
    return len(removed)


@dataclass(frozen=True)
class _Layer:
    """What is compared of a layer's polygons.

    Attributes:
        fids: array ``(n,)``.
        boxes: envelopes ``(n, 4)``.
        confidences: array ``(n,)``.
        labels: array ``(n,)`` of numbers of classes.
        shapes: the geometries, by index, of those that do not fill their envelopes.
    """

    fids: np.ndarray
    boxes: np.ndarray
    confidences: np.ndarray
    labels: np.ndarray
    shapes: dict[int, Geometry]

    def suppressed(self, ratio: float, progress: Progress) -> set[int]:
        """Return the identifiers of the features that fall."""
        if not len(self.fids):
            return set()
        progress.update(_READ, "Comparing")
        order = np.lexsort((self.fids, -self.confidences))
        boxes = self.boxes[order]
        # Cells are counted from the corner: large coordinates would cost digits.
        first, second = overlapping_pairs(
            boxes - np.tile(boxes[:, :2].min(axis=0), 2), self.labels[order]
        )
        overlap = self._ratios(boxes, order, first, second, ratio, progress)
        falls = overlap > ratio
        state = decide(first[falls], second[falls], np.zeros(len(order), bool))
        return set(self.fids[order[state != KEPT]].tolist())

    def _ratios(
        self,
        boxes: np.ndarray,
        order: np.ndarray,
        first: np.ndarray,
        second: np.ndarray,
        ratio: float,
        progress: Progress,
    ) -> np.ndarray:
        """Return intersection over union ``(m,)`` of pairs, exact where it matters."""
        shared = intersections(boxes, first, second)
        full = areas(boxes)
        shared[shared <= ROUNDING * np.minimum(full[first], full[second])] = 0.0  # neighbours
        result = shared / np.maximum(full[first] + full[second] - shared, 1e-300)
        if not self.shapes:
            return result
        own = full.copy()
        turned = np.zeros(len(boxes), bool)
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        for index, geometry in self.shapes.items():
            own[place[index]], turned[place[index]] = geometry.GetArea(), True
        # The shapes share at most what their envelopes share, and no more than the smaller one.
        most = np.minimum(shared, np.minimum(own[first], own[second]))
        ceiling = most / np.maximum(own[first] + own[second] - most, 1e-300)
        exact = np.flatnonzero((turned[first] | turned[second]) & (ceiling > ratio))
        result = np.where(turned[first] | turned[second], 0.0, result)
        for count, pair in enumerate(exact.tolist()):
            if count % 1000 == 0:
                progress.check()
            one, other = first[pair], second[pair]
            shape = self._shape(order, boxes, one)
            area = area_of(attempt(shape.Intersection, self._shape(order, boxes, other)))
            if area <= ROUNDING * min(own[one], own[other]):  # they only touch
                area = 0.0
            result[pair] = area / max(own[one] + own[other] - area, 1e-300)
        return result

    def _shape(self, order: np.ndarray, boxes: np.ndarray, index: int) -> Geometry:
        shape = self.shapes.get(int(order[index]))
        return rectangle(*boxes[index].tolist()) if shape is None else shape


def _read(reader: VectorReader, options: SuppressionOptions, phase: Phase) -> _Layer:
    confidence = reader.field(options.confidence_field)
    if options.class_field:
        class_field = reader.field(options.class_field)
    else:
        known = {name.lower(): name for name in reader.fields}
        class_field = next((known[name] for name in CLASS_FIELDS if name in known), "")
    fids, boxes, confidences, labels = [], [], [], []
    shapes: dict[int, Geometry] = {}
    numbers: dict[Any, int] = {}
    wanted = [confidence, class_field] if class_field else [confidence]
    for feature in reader.features(fields=wanted):
        phase.step()
        geometry = feature.geometry
        if geometry.GetDimension() != 2:
            raise InputError(
                f"'{reader.name}' holds {reader.geometry_type} features. Choose a layer of "
                "polygons, such as 'Detect objects' writes."
            )
        geometry = repaired(geometry)
        if geometry is None:
            continue
        xmin, xmax, ymin, ymax = geometry.GetEnvelope()
        full = (xmax - xmin) * (ymax - ymin)
        if abs(full - geometry.GetArea()) > FULL * full:
            shapes[len(fids)] = geometry
        fids.append(feature.fid)
        boxes.append((xmin, ymin, xmax, ymax))
        confidences.append(_number(feature.attributes[confidence], feature.fid, confidence))
        label = feature.attributes[class_field] if class_field else None
        # Where the field holds lists, equal ones are of one class.
        key = tuple(label) if isinstance(label, list) else label
        labels.append(numbers.setdefault(key, len(numbers)))
    return _Layer(
        np.array(fids, np.int64),
        np.array(boxes, float).reshape(-1, 4),
        np.array(confidences, float),
        np.array(labels, np.int64),
        shapes,
    )


def _number(value: Any, fid: int, field: str) -> float:
    """Return a confidence; a feature without one ranks last."""
    if value is None:
        return float("-inf")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(
            f"Feature {fid} has '{value}' in the field '{field}', which is no number. Choose the "
            "field that holds the confidence."
        ) from None
    return number if number == number else float("-inf")
