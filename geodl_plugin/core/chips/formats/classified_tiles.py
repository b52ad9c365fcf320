"""Classified_Tiles: a class value for every pixel, in one raster a chip."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from ...errors import RasterError, TrainingDataError
from ...geo.raster_writer import write_chip
from ..images import open_image
from ..labels import UNLABELLED, MaskLabel
from . import Chip, ChipFormat, WrittenChip, files, folders, label_of

MASK_SUFFIXES = (".tiff", ".png", ".mrf")


class ClassifiedTiles(ChipFormat):
    """Masks of class values; 0 is background or no label. A second raster makes pairs."""

    keyword = "Classified_Tiles"
    label = MaskLabel
    second_image = "optional"
    suffix = ".tif"
    others = MASK_SUFFIXES

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        # Other programs put pictures of all kinds beside their labels: masks belong to an image.
        masks = files(folder / "labels", (cls.suffix,)) or [
            chip for chip in cls(folder).chips() if chip.label is not None
        ]
        return bool(masks) and not folders(folder / "labels2")

    def write(self, chip: WrittenChip) -> Path:
        path = self.folder / "labels" / f"{chip.name}{self.suffix}"
        write_mask(path, chip.label.values[np.newaxis], chip)
        return path

    def read(self, chip: Chip) -> MaskLabel:
        return MaskLabel(read_classes(label_of(chip)))

    def class_names(self) -> set[str]:
        found: set[int] = set()
        for path in self.label_files():
            with contextlib.suppress(RasterError):  # told where the chip is read
                found.update(MaskLabel(read_classes(path)).classes)
        return {str(value) for value in found}


def write_mask(path: Path, values: np.ndarray, chip: WrittenChip) -> None:
    """Write values ``(bands, rows, cols)`` as the smallest unsigned type that holds them."""
    kind = np.uint8 if values.max(initial=0) < 256 else np.uint16
    path.parent.mkdir(parents=True, exist_ok=True)
    write_chip(path, values.astype(kind), chip.geotransform, chip.crs)


def read_classes(path: Path) -> np.ndarray:
    """Read the class values ``(rows, cols)`` of a mask.

    Where it has a no-data value, these pixels are :data:`.labels.UNLABELLED`: taken for 0 they
    would be taught as background.

    Raises:
        TrainingDataError: when it is a picture of colours.
    """
    with open_image(path) as raster:
        block, nodata = raster.read(raster.window), raster.nodata
    bands = block.pixels.astype(np.int64)
    if len(bands) > 1:
        raise TrainingDataError(
            f"The label '{path}' has {len(bands)} bands. Give it one, whose pixels are the values "
            "of the classes."
        )
    if nodata:
        bands[:, ~block.valid] = UNLABELLED
    return bands[0]


def read_mask(path: Path) -> np.ndarray:
    """Read the values ``(bands, rows, cols)`` of a mask."""
    with open_image(path) as raster:
        return raster.read(raster.window).pixels.astype(np.int64)
