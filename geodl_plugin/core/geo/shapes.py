"""Geometries: repair, pixel space, rectangles."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

import numpy as np
from osgeo import ogr

from .crs import Bounds
from .gdal_calls import attempt
from .grid import GeoTransform, Window

# What two shapes share where they only touch.
_WITHOUT_AREA = (ogr.wkbPoint, ogr.wkbMultiPoint, ogr.wkbLineString, ogr.wkbMultiLineString)


def repaired(geometry: ogr.Geometry) -> ogr.Geometry | None:
    """Return a valid geometry of the same shape, ``None`` when nothing is left of it.

    Of areas the spikes go, of collections what is no area where there is one.
    """
    if attempt(geometry.IsValid):
        return solid(geometry)
    made = valid(geometry)
    return None if made is None or made.IsEmpty() else solid(made)


def valid(geometry: ogr.Geometry) -> ogr.Geometry | None:
    """Return a geometry made valid: what its rings enclose, less its holes, all parts joined."""
    # By its lines, GDAL's default, a hole along the rim is filled, and what lies in two parts is
    # none. GDAL knows the other way from 3.4 on, with GEOS from 3.10 on.
    with contextlib.suppress(TypeError):
        made = attempt(geometry.MakeValid, ["METHOD=STRUCTURE", "KEEP_COLLAPSED=YES"])
        if made is not None:
            return made
    return attempt(geometry.MakeValid)


def solid(geometry: ogr.Geometry) -> ogr.Geometry:
    """Return only the areas of a collection that has areas; other geometries as they are.

    Beside areas lie lines and points where a shape is repaired, or touches what it is cut with.
    """
    if ogr.GT_Flatten(geometry.GetGeometryType()) != ogr.wkbGeometryCollection:
        return geometry
    areas = polygons_of(geometry)
    if len(areas) < 2:
        return areas[0] if areas else geometry
    return _several(areas)


def together(shapes: Iterable[ogr.Geometry]) -> ogr.Geometry | None:
    """Return the polygons in some shapes joined to one, ``None`` when there are none."""
    # One by one takes the square of their number, and what is not valid is not joined.
    areas = _several(area for shape in shapes for area in polygons_of(repaired(straight(shape))))
    return None if areas.IsEmpty() else attempt(areas.UnionCascaded) or areas.Buffer(0)


def _several(polygons: Iterable[ogr.Geometry]) -> ogr.Geometry:
    several = ogr.Geometry(ogr.wkbMultiPolygon)
    for each in polygons:
        several.AddGeometry(each)
    return several


def area_of(geometry: ogr.Geometry | None) -> float:
    """Return the area of a shape: 0 of nothing, of points and of lines, of which GDAL warns."""
    if geometry is None or ogr.GT_Flatten(geometry.GetGeometryType()) in _WITHOUT_AREA:
        return 0.0
    return float(geometry.GetArea())


def polygons_of(geometry: ogr.Geometry | None) -> list[ogr.Geometry]:
    """Return the polygons that a geometry consists of, without arcs; lines and points are left."""
    if geometry is None:
        return []
    if ogr.GT_IsSubClassOf(ogr.GT_Flatten(geometry.GetGeometryType()), ogr.wkbGeometryCollection):
        parts = (geometry.GetGeometryRef(index) for index in range(geometry.GetGeometryCount()))
        return [polygon for part in parts for polygon in polygons_of(part)]
    # A part is gone with its whole.
    return [straight(geometry).Clone()] if geometry.GetDimension() == 2 else []


def straight(geometry: ogr.Geometry) -> ogr.Geometry:
    """Return a geometry whose arcs are short straight lines; itself when it has none."""
    return geometry.GetLinearGeometry() if geometry.HasCurveGeometry() else geometry


def to_pixel_space(
    geometry: ogr.Geometry, geotransform: GeoTransform, decimals: int | None = None
) -> ogr.Geometry:
    """Return a copy of a geometry whose coordinates are (col, row) positions.

    Args:
        geometry: in map coordinates.
        geotransform: of the pixels.
        decimals: to which the positions are rounded; not at all where not given.
    """
    flat = straight(geometry).Clone()
    flat.FlattenTo2D()
    _transform(flat, geotransform, decimals)
    return flat


def _transform(geometry: ogr.Geometry, geotransform: GeoTransform, decimals: int | None) -> None:
    for index in range(geometry.GetGeometryCount()):
        _transform(geometry.GetGeometryRef(index), geotransform, decimals)
    count = geometry.GetPointCount() if geometry.GetGeometryCount() == 0 else 0
    if count:
        pixels = geotransform.to_pixels(np.array(geometry.GetPoints())[:, :2])
        if decimals is not None:
            pixels = pixels.round(decimals)
        for index, (col, row) in enumerate(pixels.tolist()):
            geometry.SetPoint_2D(index, col, row)


def point(x: float, y: float) -> ogr.Geometry:
    """Return a point."""
    place = ogr.Geometry(ogr.wkbPoint)
    place.AddPoint_2D(x, y)
    return place


def rectangle(xmin: float, ymin: float, xmax: float, ymax: float) -> ogr.Geometry:
    """Return a rectangle as a polygon."""
    ring = ogr.Geometry(ogr.wkbLinearRing)
    for x, y in ((xmin, ymin), (xmax, ymin), (xmax, ymax), (xmin, ymax), (xmin, ymin)):
        ring.AddPoint_2D(x, y)
    polygon = ogr.Geometry(ogr.wkbPolygon)
    polygon.AddGeometry(ring)
    return polygon


def polygon(corners: np.ndarray) -> ogr.Geometry:
    """Return the polygon of a ring of corners ``(n, 2)``."""
    ring = ogr.Geometry(ogr.wkbLinearRing)
    for x, y in np.asarray(corners).tolist():
        ring.AddPoint_2D(x, y)
    ring.CloseRings()
    shape = ogr.Geometry(ogr.wkbPolygon)
    shape.AddGeometry(ring)
    return shape


def polygon_of_rings(rings: Sequence[np.ndarray]) -> ogr.Geometry:
    """Return the shape that rings ``(n, 2)`` enclose by the even-odd rule."""
    whole = polygon(rings[0])
    for ring in rings[1:]:
        whole = attempt(whole.SymDifference, polygon(ring)) or whole
    return whole


def rings_of(geometry: ogr.Geometry) -> tuple[np.ndarray, ...]:
    """Return the rings ``(n, 2)`` of an areal geometry, outer ones and holes, not closed."""
    geometry = straight(geometry)
    if geometry.GetGeometryName() == "LINEARRING":
        return (np.array(geometry.GetPoints())[:-1, :2],)
    if geometry.GetDimension() < 2:
        return ()
    parts = (geometry.GetGeometryRef(index) for index in range(geometry.GetGeometryCount()))
    return tuple(ring for part in parts for ring in rings_of(part))


def window_bounds(window: Window, geotransform: GeoTransform) -> Bounds:
    """Return the map bounds ``(xmin, ymin, xmax, ymax)`` of a window, also of a turned one."""
    corners = geotransform.box_corners([[window.col, window.row, window.right, window.bottom]])[0]
    (xmin, ymin), (xmax, ymax) = corners.min(axis=0), corners.max(axis=0)
    return float(xmin), float(ymin), float(xmax), float(ymax)


def bounds_window(bounds: Bounds, geotransform: GeoTransform, limit: Window) -> Window | None:
    """Return the window of whole pixels that map bounds touch inside ``limit``."""
    xmin, ymin, xmax, ymax = bounds
    corners = np.array([[xmin, ymin], [xmax, ymin], [xmax, ymax], [xmin, ymax]])
    pixels = geotransform.to_pixels(corners)
    # A thousandth of a pixel forgives the rounding of coordinates.
    col, row = np.floor(pixels.min(axis=0) + 1e-3).astype(int)
    right, bottom = np.ceil(pixels.max(axis=0) - 1e-3).astype(int)
    if right <= col or bottom <= row:
        return None
    return Window(int(col), int(row), int(right - col), int(bottom - row)).intersection(limit)
