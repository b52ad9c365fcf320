"""The layer of training samples: what people draw or import, with its class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..geo.raster import Raster
from ..geo.shapes import repaired, window_bounds
from ..geo.vector import Geometry, VectorReader, VectorWriter
from ..progress import Phase, Progress
from .classes import Classes, read_classes, require_overlap
from .schema import ClassDefinition, Schema, default_color
from .schema_files import read_schema

FIELDS = {
    "Classname": str,
    "Classvalue": int,
    "RED": int,
    "GREEN": int,
    "BLUE": int,
    "Count": int,
    "Confidence": float,
}


@dataclass(frozen=True)
class SampleOptions:
    """What becomes samples.

    Attributes:
        output: vector file to write.
        rasters: what the samples label; they limit the samples, give the coordinate
            reference system and the count of pixels. May be empty.
        schema: ``value:name:#rrggbb;…``, or a file ``.json``, ``.ecs`` or ``.qml``; "" to
            take the classes from the features.
        features, features_layer: existing vectors to import, "" for none.
        class_field: holds their class, "" to look for one.
        append_to, append_layer: samples to go on with, "" for none.
    """

    output: str
    rasters: tuple[str, ...] = ()
    schema: str = ""
    features: str = ""
    features_layer: str = ""
    class_field: str = ""
    append_to: str = ""
    append_layer: str = ""


@dataclass(frozen=True)
class SampleResult:
    """The samples written and their classes."""

    path: Path
    samples: int
    schema: Schema


def make_samples(options: SampleOptions, progress: Progress) -> SampleResult:
    """Write a layer of samples from existing ones and imported features.

    Raises:
        GeoDLError: when the input does not fit; nothing is written then.
    """
    raster = Raster.open(options.rasters) if options.rasters else None
    sources = _sources(options)
    if not sources and not options.schema:
        raise InputError(
            "There is nothing to make samples from. Give features, existing samples or a schema."
        )
    if raster is not None and options.features:
        require_overlap(sources[-1].layer, raster)
    crs = raster.crs if raster is not None and raster.crs else ""
    crs = crs or (sources[0].layer.crs if sources else "")
    with VectorWriter(options.output, crs, FIELDS) as writer:
        for source in sources:
            _copy(source, writer, raster, crs, progress)
        if sources and not writer.count:
            raise InputError(
                f"No polygon of '{sources[-1].layer.name}' can be used as a sample. "
                "Choose a layer of polygons that have a class."
            )
    if raster is not None:
        raster.close()
    last = sources[-1].schema if sources else read_schema(options.schema)
    return SampleResult(writer.path, writer.count, last)


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
    """Features to copy; ``values`` leads from their own class values to those of ``schema``."""

    layer: VectorReader
    classes: Classes
    schema: Schema
    values: Mapping[int, int]


def _sources(options: SampleOptions) -> list[_Source]:
    """Return the layers to copy, with one schema that grows from each to the next."""
    given = read_schema(options.schema) if options.schema else None
    schema = given or Schema(())
    sources = []
    for path, layer, field in (
        (options.append_to, options.append_layer, "Classvalue"),
        (options.features, options.features_layer, options.class_field),
    ):
        if not path:
            continue
        reader = VectorReader(path, layer or None)
        classes = read_classes(reader, field, given)
        by_name = bool(classes.field) and reader.fields[classes.field] == "text"
        values = {}
        for each in classes.schema.classes:
            schema, values[each.value] = _joined(schema, each, by_name)
        sources.append(_Source(reader, classes, schema, values))
    return sources


def _joined(schema: Schema, new: ClassDefinition, by_name: bool) -> tuple[Schema, int]:
    """Return the schema with a class added, and the value that the class has there."""
    same_name, same_value = schema.by_name(new.name), schema.by_value(new.value)
    if same_name is not None and (by_name or same_name.value == new.value):
        return schema, same_name.value
    if same_value is not None and by_name:
        value = max(schema.values) + 1
        new = ClassDefinition(value, new.name, default_color(len(schema)))
    elif same_value is not None and new.name in (str(new.value), same_value.name):
        return schema, same_value.value  # a bare number names no class of its own
    return Schema.of((*schema.classes, new)), new.value


def _copy(
    source: _Source, writer: VectorWriter, raster: Raster | None, crs: str, progress: Progress
) -> None:
    layer, left_out = source.layer, 0
    phase = Phase(progress, "Importing", layer.count, "features")
    bounds = None if raster is None else window_bounds(raster.window, raster.geotransform)
    fields = [*source.classes.fields, *(each for each in ("Confidence",) if each in layer.fields)]
    for feature in layer.features(bounds, crs, fields):
        phase.step()
        own = source.classes.of(feature.attributes)
        geometry = repaired(feature.geometry)
        if own is None or geometry is None or geometry.GetDimension() < 2:
            left_out += 1
            continue
        each = source.schema.by_value(source.values[own])
        writer.write(
            geometry,
            {
                **sample_attributes(each),
                "Count": None if raster is None else _pixels(geometry, raster),
                "Confidence": feature.attributes.get("Confidence"),
            },
        )
    if left_out:
        progress.warn(
            f"{left_out} features of '{layer.name}' have no class or are no polygons and were "
            "left out."
        )


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
