"""The directory of a TIFF file whose tiles follow it, uncompressed, one after another.

BigTIFF, whose directory is written before any tile: such a file is whole at every moment.
https://libtiff.gitlab.io/libtiff/specification/bigtiff.html
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

SHORT, LONG, LONG8 = 3, 4, 16
_CODES = {SHORT: "<u2", LONG: "<u4", LONG8: "<u8"}
_FIRST = 16  # bytes before the directory
_ENTRY = 20  # bytes of an entry
_INLINE = 8  # bytes that an entry itself can hold
_PIECE = 65536  # tiles whose places are told at a time
# An entry's tag, its type, the bytes of its values, and what yields these.
_Entry = tuple[int, int, int, Callable[[], Iterator[bytes]]]


def tile_count(length: int, side: int) -> int:
    """Return how many tiles cover a length."""
    return -(-length // side)


@dataclass(frozen=True)
class Directory:
    """What precedes the tiles of a file.

    The tiles of the first band come first, row by row, and all are whole.

    Attributes:
        width, height, bands: of the raster.
        itemsize: bytes of a value, an unsigned integer.
        side: of a tile in pixels; a multiple of 16.
    """

    width: int
    height: int
    bands: int
    itemsize: int
    side: int

    @property
    def length(self) -> int:
        """How many bytes it has, which is where the tiles begin."""
        return self._after + sum(size for _, _, size, _ in self._entries() if size > _INLINE)

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes in small pieces: there may be hundreds of millions of tiles."""
        entries = self._entries()
        yield struct.pack("<2sHHHQQ", b"II", 43, 8, 0, _FIRST, len(entries))
        place = self._after
        for tag, kind, size, content in entries:
            yield struct.pack("<HHQ", tag, kind, size // np.dtype(_CODES[kind]).itemsize)
            if size > _INLINE:
                yield struct.pack("<Q", place)
                place += size
            else:
                yield b"".join(content()).ljust(_INLINE, b"\0")
        yield struct.pack("<Q", 0)
        for _, _, size, content in entries:
            if size > _INLINE:
                yield from content()

    @property
    def _count(self) -> int:
        across, down = tile_count(self.width, self.side), tile_count(self.height, self.side)
        return across * down * self.bands

    @property
    def _after(self) -> int:
        """Where the values begin that do not fit into the entries."""
        return _FIRST + 8 + _ENTRY * len(self._entries()) + 8

    def _entries(self) -> list[_Entry]:
        bands = self.bands
        entries = [
            _entry(256, LONG, [self.width]),
            _entry(257, LONG, [self.height]),
            _entry(258, SHORT, [8 * self.itemsize] * bands),
            _entry(259, SHORT, [1]),  # not compressed
            _entry(262, SHORT, [1]),  # 0 is black
            _entry(277, SHORT, [bands]),
            _entry(284, SHORT, [2 if bands > 1 else 1]),  # band after band
            _entry(322, LONG, [self.side]),
            _entry(323, LONG, [self.side]),
            (324, LONG8, 8 * self._count, self._places),
            (325, LONG, 4 * self._count, self._sizes),
        ]
        if bands > 1:
            entries.append(_entry(338, SHORT, [0] * (bands - 1)))  # further bands are no colours
        return entries

    @property
    def _tile_size(self) -> int:
        return self.side * self.side * self.itemsize

    def _places(self) -> Iterator[bytes]:
        first, size = self.length, np.uint64(self._tile_size)
        for begin, end in self._spans():
            numbers = np.arange(begin, end, dtype=np.uint64)
            yield (first + size * numbers).astype(_CODES[LONG8]).tobytes()

    def _sizes(self) -> Iterator[bytes]:
        for begin, end in self._spans():
            yield np.full(end - begin, self._tile_size, _CODES[LONG]).tobytes()

    def _spans(self) -> Iterator[tuple[int, int]]:
        for begin in range(0, self._count, _PIECE):
            yield begin, min(begin + _PIECE, self._count)


def _entry(tag: int, kind: int, values: Sequence[int]) -> _Entry:
    content = np.array(values, _CODES[kind]).tobytes()
    return tag, kind, len(content), lambda: iter([content])
