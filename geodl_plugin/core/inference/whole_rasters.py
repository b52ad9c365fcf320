"""Rasters that are objects themselves: a photo or a chip each, with one class."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import RasterError
from ..geo.crs import transform_points
from ..geo.raster import Raster
from ..geo.shapes import polygon
from ..geo.vector import Feature, Geometry
from .options import ObjectOptions

RASTER_FIELD = "Raster"  # tells in a layer which raster a feature was found on


class WholeRasters:
    """The footprints of rasters, to be read like the features of a layer.

    They come in the coordinate reference system of the first raster. What cannot be opened has
    none where that is asked for.

    Args:
        options: with the rasters.

    Raises:
        RasterError: when a raster cannot be opened, or none of them.
    """

    writable_type = "Polygon"
    definitions = {RASTER_FIELD: str}
    number_column = ""

    def __init__(self, options: ObjectOptions) -> None:
        self._sources = options.sources
        self._skip = options.skip_unreadable
        with Raster.open(first_readable(options)) as first:
            self.crs = first.crs

    @property
    def count(self) -> int:
        """How many rasters there are."""
        return len(self._sources)

    def features(self) -> Iterator[Feature]:
        """Yield the rasters' footprints; the identifier is the place in the list."""
        for number, source in enumerate(self._sources):
            yield Feature(number, self._footprint(source), {RASTER_FIELD: Path(source).name})

    def _footprint(self, source: str) -> Geometry:
        try:
            with Raster.open(source) as raster:
                whole = np.array([[0, 0, raster.width, raster.height]])
                corners = raster.geotransform.box_corners(whole)[0]
                return polygon(transform_points(corners, raster.crs, self.crs))
        except RasterError:
            if not self._skip:
                raise
            return polygon(np.empty((0, 2)))


def first_readable(options: ObjectOptions) -> str:
    """Return the first raster, or the first that can be opened where others may be skipped.

    Raises:
        RasterError: why the first one cannot be opened, when there is no such raster.
    """
    if options.skip_unreadable:
        for source in options.sources:
            with contextlib.suppress(RasterError):
                Raster.open(source).close()
                return source
    return options.sources[0]
