"""Writes the development tools of pyproject.toml as a list for pip, with NumPy held."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path


def development_tools(text: str) -> list[str]:
    """Return the extra ``dev``; read without tomllib, which came with Python 3.11."""
    listed = re.search(r"^dev = \[\n(.*?)^\]", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r'^\s+"([^"]+)"', listed[1], flags=re.MULTILINE) if listed else []


if __name__ == "__main__":
    project = Path(__file__).resolve().parent.parent / "pyproject.toml"
    print(f"numpy=={metadata.version('numpy')}")
    print("\n".join(development_tools(project.read_text(encoding="utf-8"))))
