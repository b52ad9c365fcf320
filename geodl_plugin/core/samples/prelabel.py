"""Draft samples: what a model finds, until somebody has looked at it.

A sample is a draft as long as its field Confidence holds a number. Whoever accepts it empties
the field, whoever rejects it deletes the sample.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..geo.neighbours import intersections, overlapping_pairs
from ..geo.shapes import area_of, repaired
from ..geo.vector import Geometry, VectorReader, geometry_of
from ..progress import Progress
from .document import SchemaDocument, SchemaNode
from .schema import ClassDefinition, Schema, default_color

CONFIDENCE = "Confidence"
IS_DRAFT = f'"{CONFIDENCE}" IS NOT NULL'
SAMPLE_FIELDS = ("classname", "classvalue", "confidence")
SAME_OBJECT = 0.5  # intersection over union from which a draft is a sample that is there already


@dataclass(frozen=True)
class Prelabel:
    """A model that finds draft samples.

    Attributes:
        name: of the model.
        schema: the classes it knows.
        find: takes the names of the classes that are wanted, lets the model find them and
            returns the path of the layer of what it found.
    """

    name: str
    schema: Schema
    find: Callable[[list[str]], str]


@dataclass(frozen=True)
class Draft:
    """Something that a model has found: the value of its class, 0 to 100, where."""

    value: int
    confidence: float
    geometry: Geometry


@dataclass(frozen=True)
class ClassMatch:
    """How the classes of a model belong to others.

    Attributes:
        document: the others, with what joined them.
        values: from the model's class values to those of the document; what it lacks is left
            out.
        warnings: what people would not expect, a sentence each.
    """

    document: SchemaDocument
    values: Mapping[int, int]
    warnings: tuple[str, ...]

    def wanted(self, model: Schema) -> list[str]:
        """Return the names of the model's classes that are not left out."""
        return [each.name for each in model.classes if each.value in self.values]


def match_classes(
    document: SchemaDocument, model: Schema, name: str, closed: bool = False
) -> ClassMatch:
    """Join the classes of a model to others: by name, then by value.

    A class whose value belongs to another name gets a value of its own. A class that has only
    its number for a name is the one of that number.

    Args:
        document: the classes there are.
        model: the classes of the model.
        name: of the model.
        closed: leave out what the document lacks, instead of adding it.

    Raises:
        InputError: when the document is closed and has none of the model's classes.
    """
    values: dict[int, int] = {}
    warnings, lacking = [], []
    for each in model.classes:
        node = same_class(document, each)
        if node is not None:
            values[each.value] = node.value
        elif closed:
            lacking.append(each.name)
        else:
            document, values[each.value] = joined(document, each)
            if values[each.value] != each.value:
                warnings.append(
                    f"The class '{each.name}' of '{name}' got the value {values[each.value]}: "
                    f"{each.value} is '{document.find(each.value).name}' here."
                )
    if lacking and not values:
        raise InputError(
            f"'{name}' finds {', '.join(lacking)}, which the schema lacks: its classes are "
            f"{document.schema()}. Add one of them, or rename a class."
        )
    if lacking:
        warnings.append(
            f"'{name}' also finds {', '.join(lacking)}, which the schema lacks: left out."
        )
    return ClassMatch(document, values, tuple(warnings))


def same_class(document: SchemaDocument, new: ClassDefinition) -> SchemaNode | None:
    """Return the class of a document that another one means, by name or, unnamed, by value."""
    for spelling in (str, str.casefold):
        for node in document.walk():
            if spelling(node.name) == spelling(new.name):
                return node
    return document.find(new.value) if new.name == str(new.value) else None


def joined(document: SchemaDocument, new: ClassDefinition) -> tuple[SchemaDocument, int]:
    """Return the document with a class added, and the value that the class has there."""
    node = SchemaNode(new.value, new.name, new.color)
    if document.find(new.value) is not None:
        free = max(each.value for each in document.walk()) + 1
        node = SchemaNode(free, new.name, default_color(len(document)))
    return document.added(node), node.value


def read_drafts(path: str, values: Mapping[int, int], crs: str) -> list[Draft]:
    """Return what a model has found, the least certain first.

    Args:
        path: of the layer that the task "detect" wrote.
        values: from the model's class values to those of the samples.
        crs: of the samples; "" for that of the layer.
    """
    found = []
    for each in VectorReader(path).features(crs=crs, fields=["Classvalue", CONFIDENCE]):
        value = values.get(each.attributes["Classvalue"])
        geometry = repaired(each.geometry)
        if value is not None and geometry is not None and geometry.GetDimension() == 2:
            found.append(Draft(value, float(each.attributes[CONFIDENCE] or 0.0), geometry))
    return sorted(found, key=lambda each: each.confidence)


class Present:
    """The samples that are there already, so that none is found again."""

    def __init__(self) -> None:
        self._values: list[int] = []
        self._shapes: list[bytes] = []
        self._boxes: list[tuple[float, float, float, float]] = []

    def add(self, value: int, geometry: Geometry) -> None:
        """Note a sample."""
        xmin, xmax, ymin, ymax = geometry.GetEnvelope()
        self._values.append(value)
        self._shapes.append(bytes(geometry.ExportToWkb()))
        self._boxes.append((xmin, ymin, xmax, ymax))

    def missing(self, drafts: Sequence[Draft]) -> list[Draft]:
        """Return the drafts that are no sample of their class yet."""
        count = len(self._shapes)
        if not count or not drafts:
            return list(drafts)
        envelopes = [each.geometry.GetEnvelope() for each in drafts]
        boxes = np.array([*self._boxes, *((w, s, e, n) for w, e, s, n in envelopes)])
        labels = np.array([*self._values, *(each.value for each in drafts)])
        samples, others = overlapping_pairs(boxes, labels)
        keep = (samples < count) & (others >= count)
        samples, others = samples[keep], others[keep]
        # What two shapes share lies in what their boxes share: most pairs are told by that.
        sizes = np.array([each.geometry.GetArea() for each in drafts])[others - count]
        likely = intersections(boxes, samples, others) > SAME_OBJECT * sizes
        known: set[int] = set()
        for sample, draft in zip(samples[likely].tolist(), (others[likely] - count).tolist()):
            if draft not in known and self._same(sample, drafts[draft].geometry):
                known.add(draft)
        return [each for place, each in enumerate(drafts) if place not in known]

    def _same(self, sample: int, draft: Geometry) -> bool:
        shape = repaired(geometry_of(self._shapes[sample]))
        if shape is None:
            return False
        area = area_of(shape.Intersection(draft))
        return area > SAME_OBJECT * (shape.GetArea() + draft.GetArea() - area)


def is_samples(fields: Collection[str]) -> bool:
    """Return whether a layer with these fields holds samples that can be drafts."""
    lowered = {each.lower() for each in fields}
    return all(name in lowered for name in SAMPLE_FIELDS)


def warn_of_drafts(layer: VectorReader, progress: Progress) -> None:
    """Warn when samples are used that nobody has reviewed."""
    kinds = {name.lower(): kind for name, kind in layer.fields.items()}
    if not is_samples(kinds) or kinds[CONFIDENCE.lower()] == "text":
        return
    count = layer.count_where(IS_DRAFT)
    if count:
        progress.warn(
            f"{count} of {layer.count} samples in '{layer.name}' are drafts of a model that nobody "
            "has reviewed, and are used like the others. Review them in the dock 'Label objects', "
            f'or leave them out with the layer filter "{CONFIDENCE}" IS NULL.'
        )
