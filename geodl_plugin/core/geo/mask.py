"""Polygons that limit the work, asked window by window."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..errors import OutsideError
from .crs import Bounds
from .grid import Window
from .raster import Raster
from .raster_pool import RasterPool
from .rasterize import burn
from .shapes import window_bounds
from .vector import Feature, VectorReader


class PolygonMask:
    """The polygons of a layer on the grid of a raster; one per thread.

    Args:
        path, layer: of the polygons, in any coordinate reference system.
        raster: whose grid counts.
        area: the part of it that counts; default the whole.

    Raises:
        OutsideError: when no polygon meets the raster, or its part.
    """

    def __init__(
        self,
        path: str,
        layer: str | None,
        raster: Raster | RasterPool,
        area: Window | None = None,
    ) -> None:
        self._reader = VectorReader(path, layer or None)
        self._geotransform = raster.geotransform
        self._crs = raster.crs
        if not self._meets(raster.window):
            raise OutsideError(
                f"The mask '{self._reader.name}' lies outside of '{raster.name}'. "
                "Choose polygons that meet the raster."
            )
        if area is not None and not self._meets(area):
            raise OutsideError(
                f"The mask '{self._reader.name}' lies outside of the extent on '{raster.name}'. "
                "Choose polygons that meet the extent, or leave one of the two out."
            )

    def inside(self, window: Window) -> np.ndarray:
        """Return where the pixels' centres lie in a polygon, as ``(rows, cols)`` of ``bool``."""
        place = self._geotransform.of_window(window)
        bounds = window_bounds(window, self._geotransform)
        shapes = [(feature.geometry, 1) for feature in self._features(bounds)]
        if not shapes:
            return np.zeros((window.height, window.width), bool)
        return burn(shapes, (window.height, window.width), place, crs=self._crs) > 0

    def _meets(self, window: Window) -> bool:
        bounds = window_bounds(window, self._geotransform)
        return next(self._features(bounds), None) is not None

    def _features(self, bounds: Bounds) -> Iterator[Feature]:
        return self._reader.features(bounds, self._crs, [], around=bounds)
