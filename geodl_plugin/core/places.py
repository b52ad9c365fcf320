"""Where GeoDL keeps what belongs to a user, in QGIS and in the worker; names of files."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Devices of Windows: a file or folder of such a name cannot be made, with an extension neither.
DEVICES = {"con", "prn", "aux", "nul"} | {f"{p}{n}" for p in ("com", "lpt") for n in range(1, 10)}


def is_reserved(name: str) -> bool:
    """Return whether Windows keeps a name of a file for itself."""
    return name.partition(".")[0].strip().lower() in DEVICES


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
