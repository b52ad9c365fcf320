"""Folders for a while."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.places import temporary_folder, unquoted


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no file be removed, as where Windows has it open for somebody."""

    def refuse(*_arguments: object, **_options: object) -> None:
        raise PermissionError(13, "The process cannot access the file")

    monkeypatch.setattr(os, "unlink", refuse)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (' "C:\\my chips\\map" ', "C:\\my chips\\map"),
        ("/a b/c", "/a b/c"),
        ('"a";"b"', '"a";"b"'),
        ('{"Framework": "PyTorch"}', '{"Framework": "PyTorch"}'),
        ('"', '"'),
        ('""', ""),
    ],
)
def test_quotes_around_a_path_are_not_of_it(typed: str, meant: str) -> None:
    assert unquoted(typed) == meant


def test_a_temporary_folder_is_removed() -> None:
    with temporary_folder("test") as folder:
        (folder / "a").touch()
    assert not folder.exists() and folder.name.startswith("geodl-test-")


def test_what_is_held_hides_no_error(held: None, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(InputError, match="the real one"), temporary_folder("test") as folder:
        (folder / "a").touch()
        raise InputError("the real one")
    with temporary_folder("test") as folder:
        (folder / "a").touch()
    assert (folder / "a").exists()


@pytest.mark.parametrize("folder", ["core", "worker", "gui", "algorithms"])
def test_no_folder_is_removed_at_any_price(folder: str) -> None:
    """Python's own way raises where a file is open, in place of what has gone wrong before."""
    package = Path(__file__).resolve().parents[2] / "geodl_plugin" / folder
    for path in package.rglob("*.py"):
        assert "TemporaryDirectory" not in path.read_text(encoding="utf-8"), path
