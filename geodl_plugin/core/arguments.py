"""Arguments written as ``name=value;name=value``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .errors import InputError

TRUE, FALSE = {"true", "yes", "1", "on"}, {"false", "no", "0", "off"}


def parse(text: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Read arguments over their defaults; the type of a default rules.

    Args:
        text: ``name=value;name=value``; lists are written as in JSON.
        defaults: every known argument with its default; ``None`` takes any value.

    Raises:
        InputError: when a name is unknown or a value has the wrong type.
    """
    values = dict(defaults)
    for entry in (part for part in text.split(";") if part.strip()):
        name, equals, value = (part.strip() for part in entry.partition("="))
        if not equals:
            raise InputError(f"'{entry.strip()}' is not an argument. Write name=value.")
        if name not in defaults:
            raise InputError(
                f"There is no argument '{name}'. Known are: {', '.join(defaults) or 'none'}."
            )
        values[name] = convert(name, value, defaults[name])
    return values


def convert(name: str, text: str, default: Any) -> Any:
    """Return ``text`` in the type of ``default``.

    Raises:
        InputError: when it does not have that type.
    """
    try:
        if isinstance(default, bool):
            return _boolean(text)
        if isinstance(default, int):
            return int(text)
        if isinstance(default, float):
            return float(text)
        if isinstance(default, str):
            return text
        value = json.loads(text.replace("'", '"'))
    except ValueError:
        raise InputError(
            f"'{text}' is no value for '{name}'. Write it like {json.dumps(default)}."
        ) from None
    if isinstance(default, (list, tuple)) and not isinstance(value, list):
        value = [value]
    return value


def _boolean(text: str) -> bool:
    lowered = text.lower()
    if lowered not in TRUE | FALSE:
        raise ValueError(text)
    return lowered in TRUE
