"""The model types by name; readable without torch."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, ModelError
from ..importing import importing

if TYPE_CHECKING:
    from torch import nn


class Task(str, Enum):
    """What a network answers; the value is the ``ModelType`` of a model definition."""

    DETECTION = "ObjectDetection"
    PIXELS = "ImageClassification"
    OBJECTS = "ObjectClassification"
    INSTANCES = "InstanceDetection"
    CHANGE = "ChangeDetection"

    @property
    def finds_objects(self) -> bool:
        """Whether the answer is objects among all else."""
        return self in (Task.DETECTION, Task.INSTANCES)


@dataclass(frozen=True)
class NetworkSpec:
    """All that is needed to build a network.

    Args:
        model_type: name in the registry.
        backbone: name of the encoder.
        arguments: the model type's own arguments, complete.
        band_count: bands of the images.
        class_count: classes of the data, the background not counted.
        chip_size: side of the training chips, in pixels.
        weights: ``none``, ``imagenet`` or the path of a file with the encoder's weights.
        resize_to: side to which images are scaled for the network, in pixels; 0 leaves them.
    """

    model_type: str
    backbone: str
    arguments: dict[str, Any]
    band_count: int
    class_count: int
    chip_size: int
    weights: str = "none"
    resize_to: int = 0


@dataclass(frozen=True)
class ModelType:
    """A kind of model: what it needs and how it is built.

    Args:
        name: as users write it.
        task: what it answers.
        formats: keywords of the training-data formats that it learns from.
        arguments: names and default values of its own arguments.
        build: makes the network.
        description: one sentence for people.
        complete: fills in arguments that follow from the data, given the arguments, the
            objects' sizes ``(n, 2)`` in pixels and the chip size; checks them too.
        pretrained: whether its encoder can start from weights of others.
        habits: names of the arguments that change the training only, and not the network.
        answers: makes what reads the network's answers without its weights, where anything can;
            it has some of the network's methods.
    """

    name: str
    task: Task
    formats: tuple[str, ...]
    arguments: dict[str, Any]
    build: Callable[[NetworkSpec], nn.Module] = field(compare=False)
    description: str = ""
    complete: Callable[[dict[str, Any], np.ndarray, int], dict[str, Any]] | None = None
    pretrained: bool = True
    habits: tuple[str, ...] = ()
    answers: Callable[[NetworkSpec], Any] | None = field(default=None, compare=False)


_TYPES: dict[str, ModelType] = {}
# What a format is learnt with when nobody chooses, before others that could.
_USUAL = ("UNET", "SSD", "MASKRCNN", "FEATURE_CLASSIFIER")


def register(
    name: str,
    task: Task,
    formats: Sequence[str],
    arguments: dict[str, Any] | None = None,
    description: str = "",
    complete: Callable[[dict[str, Any], np.ndarray, int], dict[str, Any]] | None = None,
    pretrained: bool = True,
    habits: Sequence[str] = (),
    answers: Callable[[NetworkSpec], Any] | None = None,
) -> Callable[[Callable[[NetworkSpec], nn.Module]], Callable[[NetworkSpec], nn.Module]]:
    """Return a decorator that enters a builder of networks under ``name``."""

    def enter(build: Callable[[NetworkSpec], nn.Module]) -> Callable[[NetworkSpec], nn.Module]:
        _TYPES[name] = ModelType(
            name,
            task,
            tuple(formats),
            dict(arguments or {}),
            build,
            description,
            complete,
            pretrained,
            tuple(habits),
            answers,
        )
        return build

    return enter


def _load_families() -> None:
    """Import every module beside this one, so that each enters its model types.

    The packages among them hold what needs torch and are left alone.
    """
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        if not module.ispkg and module.name != "registry":
            importlib.import_module(f"{__package__}.{module.name}")


def model_types() -> tuple[ModelType, ...]:
    """Return all model types, sorted by name."""
    _load_families()
    return tuple(_TYPES[name] for name in sorted(_TYPES))


def model_type(name: str) -> ModelType:
    """Return the model type called ``name``, in any case.

    Raises:
        InputError: when there is none.
    """
    for each in model_types():
        if each.name == name.strip().upper():
            return each
    names = ", ".join(each.name for each in model_types())
    raise InputError(f"There is no model type '{name}'. Choose one of: {names}.")


def default_model_type(data_format: str, pairs: bool = False) -> ModelType:
    """Return the usual model type for a data format.

    Args:
        data_format: keyword of the format.
        pairs: whether each chip has a second image, of another date.

    Raises:
        InputError: when none learns from it.
    """
    fitting = [
        each
        for each in model_types()
        if data_format in each.formats and (each.task is Task.CHANGE) <= pairs
    ]
    changes = [each for each in fitting if each.task is Task.CHANGE]
    usual = [each for name in _USUAL for each in fitting if each.name == name]
    for each in (*changes, *usual, *fitting):
        return each
    known = sorted({name for each in model_types() for name in each.formats})
    raise InputError(
        f"No model type learns from the format '{data_format}'. "
        f"Export the training data as one of: {', '.join(known)}."
    )


def build_network(spec: NetworkSpec) -> nn.Module:
    """Return the network of ``spec``.

    Raises:
        ModelError: when an argument is unknown.
        InputError: when the backbone is unknown or its weights cannot be had.
    """
    kind = model_type(spec.model_type)
    unknown = sorted(set(spec.arguments) - set(kind.arguments))
    if unknown:
        raise ModelError(
            f"{kind.name} has no argument '{unknown[0]}'. "
            f"It knows: {', '.join(sorted(kind.arguments)) or 'none'}."
        )
    with importing("torchvision"):
        if not spec.resize_to or spec.resize_to == spec.chip_size:
            return kind.build(spec)
        from .networks.resized import ResizedNetwork

        inner = kind.build(replace(spec, chip_size=spec.resize_to, resize_to=0))
        return ResizedNetwork(inner, spec.chip_size, spec.resize_to)


def build_answers(spec: NetworkSpec) -> Any | None:
    """Return what reads the answers of the network of ``spec`` without it, if anything can."""
    kind = model_type(spec.model_type)
    if kind.answers is None or spec.resize_to not in (0, spec.chip_size):
        return None
    return kind.answers(spec)
