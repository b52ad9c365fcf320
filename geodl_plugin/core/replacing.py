"""Files and folders that take their final names, or go."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

WINDOWS = os.name == "nt"
SHARING_VIOLATION = 32  # a number of Windows: the file is open

PATIENCE = 3.0  # seconds
PAUSE = 0.05  # seconds between two attempts


def replace(source: Path, target: Path) -> None:
    """Give a file or folder another name, in place of a file that has it already.

    Windows refuses it while a file is open, and programs that search for viruses or words look
    into each new file for a moment.

    Raises:
        OSError: when it is refused, on Windows again and again.
    """
    _patiently(lambda: source.replace(target))


def discard(path: Path) -> None:
    """Remove a file of no more use; one that Windows does not let go of stays.

    It is no reason for an error, nor may it hide the one for which work is thrown away.
    """
    with contextlib.suppress(OSError):
        _patiently(lambda: path.unlink(missing_ok=True))


def is_held(path: Path) -> bool:
    """Return whether a file is one that Windows lets nobody replace, as somebody has it open."""
    if not WINDOWS or not path.is_file():
        return False
    try:
        _patiently(lambda: path.rename(path))  # changes nothing, but needs the same right
    except OSError as error:
        return getattr(error, "winerror", None) == SHARING_VIOLATION
    return False


def _patiently(change: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            change()
            return
        except PermissionError:
            if not WINDOWS or time.monotonic() > end:
                raise
        time.sleep(PAUSE)
