"""PASCAL_VOC_rectangles: boxes in one XML file a chip.

Everingham et al. 2010, "The PASCAL Visual Object Classes Challenge", as ArcGIS writes it:
the name is the class value, coordinates have two decimals. Sets of other programs name their
folders as the challenge does, or hold images and labels side by side.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .. import xml
from ..labels import BoxLabel
from . import IMAGE_SUFFIXES, Chip, ChipFormat, WrittenChip, files, folders, label_of, value_of

PAIRS = (
    ("images", "labels"),
    ("JPEGImages", "Annotations"),
    ("images", "Annotations"),
    ("images", "annotations"),
)  # folders of images and labels; upper and lower case are two on some systems


class PascalVoc(ChipFormat):
    """Boxes as Pascal VOC stores them."""

    keyword = "PASCAL_VOC_rectangles"
    label = BoxLabel
    suffix = ".xml"

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        return bool(cls(folder).label_files())

    def chips(self) -> list[Chip]:
        found = []
        for images, labels in self._places():
            named = {path.stem: path for path in _annotations(labels)}
            found += [
                Chip(image.stem, image, named.get(image.stem))
                for image in files(images, IMAGE_SUFFIXES)
            ]
        return sorted(found, key=lambda chip: (chip.name, chip.image))

    def label_files(self) -> list[Path]:
        return [path for _, labels in self._places() for path in _annotations(labels)]

    def write(self, chip: WrittenChip) -> Path:
        path = self.folder / "labels" / f"{chip.name}{self.suffix}"
        names = (str(value) for value in chip.label.values.tolist())
        text = xml.annotation(chip.image, chip.shape, zip(names, chip.label.boxes.tolist()))
        path.write_text(text, encoding="utf-8")
        return path

    def read(self, chip: Chip) -> BoxLabel:
        path = label_of(chip)
        found = [
            (xml.box_of(entry, path), value_of(name, self.schema, path, self.defined))
            for name, entry in xml.objects(path)
        ]
        return BoxLabel(
            np.array([box for box, _ in found], np.float32).reshape(-1, 4),
            np.array([value for _, value in found], np.int64),
        )

    def labelled_size(self, chip: Chip) -> tuple[int, int] | None:
        return None if chip.label is None else xml.size_of(chip.label)

    def class_names(self) -> set[str]:
        return {name for path in self.label_files() for name, _ in xml.objects(path)}

    def _places(self) -> list[tuple[Path, Path]]:
        """Return the folders of images, each with that of their labels."""
        pairs = [(self.folder / images, self.folder / labels) for images, labels in PAIRS]
        paired = [pair for pair in pairs if pair[1].is_dir()]
        if paired:
            return paired[:1]
        together = (self.folder, *folders(self.folder), *folders(self.folder / "images"))
        return [(each, each) for each in together if _annotations(each)]


def _annotations(folder: Path) -> list[Path]:
    """Return the label files of a folder; GDAL's own files lie beside images, too."""
    return [each for each in files(folder, (".xml",)) if not each.name.endswith(".aux.xml")]
