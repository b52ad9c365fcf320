"""Calling GDAL: its errors and messages."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from osgeo import gdal, ogr, osr

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
    if _raises():
        return _attempt_raising(function, *arguments, **options)
    with quiet():
        gdal.ErrorReset()
        try:
            return function(*arguments, **options)
        except RuntimeError as error:
            _raised.text = str(error)
            return None


def _raises() -> bool:
    return bool(gdal.GetUseExceptions() or ogr.GetUseExceptions() or osr.GetUseExceptions())


def _attempt_raising(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a function while exceptions are on: each call then empties GDAL's own memory."""
    said: list[str] = []

    def listen(_kind: int, _number: int, message: str) -> None:
        said.append(message)

    gdal.PushErrorHandler(listen)
    try:
        answer = function(*arguments, **options)
    except RuntimeError as error:
        answer, said = None, [str(error)]
    finally:
        gdal.PopErrorHandler()
    gdal.ErrorReset()
    _raised.text = said[-1] if said else ""
    return answer


def last_error() -> str:
    """Return GDAL's last message without its line breaks."""
    return " ".join((gdal.GetLastErrorMsg() or getattr(_raised, "text", "")).split())
