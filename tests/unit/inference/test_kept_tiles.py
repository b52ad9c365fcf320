"""Answers of tiles on disk: whole ones only, and none that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geodl_plugin.core.geo.grid import Tile, Window
from geodl_plugin.core.inference.kept_tiles import KeptTiles

TILE = Tile(Window(0, 0, 5, 6), Window(-2, 0, 8, 8))
CHANCES = np.random.default_rng(0).random((2, 8, 8), np.float32)
WANTED = np.arange(30).reshape(6, 5) % 3 == 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "Kacheln ü"


def test_what_is_kept_comes_back_to_the_bit(folder: Path) -> None:
    KeptTiles(folder).add(TILE, CHANCES[:, ::-1], WANTED)
    chances, wanted = KeptTiles(folder).read(TILE) or (None, None)
    assert np.array_equal(chances, CHANCES[:, ::-1]) and np.array_equal(wanted, WANTED)


def test_what_is_dropped_or_was_never_there_is_not_read(folder: Path) -> None:
    kept = KeptTiles(folder)
    assert kept.read(TILE) is None
    kept.drop(TILE)
    kept.add(TILE, CHANCES, WANTED)
    kept.drop(TILE)
    assert kept.read(TILE) is None and list(folder.iterdir()) == []
    kept.remove()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("chances", "wanted"),
    [
        (CHANCES[:, :4], WANTED),
        (CHANCES[0], WANTED),
        (CHANCES, WANTED[:2]),
        (CHANCES, WANTED.astype(np.uint8)),
        (np.array([None]), WANTED),  # a pickle
    ],
)
def test_what_does_not_fit_is_not_taken(
    folder: Path, chances: np.ndarray, wanted: np.ndarray
) -> None:
    kept = KeptTiles(folder)
    kept.add(TILE, chances, wanted)
    assert kept.read(TILE) is None


def test_a_file_that_was_cut_short_is_not_taken(folder: Path) -> None:
    kept = KeptTiles(folder)
    kept.add(TILE, CHANCES, WANTED)
    (path,) = folder.iterdir()
    content = path.read_bytes()
    for length in (0, 5, 200, len(content) - 1):
        path.write_bytes(content[:length])
        assert kept.read(TILE) is None


def test_a_folder_that_cannot_be_written_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    kept = KeptTiles(tmp_path / "file" / "tiles")
    kept.add(TILE, CHANCES, WANTED)
    assert kept.read(TILE) is None
