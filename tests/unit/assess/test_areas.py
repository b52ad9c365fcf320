"""Estimates of area against the worked example of Olofsson et al. 2014, tables 8 and 9."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl_plugin.core.assess.areas import Z95, estimate, thin_classes
from geodl_plugin.core.assess.confusion import Confusion

NAMES = ("deforestation", "forest gain", "stable forest", "stable non-forest")
COUNTS = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
PIXELS = (200_000, 150_000, 3_200_000, 6_450_000)
HECTARES = 0.09  # of a Landsat pixel


@pytest.fixture(scope="module")
def example():
    areas = {value: pixels * HECTARES for value, pixels in enumerate(PIXELS, 1)}
    return estimate(Confusion((1, 2, 3, 4), NAMES, COUNTS), areas, "ha")


def test_accuracies_of_the_papers_example(example) -> None:
    assert example.users == pytest.approx([0.88, 0.73, 0.93, 0.96], abs=0.005)
    assert Z95 * example.users_error == pytest.approx([0.07, 0.10, 0.04, 0.02], abs=0.005)
    assert example.producers == pytest.approx([0.75, 0.85, 0.93, 0.96], abs=0.005)
    assert Z95 * example.producers_error[0] == pytest.approx(0.21, abs=0.005)
    assert example.overall == pytest.approx(0.95, abs=0.005)
    assert Z95 * example.overall_error == pytest.approx(0.02, abs=0.005)


def test_errors_of_producers_accuracies_are_those_of_equation_7(example) -> None:
    for j in range(4):
        points = COUNTS.sum(axis=1)
        estimated = sum(PIXELS[i] / points[i] * COUNTS[i, j] for i in range(4))
        users, producers = example.users[j], example.producers[j]
        own = PIXELS[j] ** 2 * (1 - producers) ** 2 * users * (1 - users) / (points[j] - 1)
        rest = 0.0
        for i in range(4):
            share = COUNTS[i, j] / points[i]
            rest += 0 if i == j else PIXELS[i] ** 2 * share * (1 - share) / (points[i] - 1)
        variance = (own + producers**2 * rest) / estimated**2
        assert example.producers_error[j] == pytest.approx(np.sqrt(variance))


def test_areas_of_the_papers_example(example) -> None:
    areas, errors = example.shares * example.area, example.shares_error * example.area
    assert areas == pytest.approx([21_158, 11_686, 285_770, 581_386], abs=1)
    # The paper rounds the standard error of the first class to four places before it goes on.
    assert Z95 * errors == pytest.approx([6_158, 3_756, 15_510, 16_282], rel=0.002)
    assert example.shares_error[0] == pytest.approx(0.0035, abs=5e-5)


def test_a_class_that_the_map_lacks_has_an_area_but_no_users_accuracy() -> None:
    confusion = Confusion((0, 1, 2), ("a", "b", "c"), np.array([[9, 0, 1], [0, 10, 0], [0, 0, 0]]))
    found = estimate(confusion, {0: 50.0, 1: 50.0}, "ha")
    assert np.isnan(found.users[2])
    assert found.shares == pytest.approx([0.45, 0.5, 0.05])
    assert found.producers[2] == 0


def test_classes_of_the_map_with_fewer_than_two_points_are_named() -> None:
    confusion = Confusion((1, 2), ("a", "b"), np.array([[5, 0], [1, 0]]))
    assert thin_classes(confusion, {1: 10.0, 2: 10.0, 3: 1.0, 4: 0.0}) == [2, 3]


@given(st.lists(st.lists(st.integers(0, 50), min_size=3, max_size=3), min_size=3, max_size=3))
def test_shares_sum_to_one_and_follow_the_map_where_all_is_right(rows: list[list[int]]) -> None:
    counts = np.array(rows) + 2 * np.eye(3, dtype=int)
    areas = {1: 20.0, 2: 30.0, 3: 50.0}
    found = estimate(Confusion((1, 2, 3), ("a", "b", "c"), counts), areas, "ha")
    assert found.shares.sum() == pytest.approx(1)
    exact = estimate(Confusion((1, 2, 3), ("a", "b", "c"), np.diag(np.diag(counts))), areas, "ha")
    assert exact.shares == pytest.approx([0.2, 0.3, 0.5])
    assert exact.overall == pytest.approx(1) and exact.overall_error == 0
