"""Tiles become one raster: cropped to their inner parts, or blended where they overlap."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..geo.grid import Tile, Window
from .cell_sums import CellSum, CellSums
from .tiles import TilePlan

SPREAD = 1 / 8  # standard deviation of a tile's weights, as share of its side
LEAST_WEIGHT = 1e-3  # of a tile's corner: no pixel is without an answer


@dataclass(frozen=True)
class Cell:
    """A part of the raster that the same tiles see.

    Attributes:
        number: its place in the plan, the same in every run.
        window: in the raster.
        tiles: how many tiles contribute to it.
    """

    number: int
    window: Window
    tiles: int


class Cells:
    """The parts into which the borders of a plan's inner windows cut the area.

    When tiles are cropped, each has one cell, its inner part. When they are blended, their
    inner parts overlap and several tiles share a cell.
    """

    def __init__(self, plan: TilePlan) -> None:
        self._columns = _intervals(plan.columns())
        self._rows = _intervals(plan.rows())

    def __len__(self) -> int:
        return len(self._columns) * len(self._rows)

    def of(self, tile: Tile) -> Iterator[Cell]:
        """Yield the cells that meet a tile's inner window."""
        window = tile.inner
        for y in _meeting(self._rows, window.row, window.bottom):
            top, bottom, high = self._rows[y]
            for x in _meeting(self._columns, window.col, window.right):
                left, right, wide = self._columns[x]
                yield Cell(
                    y * len(self._columns) + x,
                    Window(left, top, right - left, bottom - top),
                    high * wide,
                )


def _intervals(spans: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Return along one axis where each interval begins and ends, and how many tiles have it."""
    edges = sorted({edge for _, begin, end in spans for edge in (begin, end)})
    return [
        (first, last, sum(begin <= first and last <= end for _, begin, end in spans))
        for first, last in zip(edges, edges[1:])
    ]


def _meeting(intervals: Sequence[tuple[int, int, int]], begin: int, end: int) -> range:
    """Return the positions of the intervals that meet one from ``begin`` to ``end``."""
    first = bisect.bisect_right([last for _, last, _ in intervals], begin)
    return range(first, bisect.bisect_left([start for start, _, _ in intervals], end))


@lru_cache(maxsize=4)
def weights(size: int) -> np.ndarray:
    """Return the weights ``(size, size)`` of a tile's pixels: a bell, 1 in the middle."""
    place = (np.arange(size) + 0.5) / size - 0.5
    bell = np.exp(-0.5 * (place / SPREAD) ** 2)
    return np.maximum(np.outer(bell, bell), LEAST_WEIGHT).astype(np.float32)


class Blender:
    """Adds up the weighted answers of overlapping tiles until their cells are finished.

    Args:
        cells: of the plan.
        size: side of a tile.
        done: numbers of cells that are finished already.
        sums: where those of unfinished cells are kept.
        finished: is told of each cell with its mean answer ``(n, rows, cols)``, ``None`` when
            no tile had one, and where an answer is wanted ``(rows, cols)``.
    """

    def __init__(
        self,
        cells: Cells,
        size: int,
        done: Container[int],
        sums: CellSums,
        finished: Callable[[Cell, np.ndarray | None, np.ndarray], None],
    ) -> None:
        self._cells = cells
        self._weights = weights(size)
        self._done = done
        self._finished = finished
        self._sums = sums

    def add(self, tile: Tile, chances: np.ndarray | None, wanted: np.ndarray | None) -> None:
        """Add the answer of a tile, or that it has none.

        Args:
            tile: of the plan.
            chances: array ``(n, rows, cols)`` of its outer window.
            wanted: array ``(rows, cols)`` of its inner window.
        """
        for cell in self._cells.of(tile):
            if cell.number in self._done:
                continue
            sum_ = self._sums.take(cell.number)
            if sum_ is None:
                shape = cell.window.height, cell.window.width
                sum_ = CellSum(None, None, np.zeros(shape, bool), cell.tiles)
            if chances is not None and wanted is not None:
                place = cell.window.slices(tile.outer)
                weight = self._weights[place]
                part = chances[(slice(None), *place)] * weight
                sum_.chances = part if sum_.chances is None else sum_.chances + part
                sum_.weight = weight if sum_.weight is None else sum_.weight + weight
                sum_.wanted |= wanted[cell.window.slices(tile.inner)]
            sum_.missing -= 1
            if sum_.missing:
                self._sums.put(cell.number, sum_)
            else:
                mean = None if sum_.chances is None else sum_.chances / sum_.weight
                self._finished(cell, mean, sum_.wanted)

    def needs(self, tile: Tile) -> bool:
        """Return whether a tile that was added has a cell which waits for other tiles."""
        return any(cell.number in self._sums for cell in self._cells.of(tile))
