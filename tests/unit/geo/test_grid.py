"""Windows, geotransforms and tile plans."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl_plugin.core.geo.grid import (
    GeoTransform,
    Window,
    chip_windows,
    plan_tiles,
    positions,
    tile_spans,
)

lengths = st.integers(1, 3000)
windows = st.builds(
    Window, st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 60), st.integers(1, 60)
)


@given(lengths, st.integers(1, 600), st.integers(1, 600))
def test_windows_reach_both_ends_and_leave_no_gap(length, size, stride):
    starts = positions(length, size, stride)
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    if length <= size:
        assert starts == [0]
        return
    assert starts[-1] + size == length
    gaps = np.diff(starts)
    assert (gaps <= stride).all()


@given(windows, windows)
def test_an_intersection_holds_just_the_shared_pixels(one, other):
    def pixels(window):
        return {
            (col, row)
            for col in range(window.col, window.right)
            for row in range(window.row, window.bottom)
        }

    shared = one.intersection(other)
    assert (pixels(shared) if shared else set()) == pixels(one) & pixels(other)


@given(lengths, st.integers(1, 16), st.integers(0, 200), st.sampled_from([1, 8, 32]))
def test_inner_parts_of_tiles_join_and_lie_in_their_tile(length, multiple, rim, step):
    size = multiple * step
    spans = tile_spans(length, size, rim, step)
    assert spans[0][1] == 0
    assert spans[-1][2] == length
    for before, after in zip(spans, spans[1:]):
        assert before[2] == after[1]
    for start, begin, end in spans:
        assert start % step == 0
        assert start <= begin < end
        assert end <= max(start + size, length if len(spans) == 1 else 0)


@given(st.integers(1, 2000), st.sampled_from([128, 256]), st.sampled_from([16, 32, 48]))
def test_tiles_keep_their_rim_between_each_other(length, size, rim):
    for (start, _, end), (after, begin, _) in zip(
        tile_spans(length, size, rim), tile_spans(length, size, rim)[1:]
    ):
        assert start + size - end >= rim
        assert begin - after >= rim


@pytest.mark.parametrize("length", [255, 256, 257])
def test_a_raster_about_the_size_of_a_tile_is_covered_once(length):
    counts = np.zeros((length, length), int)
    for tile in plan_tiles(length, length, 256, 32):
        inner = tile.inner
        counts[inner.row : inner.bottom, inner.col : inner.right] += 1
    assert (counts == 1).all()


def test_chips_of_an_area_start_at_its_corner():
    area = Window(10, 20, 300, 256)
    found = list(chip_windows(area, 256, 256, 128, 128))
    assert found == [Window(10, 20, 256, 256), Window(54, 20, 256, 256)]


@given(
    st.tuples(*[st.floats(-2, 2).filter(lambda number: abs(number) > 0.05)] * 2),
    st.tuples(st.floats(-0.02, 0.02), st.floats(-0.02, 0.02)),
    st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), min_size=1, max_size=5),
)
def test_a_turned_transform_leads_there_and_back(scale, turn, points):
    transform = GeoTransform(5e5, scale[0], turn[0], 4e6, turn[1], scale[1])
    there = transform.to_map(np.array(points))
    assert np.allclose(transform.to_pixels(there), points, atol=1e-4)


def test_the_transform_of_a_window_begins_at_its_corner():
    transform = GeoTransform(100.0, 0.5, 0.1, 200.0, 0.1, -0.5)
    part = transform.of_window(Window(4, 6, 10, 10))
    assert np.allclose(
        part.to_map(np.array([[1.0, 1.0]])), transform.to_map(np.array([[5.0, 7.0]]))
    )
    assert transform.cell_area() == pytest.approx(0.26)


def test_corners_of_a_box_begin_at_the_top_left():
    transform = GeoTransform(0.0, 2.0, 0.0, 10.0, 0.0, -2.0)
    corners = transform.box_corners(np.array([[1, 1, 2, 3]]))
    assert corners.tolist() == [[[2, 8], [4, 8], [4, 4], [2, 4]]]
