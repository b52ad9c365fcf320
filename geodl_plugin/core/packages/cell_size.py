"""The size of a pixel of the images that a model was trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..errors import GeoDLError
from ..geo.crs import spatial_reference

ALIKE = 2.0  # times the smallest of a model's cell sizes that the largest one may be
METRES = "cell_size_metres"  # the key of a definition's GeoDL object


def trained_metres(own: Mapping[str, Any]) -> float | None:
    """Return the side of a pixel in metres, ``None`` where nothing tells it.

    Args:
        own: what GeoDL wrote into the definition; packages of old hold map units alone.
    """
    told = own.get(METRES)
    if is_length(told):
        return float(told)  # type: ignore[arg-type]
    sizes, crs = own.get("cell_size"), own.get("crs")
    usable = isinstance(sizes, list) and sizes and all(is_length(each) for each in sizes)
    if not usable or not isinstance(crs, str) or not crs:
        return None
    try:
        reference = spatial_reference(crs)
    except GeoDLError:
        return None
    if not reference.IsProjected():
        return None
    return math.sqrt(sizes[0] * sizes[-1]) * reference.GetLinearUnits()


def told_metres(definition: Mapping[str, Any]) -> float | None:
    """Return the side of a pixel in metres, between the two sizes that ArcGIS writes.

    Args:
        definition: with ``MinCellSize`` and ``MaxCellSize``, which name their system. A model
            of very different sizes knows them all: ``None``.
    """
    sides = []
    for key in ("MinCellSize", "MaxCellSize"):
        size = definition.get(key)
        if not isinstance(size, dict) or not all(is_length(size.get(axis)) for axis in "xy"):
            return None
        unit = _metres_of(size.get("spatialReference"))
        if unit is None:
            return None
        sides += [size["x"] * unit, size["y"] * unit]
    alike = max(sides) <= ALIKE * min(sides)
    return math.prod(sides) ** (1 / len(sides)) if alike else None


def _metres_of(system: Any) -> float | None:
    """Return the unit of a projected system that ArcGIS tells by its number, in metres."""
    told = system if isinstance(system, dict) else {}
    number = told.get("latestWkid") or told.get("wkid")
    try:
        reference = spatial_reference(f"EPSG:{int(number)}")  # type: ignore[arg-type]
    except (GeoDLError, TypeError, ValueError):
        return None
    return reference.GetLinearUnits() if reference.IsProjected() else None


def is_length(value: object) -> bool:
    """Return whether a value of JSON is a length."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf
