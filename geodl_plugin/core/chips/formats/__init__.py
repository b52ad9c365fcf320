"""Training-data formats: writer and reader of each in one file.

A new format is one file here with a subclass of :class:`ChipFormat`; dialogs, errors and
readers find it through :func:`chip_format` and :func:`keywords`.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ...errors import InputError, TrainingDataError, UnknownClassError
from ...geo.grid import GeoTransform
from ...samples.schema import Schema
from ..labels import Label, NoLabel

IMAGE_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".mrf", ".bmp", ".webp", ".jp2")


@dataclass(frozen=True)
class Chip:
    """An image and where its label lies.

    Attributes:
        name: without folder and suffix.
        image: the file.
        label: the file or folder of the label, ``None`` when there is none.
        second: a second image of the same place, of the formats that have one.
    """

    name: str
    image: Path
    label: Path | None = None
    second: Path | None = None


@dataclass(frozen=True)
class WrittenChip:
    """A chip whose image lies in its place and whose label is to be written.

    Attributes:
        name: without folder and suffix.
        image: the file.
        label: of the format's kind.
        shape: bands, rows and columns of the image.
        geotransform, crs: of the image.
    """

    name: str
    image: Path
    label: Label
    shape: tuple[int, int, int]
    geotransform: GeoTransform
    crs: str


class ChipFormat:
    """A way to store labelled chips in a folder; the base of the formats.

    Attributes:
        keyword: the format's name, that of ArcGIS where it has the format.
        label: the kind of label it stores.
        per_feature: whether a stride of 0 makes one chip a feature.
        second_image: "", "optional" or "required": a second raster's chips.
        suffix: of the label files.
        others: further suffixes that label files of other programs have.
        sides: folders inside the folder that describe themselves, too.

    Args:
        folder: that is written or read.
        schema: its classes.
        defined: whether a definition in the folder gives them; labels have values then.
    """

    keyword: ClassVar[str] = ""
    label: ClassVar[type[Label]] = NoLabel
    per_feature: ClassVar[bool] = False
    second_image: ClassVar[str] = ""
    suffix: ClassVar[str] = ""
    others: ClassVar[tuple[str, ...]] = ()
    sides: ClassVar[tuple[str, ...]] = ()

    def __init__(self, folder: Path, schema: Schema | None = None, defined: bool = False) -> None:
        self.folder = folder
        self.schema = schema or Schema(())
        self.defined = defined

    @classmethod
    def recognises(cls, folder: Path) -> bool:  # noqa: ARG003
        """Return whether a folder without a description has this format, by its layout."""
        return False

    # Writing

    @classmethod
    def stored(cls, label: Label) -> Label:
        """Return what the format stores of a label."""
        return label

    def image_path(self, name: str, suffix: str, label: Label) -> Path:
        """Return where the image of a chip goes."""
        return self.folder / "images" / f"{name}{suffix}"

    def second_path(self, name: str, suffix: str) -> Path:
        """Return where the second image of a chip goes."""
        return self.folder / "images2" / f"{name}{suffix}"

    def write(self, chip: WrittenChip) -> Path | None:
        """Write the label of a chip and return its file for ``map.txt``."""
        return None

    def finish(self) -> None:
        """Write what belongs to all chips."""

    # Reading

    def chips(self) -> list[Chip]:
        """Return the chips of the folder, sorted by name."""
        labels = {path.stem: path for path in ChipFormat.label_files(self)}
        seconds = {path.stem: path for path in files(self.folder / "images2", IMAGE_SUFFIXES)}
        return [
            Chip(image.stem, image, labels.get(image.stem), seconds.get(image.stem))
            for image in files(self.folder / "images", IMAGE_SUFFIXES)
        ]

    def label_files(self) -> list[Path]:
        """Return the files that label a chip each by their name, sorted."""
        suffixes = (self.suffix, *self.others)
        return files(self.folder / "labels", suffixes) if self.suffix else []

    def read(self, chip: Chip) -> Label:
        """Read the label of a chip; raise :class:`TrainingDataError` when it is damaged."""
        return NoLabel()

    def labelled_size(self, chip: Chip) -> tuple[int, int] | None:
        """Return rows and columns of the image that was labelled, where its label tells them."""
        return None

    def class_names(self) -> set[str]:
        """Return the classes that the labels name, for folders without a definition."""
        return set()


def files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files of a folder with one of the suffixes, sorted; none without the folder."""
    return [each for each in _visible(folder) if each.suffix.lower() in suffixes]


def folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted; none without the folder."""
    return [each for each in _visible(folder) if each.is_dir()]


def is_hidden(name: str) -> bool:
    """Return whether a file is none of the user's: macOS leaves a "._a.png" beside an "a.png"."""
    return name.startswith(".")


def _visible(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(each for each in folder.iterdir() if not is_hidden(each.name))


def label_of(chip: Chip) -> Path:
    """Return the label of a chip; raise :class:`TrainingDataError` when it has none."""
    if chip.label is None:
        raise TrainingDataError(f"'{chip.image}' has no label. Remove it or add the label.")
    return chip.label


def value_of(name: str, schema: Schema, where: Path, values_first: bool = False) -> int:
    """Return the class value that a label names by value or by name.

    Args:
        name: what the label says.
        schema: the classes of the folder.
        where: the label, for the message.
        values_first: take a number for a value even where it is a class's name, too.

    Raises:
        TrainingDataError: when the folder has no such class.
    """
    number = int(name) if name.removeprefix("-").isdecimal() else None
    named = schema.by_name(name)
    numbered = None if number is None else schema.by_value(number)
    known = (numbered or named) if values_first else (named or numbered)
    if known is None:
        raise UnknownClassError(
            f"'{where}' has the class '{name}', which the folder does not know. "
            f"Its classes are: {schema}."
        )
    return known.value


def _subclasses(parent: type[ChipFormat]) -> Iterator[type[ChipFormat]]:
    for child in parent.__subclasses__():
        yield child
        yield from _subclasses(child)


@functools.cache
def _formats() -> dict[str, type[ChipFormat]]:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return {each.keyword: each for each in _subclasses(ChipFormat) if each.keyword}


def keywords() -> list[str]:
    """Return the names of all formats, sorted."""
    return sorted(_formats())


def recognise(folder: Path) -> type[ChipFormat] | None:
    """Return the format of a folder that no description explains, if its layout tells."""
    # Images without labels are what is left when no other format knows the labels.
    formats = sorted(_formats().values(), key=lambda each: (each.label is NoLabel, each.keyword))
    return next((each for each in formats if each.recognises(folder)), None)


def chip_format(keyword: str) -> type[ChipFormat]:
    """Return the format of this name; raise :class:`InputError` with those that there are."""
    formats = _formats()
    if keyword not in formats:
        raise InputError(
            f"There is no training-data format '{keyword}'. "
            f"Choose one of: {', '.join(sorted(formats))}."
        )
    return formats[keyword]
