"""Exact overlaps of polygons."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from osgeo import ogr

from geodl_plugin.core.assess.overlaps import Shapes, overlaps


def box(xmin: float, ymin: float, xmax: float, ymax: float) -> ogr.Geometry:
    ring = f"{xmin} {ymin},{xmax} {ymin},{xmax} {ymax},{xmin} {ymax},{xmin} {ymin}"
    return ogr.CreateGeometryFromWkt(f"POLYGON(({ring}))")


def test_a_box_shifted_by_half_its_width() -> None:
    """10 × 10 moved by 5: they share 50 of 150."""
    found = overlaps(Shapes.of([box(0, 0, 10, 10)]), Shapes.of([box(5, 0, 15, 10)]), 0.1)
    assert found == [[(0, pytest.approx(1 / 3))]]


def test_polygons_are_not_their_envelopes() -> None:
    """A triangle of 50 inside a square of 100."""
    triangle = ogr.CreateGeometryFromWkt("POLYGON((0 0,10 0,0 10,0 0))")
    found = overlaps(Shapes.of([triangle]), Shapes.of([box(0, 0, 10, 10)]), 0.1)
    assert found == [[(0, pytest.approx(0.5))]]


def test_holes_are_not_part_of_a_polygon() -> None:
    ring = ogr.CreateGeometryFromWkt("POLYGON((0 0,10 0,10 10,0 10,0 0),(2 2,8 2,8 8,2 8,2 2))")
    found = overlaps(Shapes.of([ring]), Shapes.of([box(0, 0, 10, 10)]), 0.1)
    assert found == [[(0, pytest.approx(0.64))]]


def test_touching_is_not_overlapping() -> None:
    assert overlaps(Shapes.of([box(0, 0, 1, 1)]), Shapes.of([box(1, 0, 2, 1)]), 1e-6) == [[]]


def test_nothing_to_compare() -> None:
    assert overlaps(Shapes.of([]), Shapes.of([box(0, 0, 1, 1)]), 0.5) == []
    assert overlaps(Shapes.of([box(0, 0, 1, 1)]), Shapes.of([]), 0.5) == [[]]


boxes = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 30), st.integers(1, 30)),
    max_size=12,
)


@settings(deadline=None, max_examples=60)
@given(boxes, boxes)
def test_the_grid_finds_what_comparing_all_with_all_finds(
    ones: list[tuple[int, int, int, int]], others: list[tuple[int, int, int, int]]
) -> None:
    first = [box(x, y, x + w, y + h) for x, y, w, h in ones]
    second = [box(x, y, x + w, y + h) for x, y, w, h in others]
    found = overlaps(Shapes.of(first), Shapes.of(second), 0.05)
    for one, pairs in zip(first, found):
        expected = {}
        for index, other in enumerate(second):
            shared = one.Intersection(other).GetArea()
            iou = shared / (one.GetArea() + other.GetArea() - shared)
            if iou >= 0.05:
                expected[index] = pytest.approx(iou)
        assert dict(pairs) == expected


def test_twenty_thousand_boxes_do_not_cost_their_square() -> None:
    corners = np.random.default_rng(1).uniform(0, 3000, (20_000, 2))
    shapes = Shapes.of([box(x, y, x + 10, y + 10) for x, y in corners.tolist()])
    began = time.monotonic()
    found = overlaps(shapes, shapes, 0.5)
    assert all(index in dict(pairs) for index, pairs in enumerate(found))
    assert time.monotonic() - began < 60  # their square takes an hour
