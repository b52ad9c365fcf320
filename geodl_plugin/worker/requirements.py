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
    """Return the names of the required libraries."""
    return [re.split(r"[<>=!~;\[ ]", line, maxsplit=1)[0] for line in lines()]
