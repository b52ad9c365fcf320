"""How the image of a chip tells which of its pixels have no data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..geo.raster import Block

LOSSY = ("JPEG",)  # image formats that do not give back the values they are given


@dataclass(frozen=True)
class Marked:
    """Pixels as they are written.

    Attributes:
        pixels: ``(bands, rows, cols)``.
        nodata: the value of those without data, ``None`` where no value says it.
        valid: ``(rows, cols)``, the mask to store; ``None`` where none is needed.
    """

    pixels: np.ndarray
    nodata: float | None = None
    valid: np.ndarray | None = None


def marked(block: Block, image_format: str, own: float | None) -> Marked:
    """Return the pixels of a chip so that exactly those without data are found again.

    The value is 0 where it can be. Where a pixel that has data is 0 in all bands, sea level or
    black, it is one that no such pixel has, and where there is none, a mask.

    Args:
        block: the chip.
        image_format: of the image to write.
        own: the raster's own no-data value, if it has one.
    """
    if block.valid.all():
        return Marked(block.pixels)
    if image_format not in LOSSY:
        for value in _candidates(block.pixels.dtype, own):
            if not ((block.pixels == value).all(axis=0) & block.valid).any():
                pixels = block.pixels if value == 0 else np.where(block.valid, block.pixels, value)
                return Marked(pixels, value.item())
    return Marked(block.pixels, valid=block.valid)


def _candidates(kind: np.dtype, own: float | None) -> Iterator[np.generic]:
    yield kind.type(0)
    limits = np.iinfo(kind) if np.issubdtype(kind, np.integer) else np.finfo(kind)
    if own is not None and limits.min <= own <= limits.max and kind.type(own) == own:
        yield kind.type(own)
    yield kind.type(limits.min)
    yield kind.type(limits.max)
