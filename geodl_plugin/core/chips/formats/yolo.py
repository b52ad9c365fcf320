"""YOLO: objects in one text file a chip, sizes as fractions of the chip.

A line is the index of the class and a box (centre, width, height), or the index and a polygon,
as described in the documentation of Ultralytics. Parts and holes are joined to one polygon
by bridges without width.
"""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import MissingLibraryError, TrainingDataError, UnknownClassError
from ..images import open_image
from ..labels import InstanceLabel, Rings, ring_box
from . import IMAGE_SUFFIXES, Chip, ChipFormat, WrittenChip, files, is_hidden, label_of, value_of

FILE = "data.yaml"
DEFINITIONS = (FILE, "data.yml", "dataset.yaml")
LISTS = ("train.txt", "valid.txt", "val.txt", "test.txt")  # name images
BOX = 5  # columns
# One class a line, of older programs.
NAMES = ("obj.names", "classes.txt", "labels/classes.txt", "images/classes.txt")


class Yolo(ChipFormat):
    """Objects as YOLO stores them."""

    keyword = "YOLO"
    label = InstanceLabel
    suffix = ".txt"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._with_boxes: list[Path] = []  # the label files in which there are any
        self._outlined = False  # whether there is a polygon in one

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        return _names_file(folder) is not None

    # Writing

    def write(self, chip: WrittenChip) -> Path:
        path = self.folder / "labels" / f"{chip.name}{self.suffix}"
        label: InstanceLabel = chip.label
        size = np.array([chip.shape[2], chip.shape[1]], float)
        lines = []
        for rings, value in zip(label.rings, label.values):
            lines.append(_line(self.schema.index_of(int(value)), _row(rings, size)))
        path.write_text("".join(lines), encoding="utf-8")
        boxes = [line for line in lines if len(line.split()) == BOX]
        self._with_boxes += [path] * bool(boxes)
        self._outlined |= len(boxes) < len(lines)
        return path

    def finish(self) -> None:
        for path in self._with_boxes if self._outlined else ():
            _outline_boxes(path)
        names = "".join(
            f"  {position}: {_quoted(each.name)}\n"
            for position, each in enumerate(self.schema.classes)
        )
        text = f"path: .\ntrain: images\nval: images\nnames:\n{names}"
        (self.folder / FILE).write_text(text, encoding="utf-8")

    # Reading

    def chips(self) -> list[Chip]:
        found = []
        for image in self.folder.rglob("*"):
            if image.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(image.name):
                places = (self._label_path(image), image.with_suffix(self.suffix))
                label = next((each for each in places if each.is_file()), None)
                found.append(Chip(image.stem, image, label))
        return sorted(found, key=lambda chip: (chip.name, chip.image))

    def label_files(self) -> list[Path]:
        chips = self.chips()
        folders = {self._label_path(chip.image).parent for chip in chips}
        folders |= {chip.label.parent for chip in chips if chip.label is not None}
        others = {self.folder / name for name in (*NAMES, *LISTS)}
        found = (path for folder in folders for path in files(folder, (self.suffix,)))
        return sorted(set(found) - others)

    def _label_path(self, image: Path) -> Path:
        """Return the usual label of an image, in ``labels`` instead of ``images``, else beside."""
        parts = list(image.relative_to(self.folder).parts)
        if "images" in parts:
            # The last one counts: a folder further up may be called so, too.
            parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
        return self.folder.joinpath(*parts).with_suffix(self.suffix)

    def read(self, chip: Chip) -> InstanceLabel:
        with open_image(chip.image) as image:
            shape = (image.height, image.width)
        if chip.label is None:  # YOLO's way to say that there is nothing on the image
            return InstanceLabel(np.zeros(0, np.int64), shape)
        size = np.array([shape[1], shape[0]], float)
        path = label_of(chip)
        rows = [_parse(line, number, path, self._points) for number, line in _lines(path)]
        values = [self._value(position, path) for position, _ in rows]
        rings = tuple(_rings(numbers, size) for _, numbers in rows)
        return InstanceLabel(np.array(values, np.int64), shape, rings)

    def class_names(self) -> set[str]:
        return set(self._names.values())

    @functools.cached_property
    def _names(self) -> dict[int, str]:
        """The names of the class indices."""
        path = _names_file(self.folder)
        if path is None:
            raise TrainingDataError(
                f"'{self.folder}' has no '{FILE}' with the names of the classes. Add it or export "
                "the folder again."
            )
        if path.name not in DEFINITIONS:
            return dict(enumerate(line.strip() for _, line in _lines(path)))
        names = self._definition.get("names")
        try:
            pairs = names.items() if isinstance(names, dict) else enumerate(names or [])
            return {int(position): str(name) for position, name in pairs}
        except (TypeError, ValueError):
            raise TrainingDataError(
                f"'{path}' has names that are no list, nor numbered from 0. Write them like "
                "names: {0: tree, 1: car}."
            ) from None

    @functools.cached_property
    def _definition(self) -> dict[str, Any]:
        path = _names_file(self.folder)
        return _load_yaml(path) if path is not None and path.name in DEFINITIONS else {}

    @functools.cached_property
    def _points(self) -> int:
        """How many numbers a box is followed by for its key points, which nothing is made of."""
        shape = self._definition.get("kpt_shape")
        if isinstance(shape, list) and all(isinstance(each, int) for each in shape):
            return math.prod(shape)
        return 0

    def _value(self, position: int, path: Path) -> int:
        if position not in self._names:
            raise UnknownClassError(
                f"'{path}' has the class index {position}, which '{FILE}' does not name."
            )
        name = self._names[position]
        # Two classes may have one name, and differ by their places.
        for each in self.schema.classes[position : position + 1]:
            if each.name == name:
                return each.value
        return value_of(name, self.schema, path)


def _names_file(folder: Path) -> Path | None:
    """Return the file that names the classes of a folder, or of the set that it is a part of."""
    above = DEFINITIONS if (folder / "labels").is_dir() else ()
    places = [folder / name for name in (*DEFINITIONS, *NAMES)]
    places += [folder.parent / name for name in above]
    return next((each for each in places if each.is_file()), None)


def _line(position: int, numbers: list[float]) -> str:
    return " ".join([str(position), *(f"{number:.8g}" for number in numbers)]) + "\n"


def _outline_boxes(path: Path) -> None:
    """Write the boxes of a label file as polygons.

    Ultralytics takes a box among polygons for a polygon of two points, and gives up all polygons
    of a set that has boxes too.
    """
    lines = []
    for number, line in _lines(path):
        position, numbers = _parse(line, number, path)
        (ring, *_) = _rings(numbers, np.ones(2))
        lines.append(_line(position, ring.ravel().tolist()))
    path.write_text("".join(lines), encoding="utf-8")


def _row(rings: Rings, size: np.ndarray) -> list[float]:
    box = ring_box(rings)
    corners = {(box[0], box[1]), (box[2], box[1]), (box[2], box[3]), (box[0], box[3])}
    if len(rings) == 1 and {tuple(point) for point in rings[0].tolist()} == corners:
        xmin, ymin, xmax, ymax = np.array(box) / np.tile(size, 2)
        return [(xmin + xmax) / 2, (ymin + ymax) / 2, xmax - xmin, ymax - ymin]
    return (keyhole(rings) / size).ravel().tolist()


def keyhole(rings: Rings) -> np.ndarray:
    """Return one ring ``(n, 2)`` that encloses what several do, by bridges without width."""
    path = rings[0]
    for ring in rings[1:]:
        distances = np.linalg.norm(path[:, np.newaxis] - ring[np.newaxis], axis=2)
        here, there = np.unravel_index(distances.argmin(), distances.shape)
        turned = np.roll(ring, -there, axis=0)
        loop = np.concatenate([turned, turned[:1], path[here : here + 1]])
        path = np.concatenate([path[: here + 1], loop, path[here + 1 :]])
    return path


def _rings(numbers: list[float], size: np.ndarray) -> Rings:
    if len(numbers) == 4:
        x, y, width, height = np.array(numbers) * np.tile(size, 2)
        left, top, right, bottom = x - width / 2, y - height / 2, x + width / 2, y + height / 2
        return (np.array([[left, top], [right, top], [right, bottom], [left, bottom]]),)
    return (np.array(numbers).reshape(-1, 2) * size,)


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors of Windows begin with a mark
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingDataError(f"The label '{path}' cannot be read: {error}.") from error
    return [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _parse(line: str, number: int, path: Path, points: int = 0) -> tuple[int, list[float]]:
    """Return the class index and the numbers of a line, without those of its key points."""
    try:
        first, *rest = line.split()
        numbers = [float(each) for each in rest]
        position = float(first)
        if points and len(numbers) == 4 + points:
            numbers = numbers[:4]
    except ValueError:
        numbers, position = [], -1.0
    if position < 0 or not position.is_integer() or len(numbers) % 2 or len(numbers) < 4:
        raise TrainingDataError(f"Line {number} of '{path}' is neither a box nor a polygon.")
    return int(position), numbers


def _load_yaml(path: Path) -> dict[str, Any]:
    try:
        import yaml
    except ImportError as error:
        raise MissingLibraryError(
            f"'{path}' needs PyYAML, which this Python lacks. Install 'pyyaml'."
        ) from error
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TrainingDataError(f"'{path}' cannot be read: {error}.") from error
    return content if isinstance(content, dict) else {}


def _quoted(name: str) -> str:
    """Return a name as YAML, of which JSON is a part, takes any text."""
    return json.dumps(name, ensure_ascii=False)
