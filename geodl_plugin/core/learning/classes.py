"""Which classes are learned, and how much each of them weighs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..arguments import names_in
from ..errors import InputError
from ..models.registry import Task
from ..samples.schema import BACKGROUND, Schema

SEVERAL_LABELS = "MultiLabeled_Tiles"  # the format of chips with more than one class
WEIGHTINGS = ("none", "balanced")
_WITH_BACKGROUND = (Task.PIXELS, Task.CHANGE)


def learned(schema: Schema, ignored: str, task: Task) -> tuple[Schema, bool]:
    """Return the classes to learn, and whether pixels without a class are ignored, too.

    Args:
        schema: the classes of the data, without the background.
        ignored: names or values with ``;`` or ``,`` between; 0, or ``background`` unless a
            class is called so, are the pixels without a class, which are not labelled where
            labels are incomplete.
        task: of the model.

    Raises:
        InputError: when a class is unknown, or too few are left.
    """
    left, background = list(schema.classes), False
    names = {each.name.strip().lower() for each in schema.classes}
    for entry in names_in(ignored, lambda entry: entry.lower() in names):
        # A class that is called so goes before the pixels without a class.
        zero = entry.lower() in ("0", BACKGROUND) and entry.lower() not in names
        if zero and task in _WITH_BACKGROUND:
            background = True
            continue
        named = [each for each in schema.classes if each.name.strip().lower() == entry.lower()]
        # Where names are numbers, they go before the values.
        found = named or [each for each in schema.classes if str(each.value) == entry]
        if not found:
            raise InputError(
                f"IGNORE_CLASSES names '{entry}', but there is no such class. "
                f"The classes are: {schema}."
            )
        left = [each for each in left if each not in found]
    outputs = len(left) + (task in _WITH_BACKGROUND and not background)
    if not left or (outputs < 2 and task in (*_WITH_BACKGROUND, Task.OBJECTS)):
        raise InputError(
            f"IGNORE_CLASSES={ignored} leaves {outputs or 'no'} class to tell apart. "
            f"Ignore fewer of: {schema}."
        )
    return Schema(tuple(left)), background


def check_weights(text: str) -> None:
    """Raise :class:`InputError` when a text says nothing of the weights of classes."""
    _numbers(text)


def weights_of(
    text: str, counts: np.ndarray, names: Sequence[str], task: Task
) -> tuple[float, ...] | None:
    """Return the weight of each of the network's outputs, none where all weigh alike.

    Args:
        text: ``none``, ``balanced``, or numbers with commas between.
        counts: pixels or chips of each output in the training chips, ``(n,)``.
        names: of the outputs.
        task: of the model.

    Raises:
        InputError: when the task knows no weights, or there are too few or too many.
    """
    numbers = _numbers(text)
    if numbers == ():
        return None
    if task not in (*_WITH_BACKGROUND, Task.OBJECTS):
        raise InputError(
            f"CLASS_WEIGHTS={text} is for models that classify pixels or chips. Use none."
        )
    if numbers is None:
        return balanced(counts)
    if len(numbers) == len(names) - 1 and task in _WITH_BACKGROUND:
        numbers = (1.0, *numbers)
    if len(numbers) != len(names):
        raise InputError(
            f"CLASS_WEIGHTS={text} has {len(numbers)} numbers, but {len(names)} are needed: of "
            f"{', '.join(names)}."
        )
    return numbers


def balanced(counts: np.ndarray) -> tuple[float, ...]:
    """Return weights of one over the frequency, of mean 1 over the classes that occur."""
    counts = np.asarray(counts, float)
    met = counts > 0
    weights = np.ones(len(counts))
    weights[met] = 1 / counts[met]
    weights[met] /= weights[met].mean()
    return tuple(weights.tolist())


def _numbers(text: str) -> tuple[float, ...] | None:
    """Return the numbers in a text, () for ``none`` and ``None`` for ``balanced``."""
    lowered = text.strip().lower() or "none"
    if lowered in WEIGHTINGS:
        return () if lowered == "none" else None
    try:
        numbers = tuple(float(part) for part in lowered.strip("[]").replace(";", ",").split(","))
    except ValueError:
        numbers = (-1.0,)
    if not all(0 <= number < 1e6 for number in numbers) or not any(numbers):
        raise InputError(
            f"CLASS_WEIGHTS={text} must be none, balanced, or one number a class with commas "
            "between, like 1,2.5."
        )
    return numbers
