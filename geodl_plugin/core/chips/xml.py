"""Label files in the XML of Pascal VOC."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from xml.etree import ElementTree  # nosec B405: see parse()

from ..errors import TrainingDataError

CORNERS = ("xmin", "ymin", "xmax", "ymax")
SIZE_LIMIT = 32 * 1024**2  # bytes of one label file


def annotation(
    image: Path, shape: tuple[int, int, int], objects: Iterable[tuple[str, Sequence[float]]]
) -> str:
    """Return a label file; put together as text, which takes a fifth of a tree's time.

    Args:
        image: the chip.
        shape: of the chip, (bands, rows, cols).
        objects: the class and the box of each.
    """
    sizes = zip(("width", "height", "depth"), (shape[2], shape[1], shape[0]))
    lines = [
        "<?xml version='1.0' encoding='utf-8'?>",
        "<annotation>",
        f"    <filename>{escape(image.name)}</filename>",
        "    <source>",
        "        <annotation>GeoDL</annotation>",
        "    </source>",
        "    <size>",
        *(f"        <{key}>{number}</{key}>" for key, number in sizes),
        "    </size>",
    ]
    for name, box in objects:
        lines += ["    <object>", f"        <name>{escape(name)}</name>", "        <bndbox>"]
        lines += [
            f"            <{corner}>{number:.2f}</{corner}>" for corner, number in zip(CORNERS, box)
        ]
        lines += ["        </bndbox>", "    </object>"]
    return "\n".join([*lines, "</annotation>"])


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


def size_of(path: Path) -> tuple[int, int] | None:
    """Return rows and columns of the image that a label file is for; none where it says 0."""
    root = parse(path)
    sides = [(root.findtext(f"size/{side}") or "").strip() for side in ("height", "width")]
    if not all(side.isdecimal() and int(side) for side in sides):
        return None
    return int(sides[0]), int(sides[1])


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
