"""PASCAL_VOC_rectangles: boxes in one XML file a chip.

Everingham et al. 2010, "The PASCAL Visual Object Classes Challenge", as ArcGIS writes it:
the name is the class value, coordinates have two decimals.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .. import xml
from ..labels import BoxLabel
from . import Chip, ChipFormat, WrittenChip, files, label_of, value_of


class PascalVoc(ChipFormat):
    """Boxes as Pascal VOC stores them."""

    keyword = "PASCAL_VOC_rectangles"
    label = BoxLabel
    suffix = ".xml"

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        return bool(files(folder / "labels", (cls.suffix,)))

    def write(self, chip: WrittenChip) -> Path:
        path = self.folder / "labels" / f"{chip.name}{self.suffix}"
        names = (str(value) for value in chip.label.values.tolist())
        text = xml.annotation(chip.image, chip.shape, zip(names, chip.label.boxes.tolist()))
        path.write_text(text, encoding="utf-8")
        return path

    def read(self, chip: Chip) -> BoxLabel:
        path = label_of(chip)
        found = [
            (xml.box_of(entry, path), value_of(name, self.schema, path))
            for name, entry in xml.objects(path)
        ]
        return BoxLabel(
            np.array([box for box, _ in found], np.float32).reshape(-1, 4),
            np.array([value for _, value in found], np.int64),
        )

    def class_names(self) -> set[str]:
        labels = files(self.folder / "labels", (self.suffix,))
        return {name for path in labels for name, _ in xml.objects(path)}
