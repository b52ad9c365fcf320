"""COCO: all objects in one JSON file, with boxes and outlines.

Lin et al. 2014, "Microsoft COCO: Common Objects in Context"; the format is described at
cocodataset.org. An outline without holes is a list of polygons, one with holes a run-length
code (columns first, background first).
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import TrainingDataError
from ...geo.grid import GeoTransform
from ...geo.rasterize import burn
from ...geo.shapes import polygon, polygon_of_rings
from ..images import open_image
from ..labels import InstanceLabel, Rings
from . import Chip, ChipFormat, WrittenChip, files, is_hidden, value_of

FILE = "annotations.json"
PATTERNS = (FILE, "_annotations.coco.json", "*/_annotations.coco.json", "annotations/*.json")
MOST_FILES = 12  # of a set, for train, val and test with and without outlines


class Coco(ChipFormat):
    """Objects as COCO stores them."""

    keyword = "COCO"
    label = InstanceLabel

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        named = any(next(folder.glob(pattern), None) for pattern in PATTERNS)
        return named or bool(_called_otherwise(folder))

    # Writing

    def write(self, chip: WrittenChip) -> None:
        number = len(self._images) + 1
        _, rows, cols = chip.shape
        self._images.append(
            {"id": number, "file_name": chip.image.name, "width": cols, "height": rows}
        )
        label: InstanceLabel = chip.label
        for index, (box, value) in enumerate(zip(label.boxes.tolist(), label.values)):
            xmin, ymin, xmax, ymax = box
            rings = label.rings[index] if label.rings else ()
            simple = bool(rings) and not _has_hole(rings)
            area = polygon_of_rings(rings).GetArea() if simple else label.masks[index].sum()
            self._annotations.append(
                {
                    "id": len(self._annotations) + 1,
                    "image_id": number,
                    "category_id": int(value),
                    "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
                    "area": float(area),
                    "iscrowd": 0,
                    "segmentation": [ring.ravel().tolist() for ring in rings]
                    if simple
                    else encode(label.masks[index]),
                }
            )

    def finish(self) -> None:
        content = {
            "images": self._images,
            "annotations": self._annotations,
            "categories": [{"id": each.value, "name": each.name} for each in self.schema.classes],
        }
        (self.folder / FILE).write_text(json.dumps(content), encoding="utf-8")

    # Reading

    @functools.cached_property
    def _contents(self) -> list[tuple[Path, dict[str, Any]]]:
        """The COCO files of the folder, one for each part that it is split into."""
        for pattern in PATTERNS:
            paths = [each for each in self.folder.glob(pattern) if not is_hidden(each.name)]
            found = [(path, _load(path)) for path in sorted(paths)]
            # Captions and key points of the same images lie beside the objects.
            found = [each for each in found if isinstance(each[1].get("images"), list)]
            objects = [each for each in found if each[0].name.startswith("instances")]
            if found:
                return objects or found
        found = _called_otherwise(self.folder)
        if found:
            return found
        raise TrainingDataError(f"'{self.folder}' holds no COCO file '{FILE}'.")

    @functools.cached_property
    def _images_of(self) -> dict[Path, tuple[Path, list[dict[str, Any]], dict[Any, str]]]:
        """For each image the file that lists it, its annotations and that file's categories."""
        found = {}
        for path, content in self._contents:
            categories = {each["id"]: str(each["name"]) for each in _categories(content, path)}
            images = _entries(content, "images", path)
            of_image: dict[Any, list[dict[str, Any]]] = {each.get("id"): [] for each in images}
            for annotation in _entries(content, "annotations", path):
                if annotation.get("image_id") not in of_image:
                    raise TrainingDataError(
                        f"'{path}' has an annotation of the image "
                        f"{annotation.get('image_id')!r}, which it does not list."
                    )
                # A crowd is a region of objects that nobody told apart.
                if not annotation.get("iscrowd"):
                    of_image[annotation["image_id"]].append(annotation)
            # Some programs list an image again for each person who has labelled it.
            entries: dict[Path, set[Any]] = {}
            for each in images:
                image = self._image(str(each.get("file_name", "")), path)
                entries.setdefault(image, set()).add(each.get("id"))
            for image, numbers in entries.items():
                own = [each for number in sorted(numbers, key=str) for each in of_image[number]]
                found[image] = (path, own, categories)
        return found

    @functools.cached_property
    def _sizes(self) -> dict[Path, tuple[int, int]]:
        """Rows and columns of the images, as far as the files tell them."""
        return {
            self._image(str(each.get("file_name", "")), path): (each["height"], each["width"])
            for path, content in self._contents
            for each in _entries(content, "images", path)
            if all(isinstance(each.get(side), int) and each[side] for side in ("height", "width"))
        }

    def _image(self, name: str, path: Path) -> Path:
        """Return where an image lies that a COCO file names."""
        name = name.replace("\\", "/")
        part = path.stem.rpartition("_")[2]  # "train2017" of "instances_train2017"
        images = self.folder / "images"
        bases = (images, path.parent, self.folder, images / part, self.folder / part)
        places = [base / name for base in bases]
        image = next((place for place in places if place.is_file()), places[0])
        if not image.resolve().is_relative_to(self.folder.resolve()):
            raise TrainingDataError(f"'{path}' names the image '{name}' outside its folder.")
        return image

    def chips(self) -> list[Chip]:
        found = [Chip(image.stem, image, path) for image, (path, _, _) in self._images_of.items()]
        return sorted(found, key=lambda chip: (chip.name, chip.image))

    def read(self, chip: Chip) -> InstanceLabel:
        with open_image(chip.image) as image:
            shape = (image.height, image.width)
        path, annotations, categories = self._images_of[chip.image]
        values = [self._value(each, categories, path) for each in annotations]
        rings = [_rings(each, path) for each in annotations]
        numbers = np.array(values, np.int64)

        def draw() -> np.ndarray:
            masks = [
                _union(parts, shape) if parts else decode(each["segmentation"], path)
                for each, parts in zip(annotations, rings)
            ]
            return np.stack(masks) if masks else np.zeros((0, *shape), bool)

        if all(rings):
            return InstanceLabel(numbers, shape, tuple(rings), draw)
        return InstanceLabel.of_masks(draw(), numbers)

    def labelled_size(self, chip: Chip) -> tuple[int, int] | None:
        return self._sizes.get(chip.image)

    def class_names(self) -> set[str]:
        return {
            str(each["name"])
            for path, content in self._contents
            for each in _categories(content, path)
        }

    def _value(self, annotation: dict[str, Any], categories: dict[Any, str], path: Path) -> int:
        category = annotation.get("category_id")
        name = categories.get(category, str(category))
        numbered = self.schema.by_value(category)
        # Two classes may have one name, and differ by their values.
        same = numbered is not None and numbered.name == name
        known = numbered if same else self.schema.by_name(name)
        return known.value if known is not None else value_of(str(category), self.schema, path)


def _called_otherwise(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Return the COCO files that have a name of their own, "result.json" for example."""
    paths = files(folder, (".json",))
    if len(paths) > MOST_FILES:  # one for each image, of another format
        return []
    found = []
    for path in paths:
        with contextlib.suppress(TrainingDataError):
            content = _load(path)
            if all(isinstance(content.get(each), list) for each in ("images", "annotations")):
                found.append((path, content))
    return found


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise TrainingDataError(f"'{path}' cannot be read: {error}.") from error
    return content if isinstance(content, dict) else {}


def _entries(content: dict[str, Any], name: str, path: Path) -> list[dict[str, Any]]:
    """Return a list of a COCO file; none where it has no such list."""
    entries = content.get(name) or []
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise TrainingDataError(
            f"The '{name}' of '{path}' are no list of objects. Export the file again."
        )
    return entries


def _categories(content: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    """Return the categories of a COCO file, each of which has a number and a name."""
    categories = _entries(content, "categories", path)
    for each in categories:
        if each.get("id") is None or each.get("name") is None:
            raise TrainingDataError(
                f"The category {each} of '{path}' lacks its 'id' or its 'name'. Add it."
            )
    return categories


def _rings(annotation: dict[str, Any], path: Path) -> Rings:
    """Return the outline of an annotation; empty when it is a run-length code."""
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        return ()
    try:
        if segmentation:
            rings = tuple(np.array(ring, float).reshape(-1, 2) for ring in segmentation)
            if any(len(ring) for ring in rings):
                return tuple(ring for ring in rings if len(ring))
        x, y, width, height = (float(number) for number in annotation["bbox"])
    except (KeyError, TypeError, ValueError) as error:
        raise TrainingDataError(
            f"Annotation {annotation.get('id')} of '{path}' has no usable outline or box."
        ) from error
    return (np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]]),)


def _union(rings: Rings, shape: tuple[int, int]) -> np.ndarray:
    """Return the pixels ``(rows, cols)`` in any of the polygons of an object.

    They are its parts: where they overlap is no hole, which only a run-length code can have.
    """
    return burn([(polygon(ring), 1) for ring in rings], shape, GeoTransform()) > 0


def encode(mask: np.ndarray) -> dict[str, Any]:
    """Return the run-length code of a mask ``(rows, cols)``."""
    flat = np.asfortranarray(mask).ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    bounds = np.concatenate([[0], edges, [flat.size]])
    counts = np.diff(bounds).tolist()
    if flat.size and flat[0]:
        counts = [0, *counts]
    return {"size": list(mask.shape), "counts": counts}


def decode(code: dict[str, Any], path: Path) -> np.ndarray:
    """Return the mask ``(rows, cols)`` of a run-length code, compressed or not.

    Raises:
        TrainingDataError: when the runs do not fill the mask.
    """
    rows, cols = (int(number) for number in code.get("size", (0, 0)))
    counts = code.get("counts", [])
    runs = _uncompress(counts) if isinstance(counts, str) else [int(each) for each in counts]
    if sum(runs) != rows * cols or min(runs, default=0) < 0:
        raise TrainingDataError(f"'{path}' has a run-length code that does not fill its mask.")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape((rows, cols), order="F")


def _uncompress(text: str) -> list[int]:
    """Return the runs of COCO's compressed code: five bits a letter, differences from the third."""
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs


def _has_hole(rings: Sequence[np.ndarray]) -> bool:
    """Return whether rings lie inside each other, so that they enclose less than their areas."""
    together = polygon_of_rings(rings).GetArea()
    return together < sum(polygon(ring).GetArea() for ring in rings) * (1 - 1e-9)
