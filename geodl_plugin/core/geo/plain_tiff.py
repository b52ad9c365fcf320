"""The directory of a TIFF file whose tiles follow it, uncompressed, one after another.

BigTIFF, whose directory is written before any tile: such a file is whole at every moment.
https://libtiff.gitlab.io/libtiff/specification/bigtiff.html
"""

from __future__ import annotations

import struct

import numpy as np

SHORT, LONG, LONG8 = 3, 4, 16
_CODES = {SHORT: "<u2", LONG: "<u4", LONG8: "<u8"}
_FIRST = 16  # bytes before the directory
_ENTRY = 20  # bytes of an entry
_INLINE = 8  # bytes that an entry itself can hold


def tile_count(length: int, side: int) -> int:
    """Return how many tiles cover a length."""
    return -(-length // side)


def directory(width: int, height: int, bands: int, itemsize: int, side: int) -> bytes:
    """Return what precedes the tiles of a file.

    The tiles of the first band come first, row by row, and all are whole.

    Args:
        width, height, bands: of the raster.
        itemsize: bytes of a value, an unsigned integer.
        side: of a tile in pixels; a multiple of 16.
    """
    count = tile_count(width, side) * tile_count(height, side) * bands
    size = side * side * itemsize
    entries: list[tuple[int, int, list[int] | np.ndarray]] = [
        (256, LONG, [width]),
        (257, LONG, [height]),
        (258, SHORT, [8 * itemsize] * bands),
        (259, SHORT, [1]),  # not compressed
        (262, SHORT, [1]),  # 0 is black
        (277, SHORT, [bands]),
        (284, SHORT, [2 if bands > 1 else 1]),  # band after band
        (322, LONG, [side]),
        (323, LONG, [side]),
        (324, LONG8, np.zeros(count, np.uint64)),  # where the tiles are, told below
        (325, LONG, [size] * count),
    ]
    if bands > 1:
        entries.append((338, SHORT, [0] * (bands - 1)))  # further bands are no colours
    after = _FIRST + 8 + _ENTRY * len(entries) + 8
    arrays = [np.asarray(values, _CODES[kind]) for _, kind, values in entries]
    begin = after + sum(each.nbytes for each in arrays if each.nbytes > _INLINE)
    arrays[9] = (begin + size * np.arange(count, dtype=np.uint64)).astype(_CODES[LONG8])
    lines, contents = [], []
    for (tag, kind, _), array in zip(entries, arrays):
        if array.nbytes > _INLINE:
            value = struct.pack("<Q", after + sum(map(len, contents)))
            contents.append(array.tobytes())
        else:
            value = array.tobytes().ljust(_INLINE, b"\0")
        lines.append(struct.pack("<HHQ", tag, kind, array.size) + value)
    head = struct.pack("<2sHHHQ", b"II", 43, 8, 0, _FIRST)
    return b"".join([head, struct.pack("<Q", len(lines)), *lines, struct.pack("<Q", 0), *contents])
