"""The cell size of a model's training images in centimetres."""

from __future__ import annotations

import math

from ..errors import GeoDLError
from ..geo.crs import spatial_reference
from ..packages.definition import ModelDefinition


def centimetres(definition: ModelDefinition) -> float | None:
    """Return the side of a pixel in centimetres; none where the unit is not a length."""
    own = definition.geodl
    sizes, crs = own.get("cell_size"), own.get("crs")
    usable = isinstance(sizes, list) and sizes and all(_is_length(each) for each in sizes)
    if not usable or not isinstance(crs, str) or not crs:
        return None
    try:
        reference = spatial_reference(crs)
    except GeoDLError:
        return None
    if not reference.IsProjected():
        return None
    side = math.sqrt(sizes[0] * sizes[-1])
    return round(100 * side * reference.GetLinearUnits(), 6)


def _is_length(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
