"""Calling GDAL: its errors and messages."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from osgeo import gdal

_raised = threading.local()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep GDAL from writing to standard error; its last message stays readable."""
    gdal.PushErrorHandler("CPLQuietErrorHandler")
    try:
        yield
    finally:
        gdal.PopErrorHandler()


def attempt(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a function of GDAL and return ``None`` when it fails.

    QGIS from 3.38 turns GDAL's exceptions on and older ones do not: both end here alike.
    """
    _raised.text = ""
    with quiet():
        gdal.ErrorReset()
        try:
            return function(*arguments, **options)
        except RuntimeError as error:
            _raised.text = str(error)  # GDAL's own memory is empty then
            return None


def last_error() -> str:
    """Return GDAL's last message without its line breaks."""
    return " ".join((gdal.GetLastErrorMsg() or getattr(_raised, "text", "")).split())
