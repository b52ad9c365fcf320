"""Lengths of pixels in metres."""

from __future__ import annotations

import math

import numpy as np

from .raster import Raster
from .vector import spatial_reference

METRES_PER_DEGREE = 111_320.0


def metres_per_pixel(raster: Raster) -> float | None:
    """Return the side of a raster's pixels in metres at its centre, if its system is known."""
    if not raster.crs:
        return None
    reference = spatial_reference(raster.crs)
    across, down = raster.geotransform.cell_size()
    if not reference.IsGeographic():
        return math.sqrt(across * down) * reference.GetLinearUnits()
    centre = np.array([[raster.width / 2, raster.height / 2]])
    latitude = float(raster.geotransform.to_map(centre)[0, 1])
    shrink = max(math.cos(math.radians(latitude)), 0.01)
    return math.sqrt(across * shrink * down) * METRES_PER_DEGREE
