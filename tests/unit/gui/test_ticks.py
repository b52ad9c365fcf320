"""The axes of the loss curve."""

from __future__ import annotations

import pytest

from geodl_plugin.gui.ticks import count_scale, label, shown_epochs, step_size, value_scale


@pytest.mark.parametrize(("span", "count", "step"), [(10, 5, 2), (1, 5, 0.2), (7, 5, 2), (3, 2, 2)])
def test_steps_are_round(span: float, count: int, step: float) -> None:
    """A step is 1, 2 or 5 times a power of ten."""
    assert step_size(span, count) == pytest.approx(step)


def test_an_axis_covers_its_values() -> None:
    """Every value lies between the ends."""
    scale = value_scale([0.31, 0.94, 2.17])
    assert scale.low <= 0.31
    assert scale.high >= 2.17
    assert not scale.logarithmic
    assert 0 <= scale.position(0.31) < scale.position(2.17) <= 1


@pytest.mark.parametrize("values", [[0.5], [0.0, 0.0], [-1.0, -1.0], [1e-12, 1e-12]])
def test_equal_values_have_an_axis(values: list[float]) -> None:
    """A single point can be drawn."""
    scale = value_scale(values)
    assert scale.low < scale.high
    assert 0 <= scale.position(values[0]) <= 1


def test_almost_equal_values_lie_close_together() -> None:
    """The first epoch's two losses do not fill the whole axis."""
    scale = value_scale([2.148, 2.158])
    assert scale.position(2.158) - scale.position(2.148) < 0.1


def test_several_magnitudes_are_logarithmic() -> None:
    """A loss that falls from 900 to 0.2 stays readable."""
    scale = value_scale([900.0, 0.2])
    assert scale.logarithmic
    assert scale.position(900.0) <= 1
    assert scale.position(0.2) >= 0
    assert scale.position(10.0) == pytest.approx(0.46, abs=0.15)


@pytest.mark.parametrize("last", [1, 2, 3, 7, 20, 33, 1000])
def test_epochs_are_whole_numbers(last: int) -> None:
    """The ticks of epochs are whole, begin with the first and stay inside."""
    ticks = count_scale(last).ticks
    assert ticks[0] == 1
    assert all(tick == int(tick) and tick <= max(last, 2) for tick in ticks)


def test_the_axis_grows_with_the_epochs() -> None:
    """Eight of a thousand epochs are not squeezed into a corner."""
    assert shown_epochs(8, 1000) == 20
    assert shown_epochs(8, 12) == 12
    assert shown_epochs(12, 10) == 12


@pytest.mark.parametrize(
    ("value", "text"), [(0.1, "0.1"), (20.0, "20"), (0.30000000000000004, "0.3"), (2e6, "2e6")]
)
def test_labels_are_short(value: float, text: str) -> None:
    """A label has no more digits than it needs."""
    assert label(value) == text
