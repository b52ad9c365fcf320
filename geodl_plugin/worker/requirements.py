"""The libraries that the worker needs, read from the one list of them."""

from __future__ import annotations

import re
from pathlib import Path

LIST = Path(__file__).resolve().parent / "requirements.txt"


def lines() -> list[str]:
    """Return the requirements, without the reasons beside them."""
    text = LIST.read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and line[0] != "#"]


def names() -> list[str]:
    """Return the names of the libraries that this Python requires."""
    found = []
    for line in lines():
        requirement, _, marker = line.partition(";")
        if not marker or _holds(marker):
            found.append(re.split(r"[<>=!~\[ ]", requirement.strip(), maxsplit=1)[0])
    return found


def _holds(marker: str) -> bool:
    """Return whether a marker is true of this Python; unknown where nobody can tell."""
    try:
        from packaging.markers import Marker
    except ImportError:
        return False
    return bool(Marker(marker).evaluate())
