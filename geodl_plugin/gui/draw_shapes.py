"""Shapes from the points that a person clicks or drags, in map coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot

from qgis.core import QgsCircle, QgsGeometry, QgsPoint, QgsPointXY, QgsRectangle, QgsWkbTypes

CIRCLE_VERTICES = 72
Points = Sequence[QgsPointXY]


def rectangle(points: Points, regular: bool = False) -> QgsGeometry:
    """Return the rectangle between the first and the last point; a square when ``regular``."""
    first, last = points[0], points[-1]
    if regular:
        width, height = last.x() - first.x(), last.y() - first.y()
        side = max(abs(width), abs(height))
        last = QgsPointXY(
            first.x() + (side if width >= 0 else -side),
            first.y() + (side if height >= 0 else -side),
        )
    return QgsGeometry.fromRect(QgsRectangle(first, last))


def circle(points: Points) -> QgsGeometry:
    """Return the circle around the first point through the last."""
    centre, edge = points[0], points[-1]
    radius = hypot(edge.x() - centre.x(), edge.y() - centre.y())
    shape = QgsCircle(QgsPoint(centre.x(), centre.y()), radius)
    return QgsGeometry(shape.toPolygon(CIRCLE_VERTICES))


def polygon(points: Points) -> QgsGeometry:
    """Return the polygon of the points; of crossing lines the largest part."""
    if len(points) < 3:
        return QgsGeometry()
    return largest_part(QgsGeometry.fromPolygonXY([[*points, points[0]]]))


def largest_part(geometry: QgsGeometry) -> QgsGeometry:
    """Return a geometry made valid, as one polygon: its largest."""
    if not geometry.isGeosValid():
        geometry = geometry.makeValid()
    parts = [
        part
        for part in geometry.asGeometryCollection()
        if part.type() == QgsWkbTypes.GeometryType.PolygonGeometry
    ]
    if not parts:
        return QgsGeometry()
    return max(parts, key=lambda part: part.area())
