"""Imagenet: the class of a chip is the folder of its image."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from pathlib import Path

from ...places import is_reserved
from ...samples.schema import Schema
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

    @classmethod
    def stored(cls, label: ClassLabel) -> ClassLabel:
        return ClassLabel(label.values[:1])

    def image_path(self, name: str, suffix: str, label: ClassLabel) -> Path:
        value = label.values[0]
        own = folder_names(self.schema).get(value) or folder_name(str(value))
        folder = self.folder / "images" / own
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
        return ClassLabel((value_of_folder(chip.image.parent.name, self.schema, chip.image),))

    def class_names(self) -> set[str]:
        return {folder.name for folder in self._folders()}

    def _folders(self) -> list[Path]:
        return folders(self.folder / "images")


def value_of_folder(name: str, schema: Schema, where: Path) -> int:
    """Return the class value that a folder names; raise as :func:`value_of` does."""
    for value, known in folder_names(schema).items():
        if known == name:
            return value
    return value_of(name, schema, where)


@functools.lru_cache(maxsize=8)
def folder_names(schema: Schema) -> Mapping[int, str]:
    """Return the folder of each class by its value, another one for every class.

    Names that become the same folder, on a system without upper and lower case too, are
    numbered from 2 in the order of the values; those that need no change come first.
    """
    found: dict[int, str] = {}
    taken: set[str] = set()
    for each in sorted(schema.classes, key=lambda each: folder_name(each.name) != each.name):
        plain = folder_name(each.name)
        choices = itertools.chain([plain], (f"{plain}_{number}" for number in itertools.count(2)))
        found[each.value] = next(name for name in choices if name.casefold() not in taken)
        taken.add(found[each.value].casefold())
    return found


def folder_name(name: str) -> str:
    """Return a class name as every system takes it for a folder."""
    safe = "".join("_" if letter in FORBIDDEN or ord(letter) < 32 else letter for letter in name)
    safe = safe.strip(". ") or "_"
    return f"_{safe}" if is_reserved(safe) else safe
