"""PASCAL_VOC_rectangles: boxes in one XML file a chip.

Everingham et al. 2010, "The PASCAL Visual Object Classes Challenge", as ArcGIS writes it:
the name is the class value, coordinates have two decimals.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree  # nosec B405: see parse()

import numpy as np

from ...errors import TrainingDataError
from ...geo.grid import GeoTransform
from ...samples.schema import Schema
from ..labels import BoxLabel
from . import ChipFormat

CORNERS = ("xmin", "ymin", "xmax", "ymax")
SIZE_LIMIT = 32 * 1024**2  # bytes of one label file


class PascalVoc(ChipFormat):
    """Boxes as Pascal VOC stores them."""

    keyword = "PASCAL_VOC_rectangles"
    suffix = ".xml"
    label = BoxLabel

    def write(
        self,
        path: Path,
        label: BoxLabel,
        image: Path,
        shape: tuple[int, int, int],
        geotransform: GeoTransform,
        crs: str,
    ) -> None:
        root = annotation(image, shape)
        for box, value in zip(label.boxes, label.values):
            entry = add_object(root, str(int(value)))
            bounds = ElementTree.SubElement(entry, "bndbox")
            for corner, number in zip(CORNERS, box):
                ElementTree.SubElement(bounds, corner).text = f"{number:.2f}"
        save(root, path)

    def read(self, path: Path, schema: Schema) -> BoxLabel:
        boxes, values = [], []
        for name, entry in objects(path):
            bounds = entry.find("bndbox")
            corners = [bounds.findtext(corner) for corner in CORNERS] if bounds is not None else []
            try:
                box = [float(corner) for corner in corners if corner is not None]
            except ValueError:
                box = []
            if len(box) != 4:
                raise TrainingDataError(f"'{path}' has an object without a whole bndbox.")
            boxes.append(box)
            values.append(value_of(name, schema, path))
        return BoxLabel(np.array(boxes, np.float32).reshape(-1, 4), np.array(values, np.int64))

    def class_names(self, path: Path) -> set[str]:
        return {name for name, _ in objects(path)}


def annotation(image: Path, shape: tuple[int, int, int]) -> ElementTree.Element:
    """Return the root of a label file for an image of ``shape`` (bands, rows, cols)."""
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = image.name
    source = ElementTree.SubElement(root, "source")
    ElementTree.SubElement(source, "annotation").text = "GeoDL"
    size = ElementTree.SubElement(root, "size")
    for key, number in zip(("width", "height", "depth"), (shape[2], shape[1], shape[0])):
        ElementTree.SubElement(size, key).text = str(number)
    return root


def add_object(root: ElementTree.Element, name: str) -> ElementTree.Element:
    """Add an object with its class to a label file."""
    entry = ElementTree.SubElement(root, "object")
    ElementTree.SubElement(entry, "name").text = name
    return entry


def save(root: ElementTree.Element, path: Path) -> None:
    """Write a label file."""
    ElementTree.indent(root, "    ")
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def objects(path: Path) -> Iterable[tuple[str, ElementTree.Element]]:
    """Yield the class name and the element of every object in a label file."""
    for entry in parse(path).iter("object"):
        name = (entry.findtext("name") or "").strip()
        if not name:
            raise TrainingDataError(f"'{path}' has an object without a name.")
        yield name, entry


def parse(path: Path) -> ElementTree.Element:
    """Read a label file.

    Raises:
        TrainingDataError: when it is no XML, too large, or declares entities, which no
            label needs and which can be made to fill the memory.
    """
    try:
        content = path.read_bytes()
        if len(content) > SIZE_LIMIT or b"<!ENTITY" in content:
            raise TrainingDataError(f"'{path}' is not a plain label file.")
        return ElementTree.fromstring(content)  # noqa: S314 # nosec B314: entities are refused
    except (OSError, ElementTree.ParseError) as error:
        raise TrainingDataError(f"The label '{path}' cannot be read: {error}.") from error


def value_of(name: str, schema: Schema, path: Path) -> int:
    """Return the class value that a label names by value or by name.

    Raises:
        TrainingDataError: when the folder has no such class.
    """
    known = schema.by_name(name)
    if known is None and name.lstrip("-").isdigit():
        known = schema.by_value(int(name))
    if known is None:
        raise TrainingDataError(
            f"'{path}' has the class '{name}', which the folder does not know. "
            f"Its classes are: {schema}."
        )
    return known.value
