"""Temporary files and folders of processes that ended before they could remove them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path

from .locks import lock


def remove_leftovers(output: str | Path) -> None:
    """Remove the temporary files and folders beside a result whose writer is dead.

    They are called ``.FILE.part-PID.tif``, ``FILE.part-PID.gpkg`` or ``.FOLDER.part-PID``. Those
    of a process that still runs are left alone: two runs may write side by side.
    """
    path = Path(output)
    name = re.escape(path.name)
    # Without the dot before or after it, it may be a part of something that the user has split.
    pattern = re.compile(rf"\.{name}\.part-(\d+)(?:\..*)?|{name}\.part-(\d+)\..*")
    if not path.parent.is_dir():
        return
    for each in list(path.parent.iterdir()):
        found = pattern.fullmatch(each.name)
        if not found or (each.is_dir() and not each.name.startswith(".")):
            continue
        if not _runs(int(found[1] or found[2]), each):
            with contextlib.suppress(OSError):
                shutil.rmtree(each) if each.is_dir() else each.unlink()


def _runs(process: int, path: Path) -> bool:
    """Return whether a process that writes a file or folder may still run."""
    if os.name == "nt":
        return path.is_dir()  # a file that is still open cannot be removed there
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
    return path.with_name(f".{path.name}.unfinished.{what}")


def is_unfinished(output: str | Path) -> bool:
    """Return whether the same call would go on where an ended run was."""
    return unfinished(output, "journal").exists()


def remove_unfinished(output: str | Path, *others: str | Path) -> None:
    """Remove what an ended run has left of its results, so that it cannot go on.

    While another run writes the first one, whose journal it holds, all is left alone.
    """
    journal = unfinished(output, "journal")
    with contextlib.ExitStack() as stack:
        try:
            if not lock(stack.enter_context(journal.open("r+b", buffering=0))):
                return
        except FileNotFoundError:
            pass
        except OSError:  # nobody can tell whether it is in use
            return
        for result in (output, *others):
            for each in _unfinished_files(result):
                with contextlib.suppress(OSError):
                    shutil.rmtree(each) if each.is_dir() else each.unlink()
    with contextlib.suppress(OSError):
        if os.name == "nt":  # where the journal was open until now
            journal.unlink()


def _unfinished_files(output: str | Path) -> list[Path]:
    begin = unfinished(output, "")
    folder = begin.parent
    beside = list(folder.iterdir()) if folder.is_dir() else []
    return [each for each in beside if each.name.startswith(begin.name)]
