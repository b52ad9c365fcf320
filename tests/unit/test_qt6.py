"""What Qt 6 has moved or lost is not used by its old name: no test here runs under Qt 6."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PLUGIN = Path(__file__).resolve().parents[2] / "geodl_plugin"
# Not among the names that QGIS puts back: https://github.com/qgis/QGIS/tree/master/python/PyQt
MOVED = {"QUndoCommand", "QUndoGroup", "QUndoStack", "QFileSystemModel"}
LOST = {"exec_", "QRegExp", "QDesktopWidget", "QTextCodec"}


@pytest.mark.parametrize("path", sorted(PLUGIN.rglob("*.py")), ids=lambda path: path.stem)
def test_no_name_is_only_of_qt_5(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guarded = {
        id(each) for node in ast.walk(tree) if isinstance(node, ast.Try) for each in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in guarded:
            names = {each.name for each in node.names}
            if node.module == "qgis.PyQt.QtWidgets":
                assert not names & MOVED
            assert not names & LOST
        if isinstance(node, ast.Attribute):
            assert node.attr not in LOST
            kind = node.value
            assert not (
                node.attr == "Type" and isinstance(kind, ast.Name) and kind.id == "QVariant"
            )
