"""Numbers and colours as other programs write them into their schemas."""

from __future__ import annotations

from typing import Any

from .schema import Color

BANDS = ("red", "green", "blue")


def whole_number(content: Any) -> int | None:
    """Return a whole number written as number or text, ``None`` when it is none."""
    if isinstance(content, bool) or not isinstance(content, (int, float, str)):
        return None
    try:
        number = float(content)
    except ValueError:
        return None
    return int(number) if number.is_integer() else None


def parse_color(content: Any) -> Color | None:
    """Return a colour written as ``#rrggbb``, ``r,g,b`` or a list, ``None`` when it is none."""
    if isinstance(content, dict):
        lowered = {str(key).lower(): value for key, value in content.items()}
        content = lowered.get("values") or [lowered.get(key) for key in BANDS]
    if isinstance(content, str):
        text = content.strip()
        if text.startswith("#") and len(text) in (7, 9):
            content = _hexadecimal(text)
        else:
            content = text.replace(",", " ").split()
    if not isinstance(content, (list, tuple)) or len(content) < 3:
        return None
    parts = [whole_number(each) for each in content[:3]]
    if any(part is None or not 0 <= part <= 255 for part in parts):
        return None
    return parts[0], parts[1], parts[2]


def _hexadecimal(text: str) -> list[int]:
    try:
        return [int(text[start : start + 2], 16) for start in (1, 3, 5)]
    except ValueError:
        return []
