"""Export_Tiles and CycleGAN: images without labels, for translation and super-resolution."""

from __future__ import annotations

from pathlib import Path

from ..labels import Label, NoLabel
from . import IMAGE_SUFFIXES, Chip, ChipFormat, files


class ExportTiles(ChipFormat):
    """Images, and those of a second raster beside them in ``images2/``."""

    keyword = "Export_Tiles"
    label = NoLabel
    second_image = "optional"

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        return not (folder / "labels").exists() and bool(files(folder / "images", IMAGE_SUFFIXES))


class CycleGan(ChipFormat):
    """Two folders ``A/`` and ``B/``, each with its own ``images/`` and description."""

    keyword = "CycleGAN"
    label = NoLabel
    second_image = "required"
    sides = ("A", "B")

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        return all(files(folder / side / "images", IMAGE_SUFFIXES) for side in "AB")

    def image_path(self, name: str, suffix: str, label: Label) -> Path:
        return self.folder / "A" / "images" / f"{name}{suffix}"

    def second_path(self, name: str, suffix: str) -> Path:
        return self.folder / "B" / "images" / f"{name}{suffix}"

    def chips(self) -> list[Chip]:
        seconds = {each.stem: each for each in files(self.folder / "B" / "images", IMAGE_SUFFIXES)}
        return [
            Chip(image.stem, image, None, seconds.get(image.stem))
            for image in files(self.folder / "A" / "images", IMAGE_SUFFIXES)
        ]
