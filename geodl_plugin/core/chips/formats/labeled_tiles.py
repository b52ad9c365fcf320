"""Labeled_Tiles and MultiLabeled_Tiles: the classes of a whole chip, in an XML file."""

from __future__ import annotations

from pathlib import Path

from ...errors import TrainingDataError
from .. import xml
from ..labels import ClassLabel
from . import Chip, ChipFormat, WrittenChip, files, label_of, value_of


class LabeledTiles(ChipFormat):
    """A chip's class; the box is the chip."""

    keyword = "Labeled_Tiles"
    label = ClassLabel
    per_feature = True
    suffix = ".xml"

    @classmethod
    def stored(cls, label: ClassLabel) -> ClassLabel:
        return ClassLabel(label.values[:1])

    def write(self, chip: WrittenChip) -> Path:
        path = self.folder / "labels" / f"{chip.name}{self.suffix}"
        whole = (self._name(chip.label), (0, 0, chip.shape[2], chip.shape[1]))
        path.write_text(xml.annotation(chip.image, chip.shape, [whole]), encoding="utf-8")
        return path

    def read(self, chip: Chip) -> ClassLabel:
        path = label_of(chip)
        for name, _ in xml.objects(path):
            parts = self._parts(name)
            values = (value_of(part, self.schema, path, self.defined) for part in parts)
            return ClassLabel(tuple(values))
        raise TrainingDataError(f"'{path}' names no class.")

    def class_names(self) -> set[str]:
        labels = files(self.folder / "labels", (self.suffix,))
        return {
            part for path in labels for name, _ in xml.objects(path) for part in self._parts(name)
        }

    def _name(self, label: ClassLabel) -> str:
        return str(label.values[0])

    def _parts(self, name: str) -> list[str]:
        return [name]


class MultiLabeledTiles(LabeledTiles):
    """All classes of a chip, with commas between them."""

    keyword = "MultiLabeled_Tiles"

    @classmethod
    def stored(cls, label: ClassLabel) -> ClassLabel:
        return label

    def _name(self, label: ClassLabel) -> str:
        return ",".join(str(value) for value in label.values)

    def _parts(self, name: str) -> list[str]:
        return [part.strip() for part in name.split(",") if part.strip()]
