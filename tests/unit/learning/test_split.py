"""Chips that train and chips that validate share no ground."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl_plugin.core.learning.split import crops_per_chip, split_chips


def grid(columns: int, rows: int, side: float, stride: float, x: float = 0.0) -> np.ndarray:
    places = [(x + c * stride, -r * stride) for r in range(rows) for c in range(columns)]
    return np.array([(left, top - side, left + side, top) for left, top in places])


def share_ground(one: np.ndarray, other: np.ndarray, tolerance: float) -> bool:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width > tolerance and height > tolerance


@settings(max_examples=60, deadline=None)
@given(
    columns=st.integers(1, 9),
    rows=st.integers(1, 9),
    overlap=st.sampled_from([1.0, 0.5, 0.75, 0.1]),
    percentage=st.sampled_from([5, 10, 20, 50, 80]),
    scale=st.sampled_from([25.6, 5.4e-4, 3000.0]),
    seed=st.integers(0, 99),
)
def test_no_place_is_on_both_sides(columns, rows, overlap, percentage, scale, seed):
    bounds = grid(columns, rows, scale, scale * overlap, x=528000.0 if scale > 1 else 110.0)
    split = split_chips(bounds, percentage, seed)
    if not split.unseen:
        assert split.training == split.validation == tuple(range(len(bounds)))
        return
    assert split.training and split.validation
    together = sorted(split.training + split.validation + split.dropped)
    assert together == list(range(len(bounds)))
    for one in split.validation:
        for other in split.training:
            assert not share_ground(bounds[one], bounds[other], scale * 1e-3)


@pytest.mark.parametrize("percentage", [20, 60, 90])
def test_the_share_is_kept_where_nothing_overlaps(percentage):
    split = split_chips(grid(10, 10, 10, 10), percentage, 1)
    train = 100 - percentage
    assert (len(split.training), len(split.validation), split.dropped) == (train, percentage, ())
    assert f"{train} chips train and {percentage} validate" in split.describe()


def test_the_seed_decides():
    bounds = grid(10, 10, 10, 10)
    assert split_chips(bounds, 10, 1) == split_chips(bounds, 10, 1)
    assert split_chips(bounds, 10, 1) != split_chips(bounds, 10, 2)


@pytest.mark.parametrize("seed", range(20))
def test_a_class_of_one_chip_trains(seed):
    contents = np.zeros((20, 2))
    contents[:, 0], contents[7, 1] = 5, 3
    assert 7 in split_chips(grid(20, 1, 10, 10), 10, seed, contents).training


@pytest.mark.parametrize("overlap", [1.0, 0.5])
@pytest.mark.parametrize("seed", range(6))
def test_classes_that_lie_in_one_place_are_on_both_sides(seed, overlap):
    """Stands of trees: whichever block validates holds all chips of a class or two."""
    contents = np.zeros((72, 12))
    contents[np.arange(72), [x // 3 + 4 * (y // 2) for y in range(6) for x in range(12)]] = 1
    bounds = grid(12, 6, 10, 10 * overlap)
    split = split_chips(bounds, 10, seed, contents)
    assert split.unseen and contents[list(split.training)].any(axis=0).all()
    assert len(split.validation) >= (3 if overlap == 1 else 1)
    for one in split.validation:
        assert not any(share_ground(bounds[one], bounds[other], 0.01) for other in split.training)


@pytest.mark.parametrize("count", [2, 20])
def test_chips_of_a_class_each_all_train(count):
    split = split_chips(grid(count, 1, 10, 10), 10, 0, np.eye(count))
    assert not split.unseen and split.training == tuple(range(count))


def test_few_chips_and_none_to_spare():
    assert len(split_chips(grid(4, 1, 10, 10), 10, 0).validation) == 1
    for bounds, percentage in ((grid(1, 1, 10, 10), 10), (grid(3, 1, 10, 1), 10)):
        split = split_chips(bounds, percentage, 0)
        assert not split.unseen and "network has seen" in split.describe()
    assert not split_chips(grid(4, 1, 10, 10), 0, 0).unseen


def test_large_chips_are_cropped_more_often():
    assert crops_per_chip(256, 256, 256) == 1
    assert crops_per_chip(512, 512, 256) == 4
    assert crops_per_chip(40, 40, 64) == 1
