"""RCNN_Masks: the pixels of every object, in one raster a chip and class.

A pixel is the number of its object, 0 is background; where objects overlap the raster has
several bands. A class folder holds only the chips that contain the class.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import TrainingDataError
from ..images import open_image
from ..labels import InstanceLabel
from . import Chip, ChipFormat, WrittenChip, files, folders
from .classified_tiles import MASK_SUFFIXES, read_mask, write_mask
from .imagenet import folder_names, value_of_folder


class RcnnMasks(ChipFormat):
    """Instance masks by class."""

    keyword = "RCNN_Masks"
    label = InstanceLabel
    suffix = ".tif"
    others = MASK_SUFFIXES
    labels = "labels"  # name of the folder of the class folders

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        return bool(RcnnMasks.label_files(cls(folder)))

    def write(self, chip: WrittenChip) -> Path:
        return self.write_instances(chip, chip.label)

    def write_instances(self, chip: WrittenChip, label: InstanceLabel) -> Path:
        """Write the objects of a chip and return the file that ``map.txt`` names."""
        written = []
        for each in self.schema.classes:
            masks = label.masks[label.values == each.value]
            if len(masks):
                folder = self.folder / self.labels / folder_names(self.schema)[each.value]
                path = folder / f"{chip.name}{self.suffix}"
                write_mask(path, numbered(masks), chip)
                written.append(path)
        return written[0] if written else self.folder / self.labels / f"{chip.name}{self.suffix}"

    def chips(self) -> list[Chip]:
        folder = self.folder / self.labels
        return [
            Chip(chip.name, chip.image, folder if folder.is_dir() else None, chip.second)
            for chip in super().chips()
        ]

    def label_files(self) -> list[Path]:
        suffixes = (self.suffix, *self.others)
        return [path for folder in self._folders() for path in files(folder, suffixes)]

    def read(self, chip: Chip) -> InstanceLabel:
        return self.read_instances(chip)

    def read_instances(self, chip: Chip) -> InstanceLabel:
        """Read the objects of a chip, class by class."""
        masks, values = [], []
        for folder in self._folders():
            names = (f"{chip.name}{suffix}" for suffix in (self.suffix, *self.others))
            path = next((folder / name for name in names if (folder / name).is_file()), None)
            if path is None:
                continue
            value = value_of_folder(folder.name, self.schema, folder)
            for band in read_mask(path):
                for number in np.unique(band[band > 0]):
                    masks.append(band == number)
                    values.append(value)
        if not masks:
            with open_image(chip.image) as image:
                return InstanceLabel(np.zeros(0, np.int64), (image.height, image.width))
        if len({mask.shape for mask in masks}) > 1:
            raise TrainingDataError(f"The masks of '{chip.image}' have different sizes.")
        return InstanceLabel.of_masks(np.stack(masks), np.array(values, np.int64))

    def class_names(self) -> set[str]:
        return {folder.name for folder in self._folders()}

    def _folders(self) -> list[Path]:
        return folders(self.folder / self.labels)


def numbered(masks: np.ndarray) -> np.ndarray:
    """Return object numbers ``(bands, rows, cols)`` of masks ``(n, rows, cols)``.

    Objects that overlap go to different bands, so that none hides another.
    """
    bands: list[np.ndarray] = []
    for number, mask in enumerate(masks, 1):
        free = next((band for band in bands if not band[mask].any()), None)
        if free is None:
            free = np.zeros(masks.shape[1:], np.int64)
            bands.append(free)
        free[mask] = number
    return np.stack(bands)
