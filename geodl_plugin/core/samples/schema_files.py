"""Schemas in files: our own ``.json``, the ``.ecs`` of ArcGIS, the ``.qml`` of QGIS."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..replacing import replace
from .document import SchemaDocument, SchemaNode
from .schema import Color, Schema, default_color
from .schema_values import BANDS, parse_color, whole_number
from .schema_xml import parse, plain, style_document

SUFFIXES = (".json", ".ecs", ".qml")
SIZE_LIMIT = 32 * 1024**2  # bytes of one schema file
NAME_KEYS = ("classname", "name", "label", "title")
VALUE_KEYS = ("classvalue", "value", "id", "code")
COLOR_KEYS = ("color", "colour", "rgb")
CHILD_KEYS = ("classes", "children", "subclasses")


def read_schema(text: str) -> Schema:
    """Read the classes of a file, or of text ``value:name:#rrggbb;…``.

    Raises:
        InputError: when the file is missing or holds no classes, or the text is no schema.
    """
    return read_document(text).schema()


def read_document(text: str) -> SchemaDocument:
    """Read the classes, with their order and nesting, of a file or of text.

    Raises:
        InputError: when the file is missing or holds no classes, or the text is no schema.
    """
    if Path(text.strip()).suffix.lower() in SUFFIXES and ";" not in text:
        return open_document(text.strip())
    return SchemaDocument.of_schema(Schema.from_text(text))


def open_document(path: str | Path) -> SchemaDocument:
    """Read a schema file; whether it holds JSON or XML is seen from its contents.

    Raises:
        InputError: when it cannot be read or holds no classes.
    """
    path = Path(path)
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise InputError(f"'{path}' is too large for a schema.")
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The schema '{path}' cannot be read: {error}.") from error
    if text.lstrip().startswith("<"):
        root = parse(text, str(path))
        document = style_document(root) or _document(plain(root))
    else:
        document = json_document(text, str(path))
    if not len(document):
        raise InputError(
            f"There are no classes in '{path}'. Choose a schema (.json, .ecs), or a style (.qml) "
            "by categories."
        )
    document.schema()
    return document


def save_document(document: SchemaDocument, path: str | Path) -> None:
    """Write a schema file: ``.ecs`` for ArcGIS, any other suffix is our own JSON.

    Raises:
        InputError: when the file cannot be written.
    """
    path = Path(path)
    text = ecs_text(document) if path.suffix.lower() == ".ecs" else json_text(document)
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        replace(part, path)
    except OSError as error:
        raise InputError(f"The schema '{path}' cannot be written: {error}.") from error


def json_text(document: SchemaDocument) -> str:
    """Return a document as our own JSON."""

    def entry(node: SchemaNode) -> dict[str, Any]:
        about: dict[str, Any] = {"value": node.value, "name": node.name}
        about["color"] = "#{:02x}{:02x}{:02x}".format(*node.color)
        if node.children:
            about["classes"] = [entry(child) for child in node.children]
        return about

    content = {"name": document.name, "classes": [entry(node) for node in document.nodes]}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def ecs_text(document: SchemaDocument) -> str:
    """Return a document as a classification schema of ArcGIS."""

    def entry(node: SchemaNode, parent: int) -> dict[str, Any]:
        return {
            "Classvalue": node.value,
            "Classname": node.name,
            "Color": list(node.color),
            "ParentClass": parent,
            "Classes": [entry(child, node.value) for child in node.children],
        }

    content = {
        "Organization": "",
        "Name": document.name or "Schema",
        "Description": "",
        "Classes": [entry(node, -1) for node in document.nodes],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def json_document(text: str, source: str = "The schema") -> SchemaDocument:
    """Read a document from JSON, whatever its author called the parts.

    Classes are found under keys such as ``Classes``, at any depth; their names, values and
    colours under ``Classname`` or ``name``, ``Classvalue`` or ``value``, ``Color``.

    Raises:
        InputError: when it is no JSON.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"'{source}' is no JSON: {error}.") from error
    return _document(content)


def _document(content: Any) -> SchemaDocument:
    name = _of(content, ("name",)) if isinstance(content, dict) else ""
    return SchemaDocument(_nodes(content, _Colors()), name if isinstance(name, str) else "")


class _Colors:
    """Gives colours to classes that have none."""

    def __init__(self) -> None:
        self._place = -1

    def of(self, content: Any) -> Color:
        self._place += 1
        return parse_color(content) or default_color(self._place)


def _nodes(content: Any, colors: _Colors) -> tuple[SchemaNode, ...]:
    """Return the classes in a piece of JSON; what is no class is looked through."""
    if isinstance(content, list):
        return _joined(_nodes(each, colors) for each in content)
    if not isinstance(content, dict):
        return ()
    name, value = _of(content, NAME_KEYS), whole_number(_of(content, VALUE_KEYS))
    inside = _of(content, CHILD_KEYS)
    if isinstance(name, str) and name.strip() and value is not None:
        color = colors.of(_of(content, COLOR_KEYS) or _bands(content))
        return (SchemaNode(value, name.strip(), color, _nodes(inside, colors)),)
    if isinstance(inside, (list, dict)):
        return _nodes(inside, colors)
    return _joined(
        _nodes(each, colors) for each in content.values() if isinstance(each, (dict, list))
    )


def _joined(parts: Iterable[tuple[SchemaNode, ...]]) -> tuple[SchemaNode, ...]:
    return tuple(node for part in parts for node in part)


def _of(content: dict[str, Any], keys: tuple[str, ...]) -> Any:
    lowered = {str(key).lower(): value for key, value in content.items()}
    return next((lowered[key] for key in keys if key in lowered), None)


def _bands(content: dict[str, Any]) -> list[Any]:
    return [_of(content, (key,)) for key in BANDS]
