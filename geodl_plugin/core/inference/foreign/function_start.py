"""Starts the Python function of a model, and asks it for its parameters; needs no torch."""

from __future__ import annotations

import dataclasses
import importlib.util
import tempfile
from contextlib import closing
from typing import Any

from ...errors import ModelError
from ...packages.archive import Package, open_package
from ...packages.function import InferenceFunction
from ...packages.function_arguments import arguments_of_function
from ...progress import Progress
from .functions import ARCGIS_LIBRARY, function_of, needs_arcgis

CPU = -1  # as ArcGIS numbers the devices


def start_function(package: Package, file: str, device: int = CPU) -> InferenceFunction:
    """Start the function of an opened model, which stays open as long as that works.

    Args:
        package: with its files.
        file: the function's, inside the package.
        device: number of the GPU, -1 for the CPU.

    Raises:
        ModelError: when it cannot run here, or fails.
    """
    definition = package.definition
    name = definition.name
    if needs_arcgis(definition) and importlib.util.find_spec(ARCGIS_LIBRARY) is None:
        raise ModelError(
            f"'{name}' was saved by arcgis.learn and runs where the Python package "
            f"'{ARCGIS_LIBRARY}' is installed. Install it into the worker's Python, or use a "
            "model saved as ONNX."
        )
    path, beside = package.file(file), package.definition_file()
    folder = path.parent if beside is None else beside.parent
    return InferenceFunction(name, path, folder, str(beside or definition.to_json()), device)


def describe_function(options: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Return the ``arguments`` that a model's function takes: the task "describe_function".

    Args:
        options: ``model``, its path or JSON; ``allow_code``, whether its code may run;
            ``folder`` for what is unpacked, which whoever ends this process can remove.
        progress: is asked whether to go on.

    Raises:
        ModelError: when the function may not run, or fails.
    """
    tempfile.tempdir = options.get("folder") or None
    with open_package(str(options["model"])) as package:
        file = function_of(package.definition, options.get("allow_code") is True)
        progress.check()
        if not file:
            return {"arguments": []}
        with closing(start_function(package, file)) as function:
            found = arguments_of_function(function.parameters)
    return {"arguments": [dataclasses.asdict(each) for each in found]}
