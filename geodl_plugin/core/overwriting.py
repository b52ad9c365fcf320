"""Results that would replace what they are made from, or each other."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Union

from .errors import InputError
from .replacing import is_held

Identity = Union[str, tuple[int, int]]


def refuse_inputs(outputs: Iterable[str | Path], inputs: Iterable[str | Path]) -> None:
    """See to it that no result replaces an input, nor another result, nor what nobody can replace.

    Args:
        outputs: files to write; empty names count as none.
        inputs: what is read: files, layers in files (``file.gpkg|layername=…``), or anything
            else, which no file can be.

    Raises:
        InputError: with the name of the file that would be lost, or that another program has open
            on Windows: there the result could not take its name in the end; nor can it that of a
            folder.
    """
    read = {_identity(each) for each in inputs if str(each)}
    written: set[Identity] = set()
    for each in outputs:
        if not str(each):
            continue
        name, identity = Path(each).name, _identity(each)
        if identity in read:
            raise InputError(
                f"'{name}' is an input, which the result would replace. Choose another file for "
                "the result."
            )
        if identity in written:
            raise InputError(f"'{name}' is named for two results. Choose another file for one.")
        if os.path.isdir(each):  # noqa: PTH112 -- Path's raises for names too long for a file
            raise InputError(f"'{each}' is a folder. Give the name of a file for the result.")
        if is_held(Path(each)):
            raise InputError(
                f"'{name}' is open, in QGIS or another program, and cannot be replaced. Remove its "
                "layer from the project, or choose another file for the result."
            )
        written.add(identity)


def same_file(one: str | Path, other: str | Path) -> bool:
    """Return whether two names are those of one file, there or to be written."""
    return _identity(one) == _identity(other)


def _identity(source: str | Path) -> Identity:
    """Return what two names of one file have in common: links and the case do not matter."""
    text = str(source)
    for path in (text, text.partition("|")[0]):
        try:
            status = Path(path).stat()
        except (OSError, ValueError):  # none yet, or a text that is no path
            continue
        if status.st_ino:
            return status.st_dev, status.st_ino
    try:
        path = os.path.normcase(os.path.realpath(text.partition("|")[0]))
    except (OSError, ValueError):
        return text
    return path.lower() if sys.platform == "darwin" else path
