"""YOLO: objects in one text file a chip, sizes as fractions of the chip.

A line is the index of the class and a box (centre, width, height), or the index and a polygon,
as described in the documentation of Ultralytics. Parts and holes are joined to one polygon
by bridges without width.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import MissingLibraryError, TrainingDataError, UnknownClassError
from ...geo.raster import Raster
from ..labels import InstanceLabel, Rings, ring_box
from . import IMAGE_SUFFIXES, Chip, ChipFormat, WrittenChip, files, is_hidden, label_of, value_of

FILE = "data.yaml"
DEFINITIONS = (FILE, "data.yml", "dataset.yaml")
LISTS = ("train.txt", "valid.txt", "val.txt", "test.txt")  # name images
NAMES = ("obj.names", "classes.txt", "labels/classes.txt")  # one class a line, of older programs


class Yolo(ChipFormat):
    """Objects as YOLO stores them."""

    keyword = "YOLO"
    label = InstanceLabel
    suffix = ".txt"

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        return any((folder / name).is_file() for name in (*DEFINITIONS, *NAMES))

    # Writing

    def write(self, chip: WrittenChip) -> Path:
        path = self.folder / "labels" / f"{chip.name}{self.suffix}"
        label: InstanceLabel = chip.label
        size = np.array([chip.shape[2], chip.shape[1]], float)
        lines = []
        for rings, value in zip(label.rings, label.values):
            numbers = _row(rings, size)
            position = self.schema.index_of(int(value))
            lines.append(" ".join([str(position), *(f"{number:.8g}" for number in numbers)]))
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    def finish(self) -> None:
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
                label = self._label_path(image)
                found.append(Chip(image.stem, image, label if label.is_file() else None))
        return sorted(found, key=lambda chip: (chip.name, chip.image))

    def label_files(self) -> list[Path]:
        folders = {self._label_path(chip.image).parent for chip in self.chips()}
        others = {self.folder / name for name in (*NAMES, *LISTS)}
        found = (path for folder in folders for path in files(folder, (self.suffix,)))
        return sorted(set(found) - others)

    def _label_path(self, image: Path) -> Path:
        """Return the label of an image, in ``labels`` instead of ``images`` or beside it."""
        parts = list(image.relative_to(self.folder).parts)
        if "images" in parts:
            # The last one counts: a folder further up may be called so, too.
            parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
        return self.folder.joinpath(*parts).with_suffix(self.suffix)

    def read(self, chip: Chip) -> InstanceLabel:
        with Raster.open(chip.image) as image:
            shape = (image.height, image.width)
        if chip.label is None:  # YOLO's way to say that there is nothing on the image
            return InstanceLabel(np.zeros(0, np.int64), shape)
        size = np.array([shape[1], shape[0]], float)
        path = label_of(chip)
        rows = [_parse(line, number, path) for number, line in _lines(path)]
        values = [self._value(position, path) for position, _ in rows]
        rings = tuple(_rings(numbers, size) for _, numbers in rows)
        return InstanceLabel(np.array(values, np.int64), shape, rings)

    def class_names(self) -> set[str]:
        return set(self._names.values())

    @functools.cached_property
    def _names(self) -> dict[int, str]:
        """The names of the class indices."""
        places = [self.folder / name for name in (*DEFINITIONS, *NAMES)]
        path = next((each for each in places if each.is_file()), None)
        if path is None:
            raise TrainingDataError(
                f"'{self.folder}' has no '{FILE}' with the names of the classes. Add it or export "
                "the folder again."
            )
        if path.name not in DEFINITIONS:
            return dict(enumerate(line.strip() for _, line in _lines(path)))
        names = _load_yaml(path).get("names")
        try:
            pairs = names.items() if isinstance(names, dict) else enumerate(names or [])
            return {int(position): str(name) for position, name in pairs}
        except (TypeError, ValueError):
            raise TrainingDataError(
                f"'{path}' has names that are no list, nor numbered from 0. Write them like "
                "names: {0: tree, 1: car}."
            ) from None

    def _value(self, position: int, path: Path) -> int:
        if position not in self._names:
            raise UnknownClassError(
                f"'{path}' has the class index {position}, which '{FILE}' does not name."
            )
        return value_of(self._names[position], self.schema, path)


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
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingDataError(f"The label '{path}' cannot be read: {error}.") from error
    return [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _parse(line: str, number: int, path: Path) -> tuple[int, list[float]]:
    try:
        first, *rest = line.split()
        numbers = [float(each) for each in rest]
        position = int(first)
    except ValueError:
        numbers, position = [], -1
    if position < 0 or len(numbers) % 2 or len(numbers) < 4:
        raise TrainingDataError(f"Line {number} of '{path}' is neither a box nor a polygon.")
    return position, numbers


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
