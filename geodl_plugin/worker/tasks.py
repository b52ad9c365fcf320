"""The tasks of the worker: where each one's function and options live."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..core.errors import InputError
from ..core.progress import Progress

PACKAGE = __name__.split(".", maxsplit=1)[0]


@dataclass(frozen=True)
class Task:
    """A function ``(options, progress) -> dict`` and the class of its options.

    Both are named, not imported: the worker loads what the task needs and nothing else.
    """

    module: str
    function: str
    options_module: str = ""
    options_class: str = ""

    def load(self) -> Callable[[Any, Progress], dict[str, Any]]:
        """Import and return the function."""
        return getattr(importlib.import_module(self.module), self.function)

    def options(self, values: dict[str, Any]) -> Any:
        """Return the options as the task wants them; raise :class:`InputError` if unknown."""
        if not self.options_module:
            return values
        cls = getattr(importlib.import_module(self.options_module), self.options_class)
        known = {field.name for field in dataclasses.fields(cls)}
        for name in values:
            if name not in known:
                raise InputError(
                    f"There is no option '{name}'. Choose from: {', '.join(sorted(known))}."
                )
        try:
            return cls(**values)
        except TypeError as error:
            raise InputError(f"The options of the task are incomplete: {error}.") from error


_LEARNING = f"{PACKAGE}.core.learning"
_INFERENCE = f"{PACKAGE}.core.inference"
_SEGMENTS = f"{PACKAGE}.core.segments"
_CONVERSION = f"{PACKAGE}.core.conversion"

TASKS = {
    "selftest": Task(f"{PACKAGE}.worker.selftest", "run"),
    "inspect": Task(
        f"{_LEARNING}.preview", "run", f"{PACKAGE}.core.chips.inspect", "InspectionOptions"
    ),
    "train": Task(f"{_LEARNING}.train", "train", f"{_LEARNING}.options", "TrainingOptions"),
    "find_rate": Task(f"{_LEARNING}.find_rate", "run", f"{_LEARNING}.rate_options", "RateOptions"),
    "segment": Task(f"{_SEGMENTS}.pick", "run", f"{_SEGMENTS}.options", "SegmentOptions"),
    "detect": Task(f"{_INFERENCE}.detect", "run", f"{_INFERENCE}.options", "DetectionOptions"),
    "classify_pixels": Task(f"{_INFERENCE}.pixels", "run", f"{_INFERENCE}.options", "PixelOptions"),
    "detect_change": Task(f"{_INFERENCE}.change", "run", f"{_INFERENCE}.options", "ChangeOptions"),
    "classify_objects": Task(
        f"{_INFERENCE}.objects", "run", f"{_INFERENCE}.options", "ObjectOptions"
    ),
    "convert": Task(f"{_CONVERSION}.convert", "run", f"{_CONVERSION}.options", "ConversionOptions"),
    "describe_onnx": Task(f"{_CONVERSION}.onnx_file", "describe_file"),
    "describe_function": Task(f"{_INFERENCE}.foreign.function_start", "describe_function"),
}


def task_named(name: str) -> Task:
    """Return the task of this name; raise :class:`InputError` when there is none."""
    if name not in TASKS:
        raise InputError(f"There is no task '{name}'. Choose one of: {', '.join(TASKS)}.")
    return TASKS[name]
