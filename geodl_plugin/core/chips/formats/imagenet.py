"""Imagenet: the class of a chip is the folder of its image."""

from __future__ import annotations

from pathlib import Path

from ..labels import ClassLabel
from . import IMAGE_SUFFIXES, Chip, ChipFormat, files, folders, value_of

FORBIDDEN = '<>:"/\\|?*'  # in folder names, on one system or another


class Imagenet(ChipFormat):
    """Images in a folder a class, as torchvision's ImageFolder reads them."""

    keyword = "Imagenet"
    label = ClassLabel
    per_feature = True

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        named = folders(folder / "images")
        return not (folder / "labels").exists() and any(
            files(each, IMAGE_SUFFIXES) for each in named
        )

    def image_path(self, name: str, suffix: str, label: ClassLabel) -> Path:
        each = self.schema.by_value(label.values[0])
        folder = self.folder / "images" / folder_name(each.name if each else str(label.values[0]))
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}{suffix}"

    def chips(self) -> list[Chip]:
        found = [
            Chip(image.stem, image, image.parent)
            for folder in self._folders()
            for image in files(folder, IMAGE_SUFFIXES)
        ]
        return sorted(found, key=lambda chip: (chip.name, chip.image))

    def read(self, chip: Chip) -> ClassLabel:
        name = chip.image.parent.name
        for each in self.schema.classes:
            if folder_name(each.name) == name:
                return ClassLabel((each.value,))
        return ClassLabel((value_of(name, self.schema, chip.image),))

    def class_names(self) -> set[str]:
        return {folder.name for folder in self._folders()}

    def _folders(self) -> list[Path]:
        return folders(self.folder / "images")


def folder_name(name: str) -> str:
    """Return a class name as every system takes it for a folder."""
    safe = "".join("_" if letter in FORBIDDEN or ord(letter) < 32 else letter for letter in name)
    return safe.strip(". ") or "_"
