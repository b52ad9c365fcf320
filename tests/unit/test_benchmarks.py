"""`make bench` finds all that it imports on a machine that `make setup` has prepared."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

# Its folder rivals/ has environments of its own.
FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


def imported(text: str) -> Iterator[tuple[str, str]]:
    """Yield the modules that are imported, and what of them, which is empty for all of it."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((each.name, "") for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.module, each.name) for each in node.names)


def is_there(module: str, name: str) -> bool:
    try:
        there = importlib.import_module(module)
        return not name or hasattr(there, name) or bool(importlib.import_module(f"{module}.{name}"))
    except ImportError:
        return False


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_what_a_benchmark_imports_is_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER.parent / "demo")  # which one of them runs
    names = imported(path.read_text(encoding="utf-8"))
    assert {name for name in names if not is_there(*name)} == set()
