"""`make bench` finds all that it imports on a machine that `make setup` has prepared."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

# Its folder rivals/ has environments of its own.
FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


def imported(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_what_a_benchmark_imports_is_installed(path: Path) -> None:
    names = {name.partition(".")[0] for name in imported(path.read_text(encoding="utf-8"))}
    assert {name for name in names if importlib.util.find_spec(name) is None} == set()
