"""Panoptic_Segmentation: a class for every pixel, and the objects among them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..labels import MaskLabel, PanopticLabel
from . import Chip, ChipFormat, WrittenChip, label_of
from .classified_tiles import read_classes, write_mask
from .rcnn_masks import RcnnMasks


class Panoptic(RcnnMasks):
    """``labels/`` as Classified_Tiles, ``labels2/<class>/`` as RCNN_Masks."""

    keyword = "Panoptic_Segmentation"
    label = PanopticLabel
    labels = "labels2"

    def write(self, chip: WrittenChip) -> Path:
        path = self.folder / "labels" / f"{chip.name}{self.suffix}"
        write_mask(path, chip.label.mask.values[np.newaxis], chip)
        self.write_instances(chip, chip.label.instances)
        return path

    def chips(self) -> list[Chip]:
        return ChipFormat.chips(self)

    def label_files(self) -> list[Path]:
        return ChipFormat.label_files(self) + super().label_files()

    def read(self, chip: Chip) -> PanopticLabel:
        mask = MaskLabel(read_classes(label_of(chip)))
        return PanopticLabel(mask, self.read_instances(chip))
