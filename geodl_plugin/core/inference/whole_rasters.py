"""Rasters that are objects themselves: a photo or a chip each, with one class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..geo.crs import transform_points
from ..geo.raster import Raster
from ..geo.shapes import polygon
from ..geo.vector import Feature
from .options import ObjectOptions

RASTER_FIELD = "Raster"  # tells in a layer which raster a feature was found on


class WholeRasters:
    """The footprints of rasters, to be read like the features of a layer.

    They come in the coordinate reference system of the first raster.

    Args:
        options: with the rasters.

    Raises:
        RasterError: when the first raster cannot be opened.
    """

    writable_type = "Polygon"
    definitions = {RASTER_FIELD: str}

    def __init__(self, options: ObjectOptions) -> None:
        self._sources = options.sources
        with Raster.open(options.sources[0]) as first:
            self.crs = first.crs

    @property
    def count(self) -> int:
        """How many rasters there are."""
        return len(self._sources)

    def features(self) -> Iterator[Feature]:
        """Yield the rasters' footprints; the identifier is the place in the list."""
        for number, source in enumerate(self._sources):
            with Raster.open(source) as raster:
                whole = np.array([[0, 0, raster.width, raster.height]])
                corners = raster.geotransform.box_corners(whole)[0]
                shape = polygon(transform_points(corners, raster.crs, self.crs))
            yield Feature(number, shape, {RASTER_FIELD: Path(source).name})
