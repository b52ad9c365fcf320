"""Messages of protocol buffers, read field by field; what is not wanted is skipped unread.

https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
LONGEST_VALUE = 16 * 1024 * 1024  # bytes; what is longer is no description but weights
DEEPEST = 32  # graphs inside graphs


class DamagedMessageError(ValueError):
    """The bytes are no message."""


@dataclass(frozen=True)
class Span:
    """A part of a file: from ``start`` to ``end``."""

    start: int
    end: int


def fields(file: BinaryIO, span: Span) -> Iterator[tuple[int, int | Span]]:
    """Yield the number of each field with its integer, or with the part that holds its bytes.

    Raises:
        DamagedMessageError: when the part is no message.
    """
    place = span.start
    while place < span.end:
        file.seek(place)
        key, place = _varint(file, place)
        number, kind = key >> 3, key & 7
        value: int | Span
        if kind == VARINT:
            value, place = _varint(file, place)
        elif kind == BYTES:
            length, place = _varint(file, place)
            value, place = Span(place, place + length), place + length
        elif kind in (FIXED32, FIXED64):
            size = 4 if kind == FIXED32 else 8
            value, place = Span(place, place + size), place + size
        else:
            raise DamagedMessageError(f"a field of the kind {kind}")
        if place > span.end or number == 0:
            raise DamagedMessageError("a field that is longer than its message")
        yield number, value


def parts(file: BinaryIO, span: Span, wanted: int) -> list[Span]:
    """Return where the messages and texts of one field lie."""
    found = (value for number, value in fields(file, span) if number == wanted)
    return [value for value in found if isinstance(value, Span)]


def text(file: BinaryIO, span: Span, wanted: int) -> str:
    """Return the last text of a field, "" without any."""
    found = parts(file, span, wanted)
    if not found:
        return ""
    if found[-1].end - found[-1].start > LONGEST_VALUE:
        raise DamagedMessageError("a text that is too long")
    file.seek(found[-1].start)
    return file.read(found[-1].end - found[-1].start).decode("utf-8", "replace")


def integer(file: BinaryIO, span: Span, wanted: int) -> int:
    """Return the last integer of a field, 0 without any."""
    found = [value for number, value in fields(file, span) if number == wanted]
    return next((value for value in reversed(found) if isinstance(value, int)), 0)


def whole(file: BinaryIO) -> Span:
    """Return the part that is all of a file."""
    return Span(0, file.seek(0, io.SEEK_END))


def _varint(file: BinaryIO, place: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        byte = file.read(1)
        if not byte:
            raise DamagedMessageError("the end in the middle of a number")
        place += 1
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value, place
        shift += 7
    raise DamagedMessageError("a number without an end")
