"""Classified_Tiles: a class value for every pixel, in one raster a chip."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...geo.grid import GeoTransform
from ...geo.raster import Raster
from ...geo.raster_writer import write_chip
from ...samples.schema import Schema
from ..labels import MaskLabel
from . import ChipFormat


class ClassifiedTiles(ChipFormat):
    """Masks of class values; 0 is background or no data."""

    keyword = "Classified_Tiles"
    suffix = ".tif"
    label = MaskLabel

    def write(
        self,
        path: Path,
        label: MaskLabel,
        image: Path,
        shape: tuple[int, int, int],
        geotransform: GeoTransform,
        crs: str,
    ) -> None:
        kind = np.uint8 if label.values.max(initial=0) < 256 else np.uint16
        write_chip(path, label.values.astype(kind)[np.newaxis], geotransform, crs)

    def read(self, path: Path, schema: Schema) -> MaskLabel:
        with Raster.open(path) as raster:
            return MaskLabel(raster.read(raster.window, [0]).pixels[0].astype(np.int64))
