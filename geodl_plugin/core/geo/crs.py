"""Coordinate reference systems and the transformations between them."""

from __future__ import annotations

import numpy as np
from osgeo import osr

from ..errors import VectorError
from .gdal_calls import attempt

Bounds = tuple[float, float, float, float]


def spatial_reference(crs: str) -> osr.SpatialReference:
    """Return OSR's object of a coordinate reference system, x before y.

    Raises:
        VectorError: when the text names none.
    """
    reference = osr.SpatialReference()
    if attempt(reference.SetFromUserInput, crs) != 0:
        raise VectorError(f"'{crs[:60]}' is no coordinate reference system.")
    reference.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    return reference


def same_crs(one: str, other: str) -> bool:
    """Return whether two coordinate reference systems are the same; unknown equals any."""
    if not one or not other or one == other:
        return True
    first, second = spatial_reference(one), spatial_reference(other)
    if first.IsSame(second):
        return True
    # Some programs write what EPSG counts from north to east as east and north: coordinates
    # of data have x before y in both. The order is no part of this form.
    return _without_order(first) == _without_order(second) != ""


def _without_order(reference: osr.SpatialReference) -> str:
    return attempt(reference.ExportToWkt, ["FORMAT=WKT1_ESRI"]) or ""


def crs_name(crs: str) -> str:
    """Return the name of a coordinate reference system as people know it."""
    return str(spatial_reference(crs).GetName() or "unnamed")


def unit_name(crs: str) -> str:
    """Return the unit of a system's coordinates, "metre" or "degree" for example; "" if unknown."""
    if not crs:
        return ""
    reference = spatial_reference(crs)
    if reference.IsGeographic():
        return str(reference.GetAngularUnitsName() or "").lower()
    return str(reference.GetLinearUnitsName() or "")


def transformation(source: str, target: str) -> osr.CoordinateTransformation | None:
    """Return the transformation between two systems, or ``None`` when nothing is to be done."""
    if same_crs(source, target):
        return None
    transform = attempt(
        osr.CoordinateTransformation, spatial_reference(source), spatial_reference(target)
    )
    # Without exceptions GDAL answers with an object that holds nothing.
    if transform is None or getattr(transform, "this", None) is None:
        raise VectorError(
            "There is no transformation between the coordinate reference systems of the labels "
            "and the raster. Reproject the layer first."
        )
    return transform


def transform_points(points: np.ndarray, source: str, target: str) -> np.ndarray:
    """Return points ``(n, 2)`` in ``target``; infinite where there is no such place."""
    transform = transformation(source, target)
    if transform is None:
        return points
    return np.array(transform.TransformPoints(points.tolist()))[:, :2]


def transform_bounds(bounds: Bounds, source: str, target: str) -> Bounds:
    """Return the bounds, in ``target``, of ``bounds`` in ``source``; edges are densified."""
    return bounds_through(bounds, transformation(source, target))


def bounds_through(bounds: Bounds, transform: osr.CoordinateTransformation | None) -> Bounds:
    """Return the bounds of transformed ``bounds``, whose edges are densified."""
    if transform is None:
        return bounds
    xmin, ymin, xmax, ymax = bounds
    ratios = np.linspace(0, 1, 21)
    edge = [
        *((xmin + (xmax - xmin) * t, y) for t in ratios for y in (ymin, ymax)),
        *((x, ymin + (ymax - ymin) * t) for t in ratios for x in (xmin, xmax)),
    ]
    points = np.array(transform.TransformPoints(edge))[:, :2]
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        raise VectorError("The layer lies outside the area of the coordinate reference system.")
    (xmin, ymin), (xmax, ymax) = points.min(axis=0), points.max(axis=0)
    return float(xmin), float(ymin), float(xmax), float(ymax)
