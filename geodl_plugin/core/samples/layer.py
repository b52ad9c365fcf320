"""The layer of training samples: what people draw or import, with its class."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import InputError
from ..geo.raster import Raster
from ..geo.shapes import repaired, window_bounds
from ..geo.vector import Geometry, VectorReader
from ..geo.vector_writer import VectorWriter
from ..overwriting import refuse_inputs
from ..progress import Phase, Progress
from .classes import Classes, read_classes, require_overlap
from .document import SchemaDocument
from .prelabel import (
    CONFIDENCE,
    ClassMatch,
    Prelabel,
    Present,
    joined,
    match_classes,
    read_drafts,
)
from .schema import ClassDefinition, Schema
from .schema_files import json_document, read_document

COUNT = "Count"  # of pixels
FIELDS = {
    "Classname": str,
    "Classvalue": int,
    "RED": int,
    "GREEN": int,
    "BLUE": int,
    COUNT: int,
    CONFIDENCE: float,
}


@dataclass(frozen=True)
class SampleOptions:
    """What becomes samples.

    Attributes:
        output: vector file to write.
        rasters: what the samples label; they limit what is imported, give the coordinate
            reference system and the count of pixels. May be empty.
        schema: ``value:name:#rrggbb;…``, or a file ``.json``, ``.ecs`` or ``.qml``; "" to
            take the classes from the features.
        features, features_layer: existing vectors to import, "" for none.
        class_field: holds their class, "" to look for one.
        append_to, append_layer: samples to go on with, "" for none.
        append_classes: their classes as our own JSON, with those that have no samples yet and
            the nesting; "" if not known.
    """

    output: str
    rasters: tuple[str, ...] = ()
    schema: str = ""
    features: str = ""
    features_layer: str = ""
    class_field: str = ""
    append_to: str = ""
    append_layer: str = ""
    append_classes: str = ""


@dataclass(frozen=True)
class SampleResult:
    """The samples written and their classes, nested as their author has them."""

    path: Path
    samples: int
    document: SchemaDocument
    drafts: int = 0

    @property
    def schema(self) -> Schema:
        """The classes without their nesting."""
        return self.document.schema()


def make_samples(
    options: SampleOptions, progress: Progress, prelabel: Prelabel | None = None
) -> SampleResult:
    """Write a layer of samples from existing ones, imported features and a model's detections.

    Detections come last, the least certain first: they are drafts, and keep their confidence
    until somebody has accepted them.

    Raises:
        GeoDLError: when the input does not fit; nothing is written then.
    """
    if prelabel is not None and not options.rasters:
        raise InputError(
            f"'{prelabel.name}' finds samples in rasters, and none is given. Choose input rasters."
        )
    refuse_inputs([options.output], [*options.rasters, options.features, options.append_to])
    raster = Raster.open(options.rasters).placed() if options.rasters else None
    sources, document = _sources(options)
    if not (sources or options.schema or options.append_to or prelabel):
        raise InputError(
            "There is nothing to make samples from. Give features, existing samples, a schema or "
            "a model."
        )
    if raster is not None and options.features:
        require_overlap(sources[-1].layer, raster)
    match = None
    if prelabel is not None:
        match = match_classes(document, prelabel.schema, prelabel.name, bool(options.schema))
        document = match.document
    crs = raster.crs if raster is not None and raster.crs else ""
    crs = crs or (sources[0].layer.crs if sources else "")
    drafts = 0
    with VectorWriter(options.output, crs, FIELDS) as writer:
        present = Present()
        for source in sources:
            _copy(source, writer, raster, crs, progress, None if match is None else present)
        if sources and not writer.count:
            raise InputError(
                f"No polygon of '{sources[-1].layer.name}' can be used as a sample. "
                "Choose a layer of polygons that have a class."
            )
        if match is not None:
            drafts = _add_drafts(prelabel, match, present, writer, raster, crs, progress)
    if raster is not None:
        raster.close()
    return SampleResult(writer.path, writer.count, document, drafts)


def empty_samples(path: str | Path, crs: str) -> Path:
    """Write a layer of samples to draw in; ``crs`` is well-known text, "" for none.

    Raises:
        GeoDLError: when the file is there already, or cannot be written.
    """
    if Path(path).exists():
        raise InputError(f"'{path}' is there already. Choose another name for the samples.")
    with VectorWriter(path, crs, FIELDS) as writer:
        return writer.path


@dataclass(frozen=True)
class _Source:
    """Features to copy; ``kinds`` leads from their own class values to those of the samples.

    What ``are_samples`` already stays, wherever the rasters are, and keeps its pixels.
    """

    layer: VectorReader
    classes: Classes
    kinds: Mapping[int, ClassDefinition]
    are_samples: bool = False


def _sources(options: SampleOptions) -> tuple[list[_Source], SchemaDocument]:
    """Return the layers to copy, and the classes, which grow from each to the next."""
    given = read_document(options.schema) if options.schema else None
    document = given or _stored(options.append_classes)
    schema = None if given is None else given.schema()
    sources = []
    if options.append_to:
        reader = VectorReader(options.append_to, options.append_layer or None)
        if reader.count:
            classes = read_classes(reader, "Classvalue", schema)
            if given is None:
                document = _corrected(document, classes.schema)
            document, source = _source(reader, classes, document)
            sources.append(replace(source, are_samples=True))
    if options.features:
        reader = VectorReader(options.features, options.features_layer or None)
        classes = read_classes(reader, options.class_field, schema)
        document, source = _source(reader, classes, document)
        sources.append(source)
    return sources, document


def _stored(classes: str) -> SchemaDocument:
    """Return the classes that a layer keeps; none when other programs have spoilt them."""
    with contextlib.suppress(InputError):
        document = json_document(classes) if classes else SchemaDocument()
        document.check()
        return document
    return SchemaDocument()


def _corrected(document: SchemaDocument, schema: Schema) -> SchemaDocument:
    """Return the classes that a layer keeps, as its samples have them by now."""
    for each in schema.classes:
        node = document.find(each.value)
        if node is not None and each.name != str(each.value):
            document = document.replaced(each.value, each)
    return document


def _source(
    reader: VectorReader, classes: Classes, document: SchemaDocument
) -> tuple[SchemaDocument, _Source]:
    by_name = bool(classes.field) and reader.fields[classes.field] == "text"
    values = {}
    for each in classes.schema.classes:
        document, values[each.value] = _joined(document, each, by_name)
    kinds = {own: document.find(value).definition for own, value in values.items()}
    return document, _Source(reader, classes, kinds)


def _joined(
    document: SchemaDocument, new: ClassDefinition, by_name: bool
) -> tuple[SchemaDocument, int]:
    """Return the document with a class of features, and the value that the class has there.

    Raises:
        InputError: when its value belongs to a class of another name.
    """
    same_name = next((node for node in document.walk() if node.name == new.name), None)
    same_value = document.find(new.value)
    if same_name is not None and (by_name or same_name.value == new.value):
        return document, same_name.value
    if by_name or same_value is None:
        return joined(document, new)
    if new.name in (str(new.value), same_value.name):
        return document, new.value  # a bare number names no class of its own
    Schema.of((same_value.definition, new))
    return document, new.value


def _copy(
    source: _Source,
    writer: VectorWriter,
    raster: Raster | None,
    crs: str,
    progress: Progress,
    present: Present | None,
) -> None:
    layer, left_out = source.layer, 0
    phase = Phase(progress, "Importing", layer.count, "features")
    bounds = None
    if raster is not None and not source.are_samples:
        bounds = window_bounds(raster.window, raster.geotransform)
    known = (CONFIDENCE, COUNT) if source.are_samples else (CONFIDENCE,)
    there = {each.lower() for each in layer.fields}  # databases write all in small letters
    fields = [*source.classes.fields, *(each for each in known if each.lower() in there)]
    for feature in layer.features(bounds, crs, fields, around=bounds):
        phase.step()
        own = source.classes.of(feature.attributes)
        geometry = repaired(feature.geometry)
        if own is None or geometry is None or geometry.GetDimension() < 2:
            left_out += 1
            continue
        kind = source.kinds[own]
        count = feature.attributes.get(COUNT)
        if count is None and raster is not None:
            count = _pixels(geometry, raster)
        _write(writer, kind, geometry, count, _number(feature.attributes.get(CONFIDENCE)))
        if present is not None:
            present.add(kind.value, geometry)
    if left_out:
        progress.warn(
            f"{left_out} features of '{layer.name}' have no class or are no polygons and were "
            "left out."
        )


def _add_drafts(
    prelabel: Prelabel,
    match: ClassMatch,
    present: Present,
    writer: VectorWriter,
    raster: Raster,
    crs: str,
    progress: Progress,
) -> int:
    """Let the model find samples, write those that are not there yet and return their number."""
    for warning in match.warnings:
        progress.warn(warning)
    found = read_drafts(prelabel.find(match.wanted(prelabel.schema)), match.values, crs)
    missing = present.missing(found)
    kinds = {node.value: node.definition for node in match.document.walk()}
    for each in missing:
        count = _pixels(each.geometry, raster)
        _write(writer, kinds[each.value], each.geometry, count, each.confidence)
    if len(missing) < len(found):
        count = len(found) - len(missing)
        progress.info(f"{count} of {len(found)} detections are samples already.")
    return len(missing)


def _write(
    writer: VectorWriter,
    kind: ClassDefinition,
    geometry: Geometry,
    count: int | None,
    confidence: float | None,
) -> None:
    values = {**sample_attributes(kind), COUNT: count, CONFIDENCE: confidence}
    writer.write(geometry, values)


def _number(content: float | str | None) -> float | None:
    """Return a confidence; a text that is no number is of another kind, and makes no draft."""
    try:
        return None if content is None else float(content)
    except ValueError:
        return None


def sample_attributes(each: ClassDefinition) -> dict[str, int | str]:
    """Return the attributes of a sample that its class decides."""
    red, green, blue = each.color
    return {
        "Classname": each.name,
        "Classvalue": each.value,
        "RED": red,
        "GREEN": green,
        "BLUE": blue,
    }


def _pixels(geometry: Geometry, raster: Raster) -> int:
    return round(geometry.GetArea() / raster.geotransform.cell_area())
