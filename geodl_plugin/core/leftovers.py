"""Temporary files of processes that ended before they could remove them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path


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
    """Remove what an ended run has left of a result, so that it cannot go on."""
    path = Path(output)
    if not path.parent.is_dir():
        return
    begin = f".{path.stem}.unfinished."
    for each in list(path.parent.iterdir()):
        if each.name.startswith(begin):
            with contextlib.suppress(OSError):
                shutil.rmtree(each) if each.is_dir() else each.unlink()
