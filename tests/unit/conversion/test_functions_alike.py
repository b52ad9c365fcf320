"""What the functions for ArcGIS repeat, since each is complete in one file, stays equal."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from geodl_plugin.core import conversion

FILES = sorted((Path(conversion.__file__).parent / "functions").glob("GeoDL*.py"))
SHARED = {"read_definition", "choose_device", "valid_pixels"}


def functions(body: list[ast.stmt]) -> dict[str, str]:
    return {each.name: ast.unparse(each) for each in body if isinstance(each, ast.FunctionDef)}


def methods(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    (found,) = [each for each in tree.body if isinstance(each, ast.ClassDef)]
    return {each.name: each for each in found.body if isinstance(each, ast.FunctionDef)}


@pytest.fixture(scope="module")
def trees() -> list[ast.Module]:
    assert len(FILES) == 4
    return [ast.parse(file.read_text(encoding="utf-8")) for file in FILES]


def test_functions_of_one_name_are_equal(trees: list[ast.Module]) -> None:
    found = [functions(tree.body) for tree in trees]
    assert set.intersection(*(set(each) for each in found)) == SHARED
    for name in {name for each in found for name in each}:
        assert len({each[name] for each in found if name in each}) == 1, name


def test_definition_and_network_are_read_alike(trees: list[ast.Module]) -> None:
    begins = [[ast.unparse(each) for each in methods(tree)["initialize"].body] for tree in trees]
    common = min(map(len, begins))
    assert common >= 8 and all(each[:common] == begins[0][:common] for each in begins)
    answers = [methods(tree).get("getGeometryType") for tree in trees]
    assert len({ast.unparse(each) for each in answers if each}) == 1


def test_each_says_why(trees: list[ast.Module]) -> None:
    for tree in trees:
        text = " ".join((ast.get_docstring(tree) or "").split())
        assert "complete in one file: what it shares with the other functions is repeated" in text
