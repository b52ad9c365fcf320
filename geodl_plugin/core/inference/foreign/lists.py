"""Lists that users write into arguments: with commas between, or as JSON."""

from __future__ import annotations

from typing import Any

from ...errors import InputError
from ...packages.networks.metadata import value


def listed(text: str) -> list[Any]:
    """Return the entries of a text."""
    found = value(text)
    if isinstance(found, (list, tuple)):
        return list(found)
    return [part.strip() for part in text.split(",") if part.strip()]


def integers(name: str, text: str) -> tuple[int, ...]:
    """Return the bands that a text names, counted from 0; :class:`InputError` if it does not."""
    try:
        found = tuple(int(each) for each in listed(text))
    except (TypeError, ValueError):
        found = ()
    if not found or min(found) < 0:
        raise InputError(f"{name}={text} are no bands. Write for example {name}=0,1,2.")
    return found


def numbers(name: str, text: str, count: int) -> list[float]:
    """Return ``count`` numbers; one stands for all."""
    try:
        found = [float(each) for each in listed(text)]
    except (TypeError, ValueError):
        found = []
    if len(found) not in (1, count):
        raise InputError(
            f"{name}={text} are not {count} number{'s' if count > 1 else ''}. "
            "Put commas between them."
        )
    return found * count if len(found) == 1 else found
