"""Temporary files of processes that ended before they could remove them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path

from .locks import lock


def remove_leftovers(output: str | Path) -> None:
    """Remove the temporary files beside a result whose writer is dead.

    They are called ``.NAME.part-PID.tif`` or ``NAME.part-PID.gpkg``. Those of a process that
    still runs are left alone: two runs may write side by side.
    """
    path = Path(output)
    pattern = re.compile(rf"\.?{re.escape(path.stem)}\.part-(\d+)\..*")
    if not path.parent.is_dir():
        return
    for each in list(path.parent.iterdir()):
        found = pattern.fullmatch(each.name)
        if found and each.is_file() and not _runs(int(found.group(1))):
            with contextlib.suppress(OSError):
                each.unlink()


def _runs(process: int) -> bool:
    if os.name == "nt":
        return False  # a file that is still open cannot be removed there
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def unfinished(output: str | Path, what: str) -> Path:
    """Return the path of a file, or folder, that belongs to an unfinished result."""
    path = Path(output)
    return path.with_name(f".{path.stem}.unfinished.{what}")


def is_unfinished(output: str | Path) -> bool:
    """Return whether the same call would go on where an ended run was."""
    return unfinished(output, "journal").exists()


def remove_unfinished(output: str | Path) -> None:
    """Remove what an ended run has left of a result, so that it cannot go on.

    While another run writes the result, which holds its journal, all is left alone.
    """
    journal = unfinished(output, "journal")
    if not journal.parent.is_dir():
        return
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(FileNotFoundError):
            try:
                file = stack.enter_context(journal.open("r+b", buffering=0))
            except PermissionError:  # Windows removes no file that is open
                return
            if not lock(file):
                return
        for each in _unfinished_files(output):
            with contextlib.suppress(OSError):
                shutil.rmtree(each) if each.is_dir() else each.unlink()
    with contextlib.suppress(OSError):
        if os.name == "nt":  # where the journal was open until now
            journal.unlink()


def _unfinished_files(output: str | Path) -> list[Path]:
    begin = unfinished(output, "")
    return [each for each in begin.parent.iterdir() if each.name.startswith(begin.name)]
