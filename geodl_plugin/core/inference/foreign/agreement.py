"""Arguments that a tool and its model's Python function both have mean one thing."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from ...arguments import arguments_of
from ...packages.function_arguments import fitting
from ..options import InferenceOptions

Options = TypeVar("Options", bound=InferenceOptions)

# What the tool does to the function's answers as the function does it itself; of the rest the
# network tells (padding), or it says nothing of the answers.
_FOLLOWED = ("nms_overlap", "exclude_pad_detections", "predict_background")
# What the function does alone: done again by the tool, it would take its time squared.
_LEFT: dict[str, Any] = {"test_time_augmentation": False, "tile_size": 0}


def agreed(options: Options, network: Any) -> Options:
    """Return the options of a task in which the arguments of a model's function are followed.

    Those that the user has not given are as the function has them by default; the form in the
    tool's dialog shows them so.

    Args:
        options: of the task.
        network: of a model; it may have ``scalars``, the arguments of a function.
    """
    told = {name.casefold(): value for name, value in getattr(network, "scalars", {}).items()}
    fields = {each.name for each in dataclasses.fields(options)}
    changes = {name: value for name, value in _LEFT.items() if name in told and name in fields}
    names = [name for name in _FOLLOWED if name in told and name in fields]
    for argument in arguments_of(type(options), names):
        value = fitting(argument, told[argument.name])
        if value is not None:
            changes[argument.name] = value
    return dataclasses.replace(options, **changes)
