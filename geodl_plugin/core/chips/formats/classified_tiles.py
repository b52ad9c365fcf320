"""Classified_Tiles: a class value for every pixel, in one raster a chip."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...geo.raster import Raster
from ...geo.raster_writer import write_chip
from ..labels import MaskLabel
from . import Chip, ChipFormat, WrittenChip, files, folders, label_of


class ClassifiedTiles(ChipFormat):
    """Masks of class values; 0 is background or no data. A second raster makes pairs."""

    keyword = "Classified_Tiles"
    label = MaskLabel
    second_image = "optional"
    suffix = ".tif"

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        return bool(files(folder / "labels", (cls.suffix,))) and not folders(folder / "labels2")

    def write(self, chip: WrittenChip) -> Path:
        path = self.folder / "labels" / f"{chip.name}{self.suffix}"
        write_mask(path, chip.label.values[np.newaxis], chip)
        return path

    def read(self, chip: Chip) -> MaskLabel:
        return MaskLabel(read_mask(label_of(chip))[0])


def write_mask(path: Path, values: np.ndarray, chip: WrittenChip) -> None:
    """Write values ``(bands, rows, cols)`` as the smallest unsigned type that holds them."""
    kind = np.uint8 if values.max(initial=0) < 256 else np.uint16
    path.parent.mkdir(parents=True, exist_ok=True)
    write_chip(path, values.astype(kind), chip.geotransform, chip.crs)


def read_mask(path: Path) -> np.ndarray:
    """Read the values ``(bands, rows, cols)`` of a mask."""
    with Raster.open(path) as raster:
        return raster.read(raster.window).pixels.astype(np.int64)
