"""Which chips share ground."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl_plugin.core.learning.clashes import Clashes
from geodl_plugin.core.learning.split import split_chips


def matrix(clashes: Clashes) -> np.ndarray:
    found = np.zeros((clashes.count, clashes.count), bool)
    found[clashes.first, clashes.second] = True
    return found


boxes = st.lists(
    st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(0, 6)] * 2), min_size=0, max_size=20
)


@given(boxes, st.sampled_from([1.0, 1e-5, 1e5]), st.sampled_from([0.0, 5e6]), st.data())
def test_they_are_those_of_comparing_all_with_all(rows, scale, corner, data):
    numbers = np.array(rows, float).reshape(-1, 4)
    bounds = np.concatenate([numbers[:, :2], numbers[:, :2] + numbers[:, 2:]], 1) * scale + corner
    numbers = np.concatenate([numbers[:, :2], numbers[:, :2] + numbers[:, 2:]], 1)
    low = np.maximum(numbers[:, None, :2], numbers[None, :, :2])
    high = np.minimum(numbers[:, None, 2:], numbers[None, :, 2:])
    wanted = (high > low).all(2) & ~np.eye(len(numbers), dtype=bool)
    clashes = Clashes.of_bounds(bounds)
    assert (matrix(clashes) == wanted).all()
    first, second = clashes.pairs()
    assert (first < second).all() and len(first) * 2 == wanted.sum()
    chosen = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    chosen = chosen.astype(bool)
    assert (clashes.beside(chosen) == wanted[chosen].any(0)).all()
    positions = np.flatnonzero(chosen)
    assert (matrix(clashes.of(positions)) == wanted[np.ix_(positions, positions)]).all()
    values = np.arange(len(rows))[::-1].copy()
    least = np.where(wanted, values[None], len(rows)).min(1, initial=len(rows))
    assert (clashes.least_beside(values, len(rows)) == least).all()


def test_many_chips_need_little_memory():
    """20,000 chips that overlap by half: all pairs of them would be gigabytes."""
    row, col = np.divmod(np.arange(20_000), 150)
    corner = np.stack([col, row], 1) * 12.8
    bounds = np.concatenate([corner, corner + 25.6], 1)
    tracemalloc.start()
    try:
        split = split_chips(bounds, 10, 0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(split.validation) == 2000 and split.unseen
    assert peak < 300e6


@pytest.mark.parametrize("angle", [0.0, 0.1, 0.8, np.pi / 2])
@pytest.mark.parametrize("scale", [1e-5, 1.0])
def test_turned_neighbours_share_no_ground(angle, scale):
    """Their bounds overlap; those of every other row lie half a chip aside, and on two below."""
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    row, col = np.divmod(np.arange(20), 5)
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    flat = square + np.stack([col + row % 2 / 2, row * 0.9], 1)[:, None]
    corners = flat @ turn * 25.6 * scale + [5e5, 4e6]
    bounds = np.concatenate([corners.min(1), corners.max(1)], 1)
    known = np.zeros(len(corners), int)
    found = matrix(Clashes.of_bounds(bounds).among(corners, known))
    low, high = flat.min(1), flat.max(1)
    wanted = np.minimum(high[:, None], high) - np.maximum(low[:, None], low) > 0.01
    assert (found == (wanted.all(2) & ~np.eye(len(flat), dtype=bool))).all()
    # What has no place, or another system, is compared by its bounds.
    elsewhere = Clashes.of_bounds(bounds).among(corners, np.where(col == 0, -1, col))
    same = (col[:, None] == col) & (col[:, None] > 0)
    assert (matrix(elsewhere) == np.where(same, found, matrix(Clashes.of_bounds(bounds)))).all()
