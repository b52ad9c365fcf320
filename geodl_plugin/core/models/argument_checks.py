"""Checks of the arguments that several model types share; each error is one sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..errors import InputError


def positive_numbers(name: str, value: Any) -> list[float]:
    """Return ``value`` as a list of positive numbers; one number makes a list of one."""
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    if not values or not all(is_positive(each) for each in values):
        raise InputError(f"{name}={value} must be a list of positive numbers, like [0.5,1.0].")
    return [float(each) for each in values]


def check_shares(arguments: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Raise :class:`InputError` unless all these arguments lie between 0 and 1."""
    for name in names:
        if not is_number(arguments[name]) or not 0 <= arguments[name] <= 1:
            raise InputError(f"{name}={arguments[name]} must lie between 0 and 1.")


def check_counts(arguments: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Raise :class:`InputError` unless all these arguments are whole numbers from 1 on."""
    for name in names:
        value = arguments[name]
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"{name}={value} must be a whole number, 1 at least.")


def check_order(arguments: Mapping[str, Any], low: str, high: str) -> None:
    """Raise :class:`InputError` when the argument ``low`` is above the argument ``high``."""
    if arguments[low] > arguments[high]:
        raise InputError(
            f"{low}={arguments[low]} must not be above {high}={arguments[high]}. "
            "Lower the first or raise the second one."
        )


def is_number(value: Any) -> bool:
    """Return whether ``value`` is a number; truth values and infinity are none."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value)


def is_positive(value: Any) -> bool:
    """Return whether ``value`` is a number above 0."""
    return is_number(value) and value > 0
