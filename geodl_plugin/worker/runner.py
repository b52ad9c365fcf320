"""Runs one task inside the worker, and turns whatever happens into one event."""

from __future__ import annotations

import sys
import traceback
from typing import Any

from ..core.errors import (
    CancelledError,
    FileError,
    GeoDLError,
    MissingLibraryError,
    WorkerError,
)
from ..core.importing import importing
from ..core.memory import is_out_of_memory
from ..core.telemetry import silence
from .protocol import Channel, WorkerProgress, error_event
from .tasks import PACKAGE, task_named

OLDEST_PYTHON = (3, 9)

# Names in the import statement and names that people know.
LIBRARIES = {
    "torch": "PyTorch",
    "torchvision": "torchvision",
    "lightning": "Lightning",
    "segmentation_models_pytorch": "segmentation-models-pytorch",
    "skimage": "scikit-image",
    "onnx": "ONNX",
    "onnxscript": "ONNX Script",
    "openvino": "OpenVINO",
    "distributed": "Dask distributed",
    "osgeo": "GDAL",
    "numpy": "NumPy",
}

SETUP_HINT = (
    "Run the tool 'Set up deep learning libraries' with the action INSTALL, or name another Python."
)


def run_request(channel: Channel) -> int:
    """Read the request, run its task, send the result or the error; return the exit code."""
    silence()
    try:
        _check_python()
        name, options = channel.request()
        task = task_named(name)
        with importing("torch"):  # a part of the run: a library may be missing
            function = task.load()
        result = function(task.options(options), WorkerProgress(channel))
    except BaseException as error:
        unexpected = not isinstance(error, GeoDLError)
        if unexpected:
            traceback.print_exc()
        channel.send(error_event(as_geodl_error(error), unexpected))
        return 1
    channel.send({"event": "result", "result": result or {}})
    return 0


def as_geodl_error(error: BaseException) -> GeoDLError:
    """Return the error whose message is one sentence for the user."""
    if isinstance(error, GeoDLError):
        return error
    if is_out_of_memory(error):  # on Windows libraries cannot be loaded then, too
        return WorkerError(out_of_memory_sentence(error))
    if isinstance(error, ImportError):
        return _missing_library(error)
    if isinstance(error, KeyboardInterrupt):
        return CancelledError()
    if isinstance(error, OSError) and error.errno:
        return FileError.of(error)
    return WorkerError(f"The task failed unexpectedly: {describe(error)}.")


def describe(error: BaseException) -> str:
    """Return an exception as part of a sentence: its class and its first line."""
    lines = str(error).strip().splitlines()
    name = type(error).__name__
    return f"{name}: {lines[0].rstrip('.')[:300]}" if lines else name


def out_of_memory_sentence(error: BaseException) -> str:
    """Return what to do when the memory of the device or the machine does not suffice."""
    text = str(error).lower()
    where = "graphics card" if "cuda" in text or "mps" in text else "machine"
    return (
        f"The memory of the {where} does not suffice. Use a smaller batch size or a smaller "
        "tile or chip size."
    )


def _missing_library(error: ImportError) -> GeoDLError:
    top = (error.name or "").split(".")[0]
    if top == PACKAGE:
        return WorkerError(f"A part of GeoDL is missing: {describe(error)}. Install it again.")
    name = LIBRARIES.get(top, top or "A library")
    if isinstance(error, ModuleNotFoundError):
        return MissingLibraryError(f"{name} is not installed in {sys.executable}. {SETUP_HINT}")
    return MissingLibraryError(
        f"{name} cannot be loaded in {sys.executable} ({describe(error)}). Run the tool 'Set "
        "up deep learning libraries' with the action REPAIR."
    )


def _check_python() -> None:
    if sys.version_info < OLDEST_PYTHON:
        found: Any = ".".join(map(str, sys.version_info[:3]))
        raise WorkerError(
            f"{sys.executable} is Python {found}, but GeoDL needs 3.9 or newer. Name another "
            "Python."
        )
