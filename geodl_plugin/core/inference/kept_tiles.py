"""Answers of tiles that later ones are blended with, kept on disk for the case of a kill."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import numpy as np

from ..geo.grid import Tile
from ..replacing import replace

Answer = tuple[np.ndarray, np.ndarray]


class KeptTiles:
    """Answers of tiles, each in a file of its own until it is dropped.

    They only save time: where they cannot be written, to a full disk for example, none is kept.

    Args:
        folder: for the files, made when the first one is; what an earlier run left stays there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._works = True

    def add(self, tile: Tile, chances: np.ndarray, wanted: np.ndarray) -> None:
        """Keep the answer to a tile: ``(n, rows, cols)``, and where it counts ``(rows, cols)``."""
        if not self._works:
            return
        path = self._path(tile)
        part = path.with_suffix(".part")
        try:
            self._folder.mkdir(exist_ok=True)
            with part.open("wb") as file:
                np.save(file, chances)
                np.save(file, wanted)
            replace(part, path)
        except OSError:
            self._works = False
            self.remove()

    def read(self, tile: Tile) -> Answer | None:
        """Return what is kept of a tile, ``None`` when nothing is or it is damaged."""
        outer, inner = tile.outer, tile.inner
        try:
            with self._path(tile).open("rb") as file:
                chances, wanted = (np.load(file, allow_pickle=False) for _ in range(2))
        except (OSError, ValueError, EOFError):
            return None
        fits = chances.ndim == 3 and chances.shape[1:] == (outer.height, outer.width)
        fits = fits and wanted.shape == (inner.height, inner.width)
        return (chances, wanted) if fits and wanted.dtype == bool else None

    def drop(self, tile: Tile) -> None:
        """Keep a tile no longer."""
        with contextlib.suppress(OSError):
            self._path(tile).unlink()

    def remove(self) -> None:
        """Remove all files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, tile: Tile) -> Path:
        return self._folder / f"{tile.outer.col}_{tile.outer.row}.npy"
