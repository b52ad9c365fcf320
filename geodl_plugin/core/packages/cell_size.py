"""The size of a pixel of the images that a model was trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..errors import GeoDLError
from ..geo.crs import spatial_reference

METRES = "cell_size_metres"  # the key of a definition's GeoDL object


def trained_metres(own: Mapping[str, Any]) -> float | None:
    """Return the side of a pixel in metres, ``None`` where nothing tells it.

    Args:
        own: what GeoDL wrote into the definition; packages of old hold map units alone.
    """
    told = own.get(METRES)
    if _is_length(told):
        return float(told)  # type: ignore[arg-type]
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
    return math.sqrt(sizes[0] * sizes[-1]) * reference.GetLinearUnits()


def _is_length(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
