"""The figures of a confusion matrix, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl_plugin.core.assess.confusion import Confusion

PAIRS = {(0, 0): 50, (0, 1): 10, (1, 0): 5, (1, 1): 35}


def test_figures_by_hand() -> None:
    """100 pixels: 85 agree; chance agreement is 0.6 · 0.55 + 0.4 · 0.45 = 0.51."""
    confusion = Confusion.of(PAIRS, {0: "Ground", 1: "Tree"})
    assert confusion.names == ("Ground", "Tree")
    assert confusion.counts.tolist() == [[50, 10], [5, 35]]
    assert confusion.overall_accuracy == 0.85
    assert confusion.users_accuracy == pytest.approx([50 / 60, 35 / 40])
    assert confusion.producers_accuracy == pytest.approx([50 / 55, 35 / 45])
    assert confusion.iou == pytest.approx([50 / 65, 35 / 50])
    assert confusion.f1 == pytest.approx([100 / 115, 70 / 85])
    assert confusion.mean_iou == pytest.approx((50 / 65 + 0.7) / 2)
    assert confusion.macro_f1 == pytest.approx((100 / 115 + 70 / 85) / 2)
    assert confusion.kappa == pytest.approx((0.85 - 0.51) / 0.49)


def test_a_class_that_is_never_predicted() -> None:
    confusion = Confusion.of({(0, 0): 3, (0, 7): 1}, {})
    assert confusion.names == ("0", "7")
    assert np.isnan(confusion.users_accuracy[1])
    assert confusion.iou.tolist() == [0.75, 0.0]


def test_one_class_only() -> None:
    confusion = Confusion.of({(4, 4): 9}, {})
    assert (confusion.kappa, confusion.mean_iou, confusion.overall_accuracy) == (1.0, 1.0, 1.0)


counts = st.dictionaries(
    st.tuples(st.integers(0, 4), st.integers(0, 4)), st.integers(1, 1000), min_size=1
)


@given(counts)
def test_figures_stay_in_their_ranges(pairs: dict[tuple[int, int], int]) -> None:
    confusion = Confusion.of(pairs, {})
    assert confusion.total == sum(pairs.values())
    assert 0 <= confusion.mean_iou <= confusion.macro_f1 <= 1
    assert -1 <= confusion.kappa <= 1


@given(counts)
def test_swapping_result_and_reference_swaps_the_accuracies(
    pairs: dict[tuple[int, int], int],
) -> None:
    one = Confusion.of(pairs, {})
    other = Confusion.of({(b, a): count for (a, b), count in pairs.items()}, {})
    np.testing.assert_array_equal(one.users_accuracy, other.producers_accuracy)
    assert one.kappa == pytest.approx(other.kappa)
