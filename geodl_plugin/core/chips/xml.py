"""Label files in the XML of Pascal VOC."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree  # nosec B405: see parse()

from ..errors import TrainingDataError

CORNERS = ("xmin", "ymin", "xmax", "ymax")
SIZE_LIMIT = 32 * 1024**2  # bytes of one label file


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


def add_object(root: ElementTree.Element, name: str, box: tuple[float, ...]) -> None:
    """Add an object with its class and box to a label file."""
    entry = ElementTree.SubElement(root, "object")
    ElementTree.SubElement(entry, "name").text = name
    bounds = ElementTree.SubElement(entry, "bndbox")
    for corner, number in zip(CORNERS, box):
        ElementTree.SubElement(bounds, corner).text = f"{number:.2f}"


def save(root: ElementTree.Element, path: Path) -> None:
    """Write a label file."""
    ElementTree.indent(root, "    ")
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def objects(path: Path) -> Iterator[tuple[str, ElementTree.Element]]:
    """Yield the class name and the element of every object in a label file.

    Raises:
        TrainingDataError: when the file is damaged.
    """
    for entry in parse(path).iter("object"):
        name = (entry.findtext("name") or "").strip()
        if not name:
            raise TrainingDataError(f"'{path}' has an object without a name.")
        yield name, entry


def box_of(entry: ElementTree.Element, path: Path) -> list[float]:
    """Return the box of an object; raise :class:`TrainingDataError` when it has none."""
    bounds = entry.find("bndbox")
    corners = [bounds.findtext(corner) for corner in CORNERS] if bounds is not None else []
    try:
        box = [float(corner) for corner in corners if corner is not None]
    except ValueError:
        box = []
    if len(box) != 4:
        raise TrainingDataError(f"'{path}' has an object without a whole bndbox.")
    return box


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
