"""Which class a feature belongs to, read from a field of its layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InputError, OutsideError
from ..geo.raster import Raster
from ..geo.shapes import window_bounds
from ..geo.vector import VectorReader
from .schema import ClassDefinition, Schema, default_color

VALUE_FIELDS = ("classvalue", "value")  # used when no field is named
CLASS_LIMIT = 65_534  # 16 bits of a class raster less 0 and no data


@dataclass(frozen=True)
class Classes:
    """The classes of a layer and how its features name them.

    Attributes:
        schema: the classes.
        field: holds the class; "" when every feature is of the one class.
        values: from the field's contents to class values.
    """

    schema: Schema
    field: str
    values: Mapping[Any, int]

    def of(self, attributes: Mapping[str, Any]) -> int | None:
        """Return the class value of a feature, ``None`` when its field is empty."""
        if not self.field:
            return self.schema.values[0]
        return self.values.get(attributes[self.field])

    @property
    def fields(self) -> list[str]:
        """The fields to read."""
        return [self.field] if self.field else []


def read_classes(layer: VectorReader, field: str = "", schema: Schema | None = None) -> Classes:
    """Find the classes of a layer.

    Without a field ``Classvalue`` or ``value`` is used; without these all features are of
    one class. Text gets the values 1…n in sorted order, or those of ``schema``.

    Args:
        layer: the features.
        field: holds the class, by name or value.
        schema: the classes there may be; default is what the field contains.

    Raises:
        VectorError: when there is no such field.
        InputError: when the field holds a class that the schema lacks, or no class value.
    """
    if field:
        name = layer.field(field)
    else:
        lowered = {each.lower(): each for each in layer.fields}
        name = next((lowered[each] for each in VALUE_FIELDS if each in lowered), "")
    if not name:
        single = schema or Schema((ClassDefinition(1, "Object", default_color(0)),))
        return Classes(single, "", {})
    contents = layer.unique_values(name)
    if not contents:
        raise InputError(f"The field '{name}' of '{layer.name}' is empty. Fill in the classes.")
    if schema is not None:
        return Classes(schema, name, {each: _match(each, schema, name) for each in contents})
    if layer.fields[name] == "text":
        made = Schema.from_names(str(each) for each in contents)
        return Classes(made, name, {each: made.by_name(str(each)).value for each in contents})
    values = {each: _whole(each, name) for each in contents}
    return Classes(_described(layer, name, values), name, values)


def require_overlap(layer: VectorReader, raster: Raster, buffer: float = 0.0) -> None:
    """Raise :class:`OutsideError` unless a feature of ``layer`` lies on ``raster``."""
    bounds = window_bounds(raster.window, raster.geotransform)
    if next(layer.features(bounds, raster.crs, [], buffer, around=bounds), None) is None:
        raise OutsideError(
            f"No feature of '{layer.name}' lies on '{raster.name}'. Check that they show the "
            "same place and have the right coordinate reference systems."
        )


def _match(content: Any, schema: Schema, field: str) -> int:
    whole = isinstance(content, float) and content.is_integer()
    text = str(int(content) if whole else content)
    known = schema.by_name(text)
    if known is None and text.removeprefix("-").isdecimal():
        known = schema.by_value(int(text))
    if known is None:
        raise InputError(
            f"The field '{field}' holds the class '{content}', which the schema lacks. "
            f"Its classes are: {schema}."
        )
    return known.value


def _whole(content: Any, field: str) -> int:
    number = isinstance(content, (int, float)) and 0 <= content <= CLASS_LIMIT
    if number and content == int(content):
        return int(content)
    raise InputError(
        f"The field '{field}' holds '{content}', which is no class value. "
        f"Use whole numbers from 0 to {CLASS_LIMIT}, or text."
    )


def _described(layer: VectorReader, field: str, values: Mapping[Any, int]) -> Schema:
    """Return the schema of values, named and coloured by the samples' own fields if it has them."""
    found = _told(layer, field, values)
    classes = []
    for place, value in enumerate(sorted(set(values.values()))):
        about = found.get(value, {})
        color = tuple(about.get(each) for each in ("red", "green", "blue"))
        usable = all(isinstance(part, int) and 0 <= part <= 255 for part in color)
        classes.append(
            ClassDefinition(
                value,
                str(about.get("classname") or value),
                color if usable else default_color(place),
            )
        )
    return Schema.of(classes)


def _told(layer: VectorReader, field: str, values: Mapping[Any, int]) -> dict[int, dict[str, Any]]:
    """Return name and colour of each value, as the samples have them beside it.

    They are those of the samples' own field of values, and of another one only where each of its
    values has a name of its own.
    """
    lowered = {each.lower(): each for each in layer.fields}
    others = [lowered[each] for each in ("classname", "red", "green", "blue") if each in lowered]
    if not others:
        return {}
    own = field == next((lowered[each] for each in VALUE_FIELDS if each in lowered), "")
    found: dict[int, dict[str, Any]] = {}
    for feature in layer.features(fields=[field, *others]):
        value = values.get(feature.attributes[field])
        if value is None:
            continue
        about = {key.lower(): content for key, content in feature.attributes.items()}
        known = found.setdefault(value, about)
        if own and len(found) == len(set(values.values())):
            break
        if not own and about.get("classname") != known.get("classname"):
            return {}
    names = {about.get("classname") for about in found.values()}
    return found if own or len(names) == len(found) else {}
