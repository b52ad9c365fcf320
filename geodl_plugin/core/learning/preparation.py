"""What is settled before a training: chips, split, normalisation and the network's shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arguments import parse
from ..chips.folder import ChipFolder, open_folder
from ..chips.problems import LEAST_SIDE, check_classes, check_size, nothing_labelled, teachable
from ..errors import InputError, TrainingDataError
from ..models.registry import ModelType, NetworkSpec, Task, default_model_type, model_type
from ..progress import Phase
from ..samples.schema import Schema
from .augmentation_settings import settings_of
from .classes import BACKGROUND, learned, weights_of
from .dataset import ChipStore
from .normalization import Normalization, measure
from .options import TrainingOptions
from .split import Split, split_chips

# Arguments that follow from the objects' sizes, and what they are called.
_FITTED = {
    "grids": "grids",
    "anchor_sizes": "sides of the anchors in pixels",
    "strides": "strides of the maps in pixels",
}


@dataclass(frozen=True)
class Preparation:
    """What is settled before a training.

    Attributes:
        folder, store: the chips.
        kind: the model type.
        schema: the classes that are trained.
        split: which chips train and which validate.
        normalization: of the pixels.
        spec: the network's shape.
        augmentation: its settings.
        notes: sentences for the user.
        class_weights: of the network's outputs, none where all weigh alike.
    """

    folder: ChipFolder
    store: ChipStore
    kind: ModelType
    schema: Schema
    split: Split
    normalization: Normalization
    spec: NetworkSpec
    augmentation: dict[str, Any]
    notes: tuple[str, ...]
    class_weights: tuple[float, ...] | None = None


def prepare(options: TrainingOptions, phase: Phase) -> Preparation:
    """Open the chips and settle what follows from them and the options.

    Raises:
        InputError: when an option does not fit the data.
        TrainingDataError: when the folder cannot be used.
    """
    folder = open_folder(options.input)
    kind = _kind(options, folder)
    options.monitor_of(kind.task)
    options.loss_of(kind.task)
    arguments = parse(options.model_arguments, kind.arguments)
    schema, ignores = learned(_schema(folder), options.ignore_classes, kind.task)
    side, notes = _side(options, folder)
    store = ChipStore(
        folder,
        schema.values,
        outlines=kind.task is Task.INSTANCES,
        dates=kind.task is Task.CHANGE,
        background=not ignores,
    )
    phase.total = len(folder.chips)
    footprints = []
    for position, chip in enumerate(folder.chips):
        store.facts(position)
        footprints.append(folder.footprint(chip))
        phase.step()
    footprints = _apart_without_georeference(np.array(footprints))
    outputs = output_names(schema, kind.task)
    split = _split(options, kind.task, store, footprints, len(outputs))
    facts = [store.facts(position) for position in split.training]
    if not any(each.taught for each in facts):
        raise TrainingDataError(nothing_labelled(folder, len(facts)))
    amounts = sum(_padded(each.counts, len(outputs)) for each in facts)
    class_weights = weights_of(options.class_weights, amounts, outputs, kind.task)
    normalization = measure(_images(store, split.training))
    if kind.complete is not None:
        arguments = kind.complete(arguments, np.concatenate([each.sizes for each in facts]), side)
        for name, text in _FITTED.items():
            if name in arguments:
                notes.append(f"{kind.name} {text}: {arguments[name]}.")
    spec = NetworkSpec(
        kind.name,
        options.backbone.strip() if kind.pretrained else "",
        arguments,
        folder.band_count,
        len(schema),
        side,
        _weights(options, kind, notes),
    )
    notes = [split.describe(), *notes]
    settings = settings_of(
        options.augmentation, options.augmentation_parameters, folder.reference_system
    )
    if class_weights is not None:
        weighed = ", ".join(f"{name} {w:.3g}" for name, w in zip(outputs, class_weights))
        notes.append(f"Class weights: {weighed}.")
    return Preparation(
        folder=folder,
        store=store,
        kind=kind,
        schema=schema,
        split=split,
        normalization=normalization,
        spec=spec,
        augmentation=settings,
        notes=tuple(notes),
        class_weights=class_weights,
    )


def _images(store: ChipStore, chosen: Sequence[int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pixels and validity of images; two dates are two images of the same bands."""
    bands = store.folder.band_count
    for position in chosen:
        sample = store[position]
        for first in range(0, len(sample.pixels), bands):
            yield sample.pixels[first : first + bands], sample.valid


def output_names(schema: Schema, task: Task) -> list[str]:
    """Return the names of a network's outputs: those of pixels start with the background."""
    with_background = task in (Task.PIXELS, Task.CHANGE)
    return [BACKGROUND, *schema.names] if with_background else list(schema.names)


def _split(
    options: TrainingOptions, task: Task, store: ChipStore, footprints: np.ndarray, outputs: int
) -> Split:
    """Split the chips; those of classes that are not learned have no side."""
    facts = [store.facts(position) for position in range(len(footprints))]
    used = [place for place, each in enumerate(facts) if each.taught or task is not Task.OBJECTS]
    contents = np.array([_padded(facts[place].counts, outputs) for place in used])
    split = split_chips(footprints[used], options.validation_percentage, options.seed, contents)
    return split.of(used)


def _padded(counts: np.ndarray, length: int) -> np.ndarray:
    return np.pad(counts, (0, length - len(counts)))


def _kind(options: TrainingOptions, folder: ChipFolder) -> ModelType:
    """Return the model type; it must learn from the folder's format."""
    if not options.model_type.strip():
        return default_model_type(folder.format, folder.paired)
    kind = model_type(options.model_type)
    if kind.task is Task.CHANGE and not folder.paired:
        raise InputError(
            f"{kind.name} learns from images of two dates, but '{folder.path.name}' has no second "
            "images. Export it again with a second raster (INPUT_2)."
        )
    if folder.format not in kind.formats:
        raise InputError(
            f"{kind.name} learns from {' or '.join(kind.formats)}, but '{folder.path.name}' holds "
            f"{folder.format}. Choose another model type or export the data again."
        )
    return kind


def _weights(options: TrainingOptions, kind: ModelType, notes: list[str]) -> str:
    """Return where the encoder's weights come from; some types have none to start from."""
    weights = options.weights.strip() or "none"
    if kind.pretrained or weights == "none":
        return weights
    if weights != "imagenet":
        raise InputError(
            f"{kind.name} has an encoder of its own, which '{weights}' does not fit. "
            "Set WEIGHTS=none."
        )
    notes.append(f"{kind.name} has an encoder of its own, which starts from random weights.")
    return "none"


def _schema(folder: ChipFolder) -> Schema:
    """Return the classes to train; the value 0 of pixels is the background, no class."""
    schema = teachable(folder)
    check_classes(folder, schema)
    return schema


def _side(options: TrainingOptions, folder: ChipFolder) -> tuple[int, list[str]]:
    """Return the side of what the network sees: a multiple of 32, the chips' own by default."""
    check_size(folder)
    smallest = min(folder.width, folder.height)
    wanted = options.chip_size or smallest
    side = wanted // LEAST_SIDE * LEAST_SIDE
    if side == wanted:
        return side, []
    return side, [
        f"The network sees {side} by {side} pixels, the multiple of {LEAST_SIDE} below {wanted}."
    ]


def _apart_without_georeference(footprints: np.ndarray) -> np.ndarray:
    """Return footprints that do not touch where all are the same: chips without a place."""
    if len(footprints) > 1 and np.ptp(footprints[:, :2], axis=0).max() == 0:
        width = np.ptp(footprints[:, [0, 2]])
        steps = np.arange(len(footprints))[:, None] * np.array([[1.0, 0.0, 1.0, 0.0]])
        return footprints + steps * (width + 1)
    return footprints
