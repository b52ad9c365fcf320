"""What overlapping tiles have said of the cells that wait for further tiles."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import FileError

LIMIT = 128 * 1024 * 1024  # bytes of sums in memory; those of a wide raster lie on disk


@dataclass
class CellSum:
    """What tiles have said about a cell so far.

    Attributes:
        chances: weighted answers ``(n, rows, cols)``, ``None`` as long as there was none.
        weight: of all of them, ``(rows, cols)``.
        wanted: where an answer is wanted, ``(rows, cols)``.
        missing: how many tiles have not answered yet.
    """

    chances: np.ndarray | None
    weight: np.ndarray | None
    wanted: np.ndarray
    missing: int

    @property
    def size(self) -> int:
        """Bytes of the arrays."""
        arrays = (self.chances, self.weight, self.wanted)
        return sum(each.nbytes for each in arrays if each is not None)


class CellSums:
    """Sums by the numbers of their cells; beyond a limit the oldest ones lie in files.

    A row of tiles is unfinished until the next one: of a wide raster that is more than memory
    should hold.

    Args:
        folder: for the files, made when the first one is; what lies there is removed.
        limit: bytes of sums in memory.
    """

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self._folder = folder
        self._limit = limit
        self._kept: dict[int, CellSum] = {}
        self._bytes = 0
        self._written: dict[int, int] = {}  # missing tiles of the sums in files
        self.close()

    def __contains__(self, number: int) -> bool:
        return number in self._kept or number in self._written

    def put(self, number: int, sum_: CellSum) -> None:
        """Keep the sum of a cell.

        Raises:
            FileError: when there is no room for it on the disk.
        """
        self._kept[number] = sum_
        self._bytes += sum_.size
        while self._bytes > self._limit and self._kept:
            oldest = next(iter(self._kept))
            self._write(oldest, self._taken(oldest))

    def take(self, number: int) -> CellSum | None:
        """Return the sum of a cell and keep it no longer; ``None`` when there is none.

        Raises:
            FileError: when its file cannot be read.
        """
        if number in self._kept:
            return self._taken(number)
        return self._read(number) if number in self._written else None

    def close(self) -> None:
        """Remove the files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _taken(self, number: int) -> CellSum:
        sum_ = self._kept.pop(number)
        self._bytes -= sum_.size
        return sum_

    def _write(self, number: int, sum_: CellSum) -> None:
        try:
            self._folder.mkdir(exist_ok=True)
            with self._path(number).open("wb") as file:
                np.save(file, sum_.wanted)
                if sum_.chances is not None and sum_.weight is not None:
                    np.save(file, sum_.chances)
                    np.save(file, sum_.weight)
        except OSError as error:
            raise FileError.of(error) from error
        self._written[number] = sum_.missing

    def _read(self, number: int) -> CellSum:
        path = self._path(number)
        chances = weight = None
        try:
            with path.open("rb") as file:
                wanted = np.load(file, allow_pickle=False)
                if file.read(1):
                    file.seek(-1, 1)
                    chances = np.load(file, allow_pickle=False)
                    weight = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise FileError(
                f"'{path}' cannot be read any more ({error}). Run the same call again."
            ) from error
        with contextlib.suppress(OSError):
            path.unlink()
        return CellSum(chances, weight, wanted, self._written.pop(number))

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.npy"
