"""Reading around what is damaged: the rest of a window keeps its data."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from ..errors import RasterError
from .grid import Window
from .pair import RasterPair
from .raster import Block, Raster


def read_around(
    raster: Raster | RasterPair,
    window: Window,
    bands: Sequence[int],
    told: Callable[[str, Hashable], None],
) -> Block:
    """Read what can be read of a window that is damaged somewhere.

    What fails is halved, between blocks of the file, until a block is left: so a few damaged
    blocks among many cost few reads.

    Args:
        raster, window, bands: as of :meth:`.Raster.read`.
        told: is told why a block cannot be read, and which place that is.

    Returns:
        The window, invalid where a block cannot be read in one of the bands or masks.
    """
    if isinstance(raster, RasterPair):
        dates = (read_around(each, window, bands, told) for each in raster.dates)
        return raster.joined(*dates)
    pixels = np.zeros((len(bands), window.height, window.width), raster.dtype)
    valid = np.zeros((window.height, window.width), bool)
    block_size, inside = raster.block_size, window.intersection(raster.window)
    waiting = [] if inside is None else [inside]
    while waiting:
        piece = waiting.pop()
        try:
            block = raster.read(piece, bands)
        except RasterError:
            parts = _halves(piece, block_size)
            if not parts:
                # Tiles that share the block all name it alike.
                place = _whole(piece, block_size)
                told(str(raster.damage(place)), (raster.sources, place))
            waiting += reversed(parts)
            continue
        place = piece.slices(window)
        pixels[(slice(None), *place)] = block.pixels
        valid[place] = block.valid
    return Block(pixels, valid)


def _halves(window: Window, block_size: tuple[int, int]) -> tuple[Window, ...]:
    """Return the two parts of a window that meet where blocks do; none of a single block."""
    cols, rows = block_size
    first_col, first_row = window.col // cols, window.row // rows
    across = (window.right - 1) // cols - first_col + 1
    down = (window.bottom - 1) // rows - first_row + 1
    if max(across, down) == 1:
        return ()
    if across > down:
        border = (first_col + across // 2) * cols
        return (
            Window(window.col, window.row, border - window.col, window.height),
            Window(border, window.row, window.right - border, window.height),
        )
    border = (first_row + down // 2) * rows
    return (
        Window(window.col, window.row, window.width, border - window.row),
        Window(window.col, border, window.width, window.bottom - border),
    )


def _whole(window: Window, block_size: tuple[int, int]) -> Window:
    """Return the blocks that a window touches."""
    cols, rows = block_size
    left, top = window.col // cols * cols, window.row // rows * rows
    right, bottom = -(-window.right // cols) * cols, -(-window.bottom // rows) * rows
    return Window(left, top, right - left, bottom - top)
