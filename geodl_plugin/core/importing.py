"""Importing large libraries."""

from __future__ import annotations

import atexit
import contextlib
import gc
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def importing(library: str) -> Iterator[None]:
    """Import a library, where that is still to be done, without a search for garbage.

    torch and what is built on it make half a million objects that stay. The collector would look
    through all of them time and again while they are made, a fifth of the time that importing
    takes, and later whenever there are many more. Here it rests, and then leaves alone for good
    what there is.
    """
    if library in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        atexit.register(gc.unfreeze)  # some libraries take for a leak what is left at the end
