"""Tiles: how a raster is cut for a network, and how a tile is read."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError, RasterError
from ..geo.grid import Tile, Window, tile_spans
from ..geo.mask import PolygonMask
from ..geo.raster import Block
from ..geo.raster_pool import RasterPool
from ..progress import Progress
from .checks import Job
from .model import Model
from .options import DetectionOptions, PixelOptions

Span = tuple[int, int, int]
# Takes a tile, where all of it has data and where of its inner part a result is wanted.
Trim = Callable[[Tile, np.ndarray, np.ndarray], Window]


@dataclass(frozen=True)
class TilePlan:
    """The tiles of a raster, those that meet an area of it.

    The tiles do not depend on the area, so a part of a raster gives the same result as the
    same part of the whole.

    Attributes:
        raster, area: windows of the whole raster and of the wanted part.
        size: side of a tile, in pixels.
        rim: of a tile that is context only.
        step: to which tiles keep.
        blended: whether tiles are blended where they overlap: then their inner windows are
            all that they see of the area, and overlap too.
        overhanging: whether tiles have their rim at the raster's edges too: there is no answer
            in the rim.
    """

    raster: Window
    area: Window
    size: int
    rim: int
    step: int
    blended: bool = False
    overhanging: bool = False

    def __len__(self) -> int:
        return len(self.columns()) * len(self.rows())

    def __iter__(self) -> Iterator[Tile]:
        """Yield the tiles row by row."""
        columns = self.columns()
        for row, top, bottom in self.rows():
            for col, left, right in columns:
                yield Tile(
                    Window(left, top, right - left, bottom - top),
                    Window(col, row, self.size, self.size),
                )

    def columns(self) -> list[Span]:
        """Return the start of each column of tiles, and where its inner part starts and ends."""
        return self._spans(self.raster.width, self.area.col, self.area.right)

    def rows(self) -> list[Span]:
        """Return the start of each row of tiles, and where its inner part starts and ends."""
        return self._spans(self.raster.height, self.area.row, self.area.bottom)

    def _spans(self, length: int, first: int, last: int) -> list[Span]:
        hang = self.rim if self.overhanging else 0
        spans = tile_spans(length + 2 * hang, self.size, self.rim, self.step)
        spans = [(start - hang, begin - hang, end - hang) for start, begin, end in spans]
        if self.blended:
            spans = [(start, start, start + self.size) for start, _, _ in spans]
        return _clip(spans, first, last)


def _clip(spans: list[Span], first: int, last: int) -> list[Span]:
    clipped = [(start, max(begin, first), min(end, last)) for start, begin, end in spans]
    return [span for span in clipped if span[1] < span[2]]


def plan(
    job: Job,
    options: PixelOptions | DetectionOptions,
    network: Any,
    usual: int,
    share: int,
    widest: int = 0,
) -> TilePlan:
    """Return the tiles for a network.

    Args:
        job: model, raster and the part of it that is wanted.
        options: with ``tile_size`` and ``padding``.
        network: may say ``tile_step``, of which a tile's side is a multiple, ``fixed_tile``,
            the only side that it takes, and ``padding``, the only rim.
        usual: side of a tile where neither user nor network wants another one.
        share: of the tile that is its default padding: 4 for a quarter.
        widest: side up to which the usual tile is widened, with the same padding: what
            neighbours would compute twice is computed once.

    Raises:
        InputError: when the sizes do not fit.
    """
    step, fixed = int(getattr(network, "tile_step", 32)), getattr(network, "fixed_tile", None)
    raster, wanted, padding = job.raster, options.tile_size, options.padding
    if fixed and wanted not in (0, fixed):
        raise InputError(
            f"tile_size={wanted} does not fit '{job.model.name}', which takes tiles of {fixed} "
            "pixels only. Leave the argument out."
        )
    size = fixed or _round_up(wanted or max(job.model.chip_size, usual), step)
    told = job.model.padding
    if told is not None and padding not in (None, told):
        raise InputError(
            f"padding={padding} does not fit '{job.model.name}', whose definition fixes it at "
            f"{told} pixels. Leave the argument out."
        )
    padding = padding if told is None else told
    own = getattr(network, "padding", None)
    rim = own if own is not None else size // share if padding is None else padding
    if 2 * rim >= size:
        raise InputError(
            f"padding={rim} leaves nothing of a tile of {size} pixels. Use less than {size // 2}."
        )
    if size - 2 * rim < step:
        chosen = options.padding is not None and own is None and told is None
        if chosen and (fixed or wanted) and max(raster.window.width, raster.window.height) > size:
            raise InputError(
                f"padding={rim} leaves less than {step} pixels, the network's step, of a tile of "
                f"{size}. Use at most {(size - step) // 2}"
                + ("." if fixed else ", or a larger tile_size.")
            )
        if padding is not None and not fixed and not wanted:
            size = _round_up(2 * rim + step, step)
    if not fixed and not wanted:
        size = _cheapest(raster.window, size, max(size, widest), rim, step)
    blended = getattr(options, "blend", "crop") != "crop"
    rim = min(rim, (size - 1) // 2)
    return TilePlan(raster.window, job.area, size, rim, step, blended, own is not None)


def _cheapest(raster: Window, usual: int, widest: int, rim: int, step: int) -> int:
    """Return the side of tiles, from the usual to the widest one, that compute the fewest pixels.

    A raster smaller than the tile would be computed with empty pixels around it.
    """
    enough = _round_up(max(raster.width, raster.height), step)

    def pixels(size: int) -> int:
        rows, cols = (tile_spans(side, size, rim, step) for side in (raster.height, raster.width))
        return len(rows) * len(cols) * size**2

    return min(range(min(usual, enough), min(widest, enough) + 1, step), key=pixels)


def _round_up(length: int, step: int) -> int:
    return math.ceil(length / step) * step


@dataclass(frozen=True)
class TileImage:
    """A tile as the network sees it.

    Attributes:
        tile: its windows.
        seen: the window of the raster that the image shows: the outer one, or a part of it.
        image: array ``(bands, rows, cols)`` as of :meth:`.model.Model.prepare`.
        valid: array ``(rows, cols)`` of what is seen: where the raster has data.
        inside: as ``valid``: where a result is wanted; ``None`` for everywhere.
    """

    tile: Tile
    seen: Window
    image: np.ndarray
    valid: np.ndarray
    inside: np.ndarray | None

    @property
    def inner(self) -> Window:
        """The part of the tile's inner window that is seen; all that is wanted lies there."""
        return self.tile.inner.intersection(self.seen) or self.tile.inner

    @property
    def wanted(self) -> np.ndarray:
        """Where :attr:`inner` has data and is wanted, as array ``(rows, cols)``."""
        inner = self.inner.slices(self.seen)
        return self.valid[inner] if self.inside is None else (self.valid & self.inside)[inner]


def to_wanted(plan: TilePlan) -> Trim:
    """Return what trims a tile to what is wanted of it, and the padding around."""

    def trim(tile: Tile, _: np.ndarray, wanted: np.ndarray) -> Window:
        return _part(tile.outer, tile.inner, wanted, plan.rim, plan.step)

    return trim


def to_data(plan: TilePlan) -> Trim:
    """Return what trims a tile to where it has data: whatever it shows is seen as before."""

    def trim(tile: Tile, valid: np.ndarray, _: np.ndarray) -> Window:
        return _part(tile.outer, tile.outer, valid, 0, plan.step)

    return trim


def _part(outer: Window, window: Window, where: np.ndarray, rim: int, step: int) -> Window:
    """Return the part of a tile around some pixels, which starts at the network's grid.

    Args:
        outer: window of the tile.
        window: of it, in which the pixels lie.
        where: array ``(rows, cols)`` of that window, true at the pixels; some are.
        rim: pixels that stay around them.
        step: of the grid.
    """
    rows, cols = (np.flatnonzero(where.any(axis=axis)) for axis in (1, 0))
    left, right = _needed(window.col + cols[[0, -1]], outer.col, outer.right, rim, step)
    top, bottom = _needed(window.row + rows[[0, -1]], outer.row, outer.bottom, rim, step)
    return Window(left, top, right - left, bottom - top)


def _needed(ends: np.ndarray, first: int, last: int, rim: int, step: int) -> tuple[int, int]:
    """Return the pixels needed along one axis for those from end to end."""
    start = first + max(int(ends[0]) - rim - first, 0) // step * step
    stop = start + _round_up(int(ends[1]) + 1 + rim - start, step)
    return start, min(stop, last)


class TileReader:
    """Reads tiles; every thread needs its own reader.

    Args:
        raster, model: what to read for which network.
        mask: path and layer of the polygons inside which results are wanted.
        trim: tells which part of a tile is needed; default is all of it.
        damaged: is told why a block cannot be read, which then has no data; default is to raise.
    """

    def __init__(
        self,
        raster: RasterPool,
        model: Model,
        mask: list[str] | None = None,
        trim: Trim | None = None,
        damaged: Damaged | None = None,
    ) -> None:
        self._raster = raster
        self._model = model
        self._trim = trim
        self._damaged = damaged
        self._mask = PolygonMask(mask[0], mask[1], self._raster) if mask else None

    def __call__(self, tile: Tile) -> TileImage | None:
        """Return a tile, or ``None`` when its inner part has no data or is not wanted."""
        if self._is_blank(tile.inner):
            return None
        inside = self._mask.inside(tile.outer) if self._mask else None
        if inside is not None and not inside[tile.inner.slices(tile.outer)].any():
            return None
        block = self._read(tile.outer)
        inner = tile.inner.slices(tile.outer)
        wanted = block.valid[inner] if inside is None else (block.valid & inside)[inner]
        if not wanted.any():
            return None
        seen = tile.outer
        if self._trim is not None:
            seen = self._trim(tile, block.valid, wanted)
            place = seen.slices(tile.outer)
            block = Block(block.pixels[(slice(None), *place)], block.valid[place])
            inside = None if inside is None else inside[place]
        return TileImage(tile, seen, self._model.prepare(block), block.valid, inside)

    def _is_blank(self, window: Window) -> bool:
        try:
            return self._raster.is_blank(window)
        except RasterError:
            if self._damaged is None:
                raise
            return False  # parts of its mask may be whole: that is seen when it is read

    def _read(self, window: Window) -> Block:
        try:
            return self._raster.read(window, self._model.bands)
        except RasterError:
            if self._damaged is None:
                raise
            return self._raster.read_around(window, self._model.bands, self._damaged)


class Damaged:
    """Warns of each damaged place once, whichever thread finds it; of many, of their number.

    Args:
        progress: is warned.
        consequence: a sentence that says what becomes of the place.
    """

    few = 10  # places, of which each is told

    def __init__(self, progress: Progress, consequence: str) -> None:
        self._progress = progress
        self._consequence = consequence
        self._told: set[Hashable] = set()
        self._turn = threading.Lock()

    def __call__(self, message: str, place: Hashable = None) -> None:
        """Warn of a place; where none is given, of what the message has not told yet."""
        with self._turn:
            before = len(self._told)
            self._told.add(message if place is None else place)
            count = len(self._told)
        if count == before:
            return
        more = count - self.few
        if more <= 0:
            self._progress.warn(f"{message} {self._consequence}")
        elif more & (more - 1) == 0:  # 1, 2, 4, 8, ...: a damaged disk has thousands
            self._progress.warn(
                f"At least {count} places cannot be read; only the first {self.few} are named."
            )
