"""Where GeoDL keeps what belongs to a user: the same place in QGIS and in the worker."""

from __future__ import annotations

import os
import sys
from pathlib import Path


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
