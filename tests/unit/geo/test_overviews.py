"""Overviews by the most frequent value and by the mean."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from osgeo import gdal

from geodl_plugin.core.geo import overviews
from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.overviews import build_overviews, mean, most_frequent
from geodl_plugin.core.geo.raster_writer import write_chip
from geodl_plugin.core.progress import Progress

NODATA = 255
EVEN = st.tuples(st.integers(1, 6), st.integers(1, 6)).map(lambda each: tuple(2 * n for n in each))
VALUES = st.sampled_from([0, 1, 2, NODATA])


def quads(values: np.ndarray) -> list[list[int]]:
    """Return every 2 × 2 values, row by row."""
    rows, cols = values.shape
    places = [(row, col) for row in range(0, rows, 2) for col in range(0, cols, 2)]
    return [values[row : row + 2, col : col + 2].ravel().tolist() for row, col in places]


@given(arrays.arrays(np.uint8, EVEN, elements=VALUES))
def test_the_most_frequent_value_wins_and_no_data_never_does(values):
    found = most_frequent(values, NODATA).ravel().tolist()
    for four, winner in zip(quads(values), found):
        votes = Counter(each for each in four if each != NODATA)
        if not votes:
            assert winner == NODATA
        else:
            best = max(votes.values())
            assert winner == next(each for each in four if votes[each] == best)


@given(arrays.arrays(np.uint8, EVEN, elements=st.sampled_from([0, 1, 50, 99, 100, NODATA])))
def test_the_mean_is_rounded_and_leaves_no_data_out(values):
    found = mean(values, NODATA).ravel().tolist()
    for four, one in zip(quads(values), found):
        known = [each for each in four if each != NODATA]
        if known:
            assert abs(one - sum(known) / len(known)) <= 0.5
        else:
            assert one == NODATA


def with_overviews(path, values, halve=most_frequent):
    """Return the overviews of an image, from the largest on."""
    write_chip(path, values[None], GeoTransform(0, 1, 0, 0, 0, -1), "", nodata=NODATA)
    dataset = gdal.Open(str(path))
    assert build_overviews(dataset, halve, NODATA, Progress())
    band = dataset.GetRasterBand(1)
    return [band.GetOverview(level).ReadAsArray() for level in range(band.GetOverviewCount())]


@pytest.mark.parametrize(("halve", "method"), [(most_frequent, "MODE"), (mean, "AVERAGE")])
def test_overviews_are_those_of_gdal(halve, method, tmp_path, monkeypatch):
    # Several parts and levels, an edge without data, parts of one value or without data, and no
    # two values equally frequent.
    monkeypatch.setattr(overviews, "_ROWS", 100)
    monkeypatch.setattr(overviews, "_COLS", 200)
    blobs = np.random.default_rng(1).integers(0, 3, (328, 404)).astype(np.uint8)
    blobs = blobs.repeat(4, 0).repeat(4, 1)
    blobs[::4, ::4] = 7
    blobs[2::8, 2::4] = NODATA
    blobs[:, :80] = NODATA
    blobs[200:400, 400:800] = NODATA
    blobs[400:600, 400:800] = 5
    ours = with_overviews(tmp_path / "ours.tif", blobs, halve)
    write_chip(tmp_path / "b.tif", blobs[None], GeoTransform(0, 1, 0, 0, 0, -1), "", nodata=NODATA)
    theirs = gdal.Open(str(tmp_path / "b.tif"))
    theirs.BuildOverviews(method, [2, 4])
    band = theirs.GetRasterBand(1)
    assert len(ours) == band.GetOverviewCount() == 2
    for level, found in enumerate(ours):
        assert (found == band.GetOverview(level).ReadAsArray()).all()


@given(st.integers(1, 3000), st.integers(1, 700))
def test_the_parts_of_an_overview_cover_all_and_lie_where_the_image_does(size, step):
    half = (size + 1) // 2
    starts = [
        pixel + 2 * index
        for _, length, pixel in overviews._spans(size, step)
        for index in range(length)
    ]
    assert len(starts) == half
    assert {each + more for each in starts for more in (0, 1)} >= set(range(size))
    assert max(starts) + 2 <= max(size, 2)
    scale = size / half
    assert all(
        abs(start + 1 - (index + 0.5) * scale) <= 0.5001 for index, start in enumerate(starts)
    )


def test_a_strip_of_one_pixel_has_overviews(tmp_path):
    strip = np.repeat(np.array([[1, 2]], np.uint8), 500, 1)
    (found,) = with_overviews(tmp_path / "strip.tif", strip)
    assert found.tolist() == [[1] * 250 + [2] * 250]


def test_a_small_raster_needs_none(tmp_path):
    path = str(tmp_path / "small.tif")
    write_chip(path, np.ones((1, 512, 512), np.uint8), GeoTransform(0, 1, 0, 0, 0, -1), "")
    dataset = gdal.Open(path)
    assert build_overviews(dataset, mean, NODATA, Progress())
    assert dataset.GetRasterBand(1).GetOverviewCount() == 0


def test_cancelling_ends_it(tmp_path):
    path = str(tmp_path / "a.tif")
    write_chip(path, np.ones((1, 600, 600), np.uint8), GeoTransform(0, 1, 0, 0, 0, -1), "")

    class Cancelled(Progress):
        def cancelled(self) -> bool:
            return True

    assert not build_overviews(gdal.Open(path), mean, NODATA, Cancelled())
