"""Where GeoDL keeps what belongs to a user, in QGIS and in the worker; folders for a while."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Devices of Windows: a file or folder of such a name cannot be made, with an extension neither.
DEVICES = {"con", "prn", "aux", "nul"} | {f"{p}{n}" for p in ("com", "lpt") for n in range(1, 10)}


def is_reserved(name: str) -> bool:
    """Return whether Windows keeps a name of a file for itself."""
    return name.partition(".")[0].strip().lower() in DEVICES


def unquoted(text: str) -> str:
    """Return a text without blanks around it, and without quotes: Windows copies paths in them."""
    text = text.strip()
    whole = len(text) > 1 and text[0] == text[-1] == '"' and '"' not in text[1:-1]
    return text[1:-1].strip() if whole else text


def user_folder(name: str, variable: str) -> Path:
    """Return the folder ``name`` among GeoDL's own; an environment variable may say another.

    It need not exist.
    """
    named = os.environ.get(variable, "").strip()
    if named:
        return Path(named).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        return base / "GeoDL" / name
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "GeoDL" / name
    base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "geodl" / name


@contextlib.contextmanager
def temporary_folder(kind: str) -> Iterator[Path]:
    """Give a folder for temporary files, and remove it in the end.

    What Windows does not let go of, because a program that was ended has it open for a moment
    more, stays there: it is no reason for an error, nor may it hide another one.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"geodl-{kind}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
