"""Classes in XML: the styles of QGIS, and schemas that are not JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree  # nosec B405: see parse()

from ..errors import InputError
from .document import SchemaDocument, SchemaNode
from .schema import Color, default_color
from .schema_values import parse_color, whole_number

# The colours of a symbol layer, in the order in which they tell its class.
COLOR_OPTIONS = ("color", "outline_color", "line_color")


def parse(text: str, source: str) -> ElementTree.Element:
    """Read XML.

    Raises:
        InputError: when it is no XML, or declares entities, which no schema needs and which
            can be made to fill the memory.
    """
    if "<!ENTITY" in text:
        raise InputError(f"'{source}' is not a plain schema: it declares entities.")
    try:
        return ElementTree.fromstring(text.lstrip())  # noqa: S314 # nosec B314: see above
    except ElementTree.ParseError as error:
        raise InputError(f"The schema '{source}' cannot be read: {error}.") from error


def plain(element: ElementTree.Element) -> Any:
    """Return an element as JSON would hold it: attributes and elements by name, or its text."""
    content: dict[str, Any] = dict(element.attrib)
    for child in element:
        name = child.tag.rpartition("}")[2]
        if name not in content:
            content[name] = plain(child)
        elif isinstance(content[name], list):
            content[name].append(plain(child))
        else:
            content[name] = [content[name], plain(child)]
    return content or (element.text or "").strip()


def style_document(root: ElementTree.Element) -> SchemaDocument | None:
    """Return the classes of a QGIS style by categories or palette; ``None`` for other XML.

    Values that are whole numbers stay, and the legend names them; text becomes the name, and
    the values count from 1.
    """
    if root.tag != "qgis":
        return None
    entries = [*_categories(root), *_palette(root)]
    numbers = [whole_number(value) for value, _, _ in entries]
    counted = None in numbers or len(set(numbers)) < len(numbers)
    nodes = []
    for place, (value, label, color) in enumerate(entries):
        number = place + 1 if counted else numbers[place]
        name = value if counted else label or value
        nodes.append(SchemaNode(number, name, color or default_color(place)))
    return SchemaDocument(tuple(nodes))


def _categories(root: ElementTree.Element) -> Iterator[tuple[str, str, Color | None]]:
    for renderer in root.iter("renderer-v2"):
        symbols = {each.get("name"): each for each in renderer.findall("symbols/symbol")}
        for category in renderer.findall("categories/category"):
            value = (category.get("value") or "").strip()
            if value and value != "NULL":  # the empty one is "all others"
                color = _symbol_color(symbols.get(category.get("symbol")))
                yield value, (category.get("label") or "").strip(), color


def _palette(root: ElementTree.Element) -> Iterator[tuple[str, str, Color | None]]:
    for renderer in root.iter("rasterrenderer"):
        for entry in renderer.iter("paletteEntry"):
            label = (entry.get("label") or "").strip()
            yield (entry.get("value") or "").strip(), label, parse_color(entry.get("color"))


def _symbol_color(symbol: ElementTree.Element | None) -> Color | None:
    """Return the first colour of a symbol that can be seen."""
    if symbol is None:
        return None
    options = {each.get("name"): each.get("value") for each in symbol.iter("Option")}
    options.update({each.get("k"): each.get("v") for each in symbol.iter("prop")})
    for name in COLOR_OPTIONS:
        # "r,g,b,a", followed by "rgb:…" since QGIS 3.40.
        parts = (options.get(name) or "").split(",")
        if len(parts) >= 3 and parts[3:4] != ["0"]:
            return parse_color(",".join(parts[:3]))
    return None
