"""Round numbers for the axes of a chart."""

from __future__ import annotations

import math
from dataclasses import dataclass

LOG_FROM = 30.0  # the ratio of largest to smallest value from which an axis is logarithmic


@dataclass(frozen=True)
class Scale:
    """Maps values to 0 … 1 along an axis, and knows where its ticks are."""

    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def position(self, value: float) -> float:
        """Return where ``value`` lies, 0 at the low end and 1 at the high end."""
        low, high = self.low, self.high
        if self.logarithmic:
            value, low, high = math.log10(max(value, low)), math.log10(low), math.log10(high)
        return (value - low) / (high - low)


def step_size(span: float, count: int) -> float:
    """Return the round step (1, 2 or 5 times a power of ten) for about ``count`` ticks."""
    raw = span / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    for factor in (1, 2, 5):
        if raw <= factor * power * 1.0001:
            return factor * power
    return 10 * power


def value_scale(values: list[float], count: int = 5) -> Scale:
    """Return an axis for ``values``, logarithmic when they span several magnitudes."""
    low, high = min(values), max(values)
    if low > 0 and high / low >= LOG_FROM:
        return _log_scale(low, high)
    # Values that are almost equal must not look far apart.
    least = 0.1 * max(abs(low), abs(high)) or 1.0
    if high - low < least:
        pad = (least - (high - low)) / 2
        low, high = low - pad, high + pad
    # An axis that nearly reaches zero starts at zero.
    if 0 < low < 0.5 * high:
        low = 0.0
    step = step_size(high - low, count)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(index * step for index in range(first, last + 1))
    return Scale(ticks[0], ticks[-1], ticks)


def _log_scale(low: float, high: float) -> Scale:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    ticks = tuple(
        factor * 10.0**power
        for power in range(first, last + 1)
        for factor in ((1, 3) if last - first < 4 else (1,))
    )
    inside = [tick for tick in ticks if low <= tick <= high]
    below = [tick for tick in ticks if tick < low][-1:]
    above = [tick for tick in ticks if tick > high][:1]
    kept = tuple(below + inside + above)
    return Scale(kept[0], kept[-1], kept, logarithmic=True)


def count_scale(last: int, count: int = 8) -> Scale:
    """Return an axis from 1 to ``last`` whose ticks are whole numbers."""
    last = max(last, 2)
    step = max(math.ceil(step_size(last, count)), 1)
    ticks = [1] + [number for number in range(step, last + 1, step) if number > 1]
    if step > 2 and len(ticks) > 1 and ticks[1] - ticks[0] < 0.5 * step:
        del ticks[1]
    return Scale(1.0, float(last), tuple(float(tick) for tick in ticks))


def shown_epochs(reached: int, planned: int) -> int:
    """Return how many epochs an axis shows: all, but at first not many more than there are."""
    room = 10
    while room < 2 * reached:
        room *= 2
    return max(reached, min(planned, room))


def label(value: float) -> str:
    """Return a tick's value as short as it can be read."""
    if value != 0 and (abs(value) >= 1e5 or abs(value) < 1e-4):
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{round(value, 6):g}"
