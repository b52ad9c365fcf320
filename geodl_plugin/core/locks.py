"""Locks on files, by which runs side by side keep out of each other's way."""

from __future__ import annotations

import os
from typing import IO, Any

WINDOWS = os.name == "nt"


def lock(file: IO[Any]) -> bool:
    """Return whether the file is ours alone; the system frees it when the process ends."""
    if WINDOWS:
        import msvcrt

        # Far behind the end of the file, so that reading is not forbidden.
        file.seek(2**62)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except PermissionError:
            return False
        except OSError:  # a drive without locks, as some in the network
            return True
        return True
    import fcntl

    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
