"""Geometries: areas of what shapes share."""

from __future__ import annotations

import numpy as np
import pytest
from osgeo import gdal, ogr

from geodl_plugin.core.geo.shapes import (
    area_of,
    point,
    polygon,
    rectangle,
    repaired,
    rings_of,
    together,
)
from geodl_plugin.core.geo.vector import vertices


@pytest.mark.parametrize(
    ("other", "area"),
    [
        ((0, 0, 2, 2), 4.0),
        ((2, 0, 4, 2), 0.0),  # they share an edge
        ((2, 2, 4, 4), 0.0),  # a corner
        ((9, 9, 10, 10), 0.0),  # nothing
    ],
)
def test_the_area_of_what_two_shapes_share(other, area):
    gdal.ErrorReset()
    shared = rectangle(0, 0, 2, 2).Intersection(rectangle(*other))
    assert area_of(shared) == area
    assert gdal.GetLastErrorMsg() == "", "GDAL warns of the area of lines"


def test_parts_without_area_count_nothing():
    assert area_of(None) == 0
    assert area_of(ogr.CreateGeometryFromWkt("LINESTRING Z (0 0 1, 1 1 1)")) == 0
    mixed = "GEOMETRYCOLLECTION (POLYGON ((0 0, 1 0, 1 1, 0 1, 0 0)), LINESTRING (2 2, 3 3))"
    gdal.ErrorReset()
    assert area_of(ogr.CreateGeometryFromWkt(mixed)) == 1


@pytest.mark.parametrize(
    ("shape", "kind", "area"),
    [
        ("POLYGON ((0 0, 4 0, 4 2, 2 2, 2 9, 2 2, 0 2, 0 0))", "POLYGON", 8),  # a spike
        ("POLYGON ((0 0, 2 2, 2 0, 0 2, 0 0))", "MULTIPOLYGON", 2),
        ("POLYGON ((0 0, 2 2, 2 0, 0 2, 0 0, -3 0, 0 0))", "MULTIPOLYGON", 2),
        ("GEOMETRYCOLLECTION (POINT (9 9), POLYGON ((0 0, 1 0, 1 1, 0 0)))", "POLYGON", 0.5),
        ("POLYGON ((0 0, 4 0, 0 0, 0 0))", "LINESTRING", 0),
    ],
)
def test_a_repaired_area_has_no_lines_and_points_beside_it(shape, kind, area):
    gdal.PushErrorHandler("CPLQuietErrorHandler")
    made = repaired(ogr.CreateGeometryFromWkt(shape))
    gdal.PopErrorHandler()
    assert (made.GetGeometryName(), area_of(made)) == (kind, area)
    assert made.IsValid()


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        # A hole along the rim, a hole over another one, parts that overlap, a ring that does.
        ("POLYGON((0 0, 20 0, 20 20, 0 20, 0 0), (0 5, 10 5, 10 10, 0 10, 0 5))", 350.0),
        (
            "POLYGON((0 0, 20 0, 20 20, 0 20, 0 0), (5 5, 5 10, 10 10, 10 5, 5 5), "
            "(8 8, 8 15, 15 15, 15 8, 8 8))",
            330.0,
        ),
        (
            "MULTIPOLYGON(((0 0, 20 0, 20 20, 0 20, 0 0)), ((10 10, 30 10, 30 30, 10 30, 10 10)))",
            700.0,
        ),
        ("POLYGON((0 0, 30 0, 30 20, 10 20, 10 10, 20 10, 20 30, 0 30, 0 0))", 800.0),
    ],
)
def test_a_repaired_shape_keeps_its_holes_and_its_parts(shape, area):
    assert repaired(ogr.CreateGeometryFromWkt(shape)).GetArea() == area


def test_arcs_have_rings_and_the_vertices_between_which_they_lie():
    circle = "CURVEPOLYGON (CIRCULARSTRING (0 1, 1 2, 1.6 0.2, 0.4 0.2, 0 1))"
    shape = ogr.CreateGeometryFromWkt(circle)
    for points in (vertices(shape), rings_of(shape)[0]):
        assert points.min(axis=0) == pytest.approx([0, 0], abs=2e-3)
        assert points.max(axis=0) == pytest.approx([2, 2], abs=2e-3)
    assert rings_of(ogr.CreateGeometryFromWkt("CIRCULARSTRING (0 1, 1 2, 2 1)")) == ()


def test_what_is_joined_keeps_all_areas_and_nothing_else() -> None:
    crossing = polygon(np.array([[0, 0], [4, 4], [4, 0], [0, 4]]))  # two triangles of area 4
    nested = ogr.CreateGeometryFromWkt(
        "GEOMETRYCOLLECTION (POINT (9 9), GEOMETRYCOLLECTION (MULTIPOLYGON (((4 0,6 0,6 4,4 0))),"
        "LINESTRING (0 0,9 9)), CURVEPOLYGON (CIRCULARSTRING (10 0,12 2,14 0,12 -2,10 0)))"
    )
    joined = together([crossing, nested, point(20, 20)])
    assert joined is not None and joined.IsValid()
    assert joined.GetArea() == pytest.approx(8 + 4 + 4 * np.pi, rel=1e-3)
    assert together([point(1, 1), ogr.CreateGeometryFromWkt("LINESTRING (0 0,1 1)")]) is None
    assert together([]) is None
