"""Lengths and areas of pixels in metres."""

from __future__ import annotations

import math

import numpy as np

from .crs import spatial_reference
from .raster import Raster

METRES_PER_DEGREE = 111_320.0
SQUARE_METRES_PER_HECTARE = 10_000.0


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


def row_areas(raster: Raster) -> tuple[np.ndarray, str]:
    """Return the area of a pixel of each row ``(height,)``, and its unit.

    Hectares where the system is known: on the ellipsoid for degrees, in the map's plane for
    projected systems. Else the unit is the pixel.
    """
    if not raster.crs:
        return np.ones(raster.height), "pixels"
    reference = spatial_reference(raster.crs)
    plane = raster.geotransform.cell_area()
    if not reference.IsGeographic():
        area = plane * reference.GetLinearUnits() ** 2
        return np.full(raster.height, area / SQUARE_METRES_PER_HECTARE), "ha"
    rows = np.arange(raster.height) + 0.5
    centres = np.column_stack([np.full(raster.height, raster.width / 2), rows])
    latitude = np.radians(raster.geotransform.to_map(centres)[:, 1])
    axis, flattening = reference.GetSemiMajor(), 1 / (reference.GetInvFlattening() or np.inf)
    eccentricity = flattening * (2 - flattening)  # squared
    bend = 1 - eccentricity * np.sin(latitude) ** 2
    # The radii of curvature along the meridian and across it; their product is the scale.
    square_radian = axis**2 * (1 - eccentricity) / bend**2 * np.cos(latitude)
    area = plane * reference.GetAngularUnits() ** 2 * square_radian
    return area / SQUARE_METRES_PER_HECTARE, "ha"
