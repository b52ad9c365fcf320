"""Matching and its figures, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl_plugin.core.assess.matching import UNMATCHED, Curve, Score, by_confidence, match


def everything(count: int) -> np.ndarray:
    return np.ones(count, dtype=bool)


def test_the_surest_detection_takes_the_object() -> None:
    pairs = [[(0, 0.6)], [(0, 0.9)]]
    result = match([0, 1], pairs, 0.5, everything(1))
    assert result.reference.tolist() == [0, UNMATCHED]
    assert result.iou.tolist() == [0.6, 0.0]


def test_a_detection_takes_what_it_overlaps_most() -> None:
    result = match([0], [[(0, 0.55), (1, 0.7)]], 0.5, everything(2))
    assert result.reference.tolist() == [1]


def test_an_overlap_below_the_minimum_is_no_match() -> None:
    assert match([0], [[(0, 0.49)]], 0.5, everything(1)).reference.tolist() == [UNMATCHED]
    assert match([0], [[(0, 0.5)]], 0.5, everything(1)).reference.tolist() == [0]


def test_a_reference_that_counts_goes_before_one_that_does_not() -> None:
    counted = np.array([False, True])
    assert match([0], [[(0, 0.9), (1, 0.6)]], 0.5, counted).reference.tolist() == [1]
    assert match([0], [[(0, 0.9)]], 0.5, counted).reference.tolist() == [0]


def test_average_precision_by_hand() -> None:
    """Hit, false alarm, hit of two objects: precision 1 up to recall 0.5, 2/3 up to 1.

    51 of the 101 recalls (0 to 0.50) read 1, the other 50 read 2/3.
    """
    curve = Curve.of(np.array([True, False, True]), np.array([0.9, 0.8, 0.7]), 2)
    assert curve.recall.tolist() == [0.5, 0.5, 1.0]
    assert curve.precision == pytest.approx([1.0, 0.5, 2 / 3])
    assert curve.average_precision() == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_recall_that_is_not_reached_counts_as_zero() -> None:
    curve = Curve.of(np.array([True]), np.array([0.9]), 4)
    assert curve.average_precision() == pytest.approx(26 / 101)


def test_the_best_f1_and_its_confidence() -> None:
    curve = Curve.of(np.array([True, True, False]), np.array([0.9, 0.8, 0.3]), 2)
    assert curve.best() == (1.0, 0.8)


def test_equal_confidences_are_kept_together() -> None:
    curve = Curve.of(np.array([True, False]), np.array([0.5, 0.5]), 1)
    assert curve.best() == (pytest.approx(2 / 3), 0.5)


def test_nothing_detected() -> None:
    curve = Curve.of(np.array([], dtype=bool), np.array([]), 3)
    assert curve.average_precision() == 0.0
    assert curve.best() is None
    score = Score("All", 0, 0, 3, 0.0)
    assert (score.precision, score.recall, score.f1) == (None, 0.0, 0.0)


def test_figures_by_hand() -> None:
    score = Score("All", 6, 2, 4, None)
    assert score.precision == 0.75
    assert score.recall == 0.6
    assert score.f1 == pytest.approx(2 * 0.75 * 0.6 / 1.35)


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(0, 30))
def test_average_precision_lies_between_zero_and_one(hits: list[bool], missed: int) -> None:
    array = np.array(hits)
    curve = Curve.of(array, np.linspace(1, 0, len(array)), int(array.sum()) + missed)
    assert 0.0 <= curve.average_precision() <= 1.0


@given(st.permutations(range(5)))
def test_the_order_of_ties_does_not_depend_on_the_file(places: list[int]) -> None:
    confidences = np.array([0.5, 0.5, 0.9, 0.5, 0.1])[places]
    bounds = np.array([[i, 0, i + 1, 1] for i in range(5)], dtype=float)[places]
    order = by_confidence(confidences, bounds)
    assert bounds[order, 0].tolist() == [2, 0, 1, 3, 4]
