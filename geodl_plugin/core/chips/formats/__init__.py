"""Training-data formats: writer and reader of each in one file.

A new format is one file here with a subclass of :class:`ChipFormat`; dialogs, errors and
readers find it through :func:`chip_format` and :func:`keywords`.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from ...errors import InputError
from ...geo.grid import GeoTransform
from ...samples.schema import Schema
from ..labels import Label


class ChipFormat:
    """A way to store the labels of chips; the base of the formats.

    Attributes:
        keyword: the format's name in ArcGIS.
        suffix: of the label files.
        label: the kind of label it stores.
        per_feature: whether a stride of 0 makes one chip per feature.
    """

    keyword = ""
    suffix = ""
    label: type[Label]
    per_feature = False

    def write(
        self,
        path: Path,
        label: Label,
        image: Path,
        shape: tuple[int, int, int],
        geotransform: GeoTransform,
        crs: str,
    ) -> None:
        """Write the label of an image.

        Args:
            path: of the label file.
            label: of the kind :attr:`label`.
            image: the chip's image file.
            shape: bands, rows and columns of the image.
            geotransform, crs: of the image.
        """

    def read(self, path: Path, schema: Schema) -> Label:
        """Read a label file; raise :class:`TrainingDataError` when it is damaged."""
        raise InputError(f"Chips in the format '{self.keyword}' have no labels to read.")

    def class_names(self, path: Path) -> set[str]:
        """Return the classes that a label file names, for folders without a definition."""
        return set()


def _formats() -> dict[str, ChipFormat]:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return {each.keyword: each() for each in _subclasses(ChipFormat) if each.keyword}


def _subclasses(parent: type[ChipFormat]) -> list[type[ChipFormat]]:
    return [each for child in parent.__subclasses__() for each in (child, *_subclasses(child))]


def keywords() -> list[str]:
    """Return the names of all formats, sorted."""
    return sorted(_formats())


def chip_format(keyword: str) -> ChipFormat:
    """Return the format of this name; raise :class:`InputError` with those that there are."""
    formats = _formats()
    if keyword not in formats:
        raise InputError(
            f"There is no training-data format '{keyword}'. "
            f"Choose one of: {', '.join(sorted(formats))}."
        )
    return formats[keyword]
