"""Which network is trained: from the options, the data and a model to go on from."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arguments import parse
from ..chips.folder import ChipFolder
from ..chips.problems import LEAST_SIDE, check_size
from ..errors import InputError
from ..models.registry import ModelType, NetworkSpec, Task, default_model_type, model_type
from ..packages.definition import understood
from .options import TrainingOptions
from .own_sizes import LARGEST_CROP, LARGEST_OBJECT, Shape, default_side
from .pretrained import Pretrained, refuse_other

_DEFAULT_BACKBONE = TrainingOptions.backbone
# Arguments that follow from the objects' sizes, and what they are called.
_FITTED = {
    "grids": "grids",
    "anchor_sizes": "sides of the anchors in pixels",
    "strides": "strides of the maps in pixels",
}


def choose_kind(
    options: TrainingOptions, folder: ChipFolder, pretrained: Pretrained | None
) -> ModelType:
    """Return the model type; it must learn from the folder's format.

    Raises:
        InputError: when it does not, or is not that of the model to go on from.
    """
    if pretrained is not None:
        if options.model_type.strip():
            wanted = options.model_type.strip().upper()
            refuse_other("MODEL_TYPE", wanted, pretrained, pretrained.kind.name)
        kind = pretrained.kind
    elif not options.model_type.strip():
        return default_model_type(folder.format, folder.paired)
    else:
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


def choose_network(
    options: TrainingOptions,
    folder: ChipFolder,
    kind: ModelType,
    pretrained: Pretrained | None,
    band_count: int,
    class_count: int,
    sizes: np.ndarray,
    shapes: Sequence[Shape],
    whole: bool = False,
) -> tuple[NetworkSpec, list[str]]:
    """Return the network's shape, and sentences for the user.

    Args:
        options: of the training.
        folder: of the chips.
        kind: the model type.
        pretrained: a model to go on from.
        band_count, class_count: that the network takes and tells.
        sizes: of the objects, ``(n, 2)`` in pixels.
        shapes: rows and columns of the chips.
        whole: whether chips of their own sizes are brought to one side, and not cut.

    Raises:
        InputError: when an option does not fit the data or the model to go on from.
    """
    resize_to = options.resize_to or (pretrained.resize_to if pretrained else 0)
    if resize_to and kind.task is Task.INSTANCES:
        raise InputError(
            f"RESIZE_TO={resize_to} is not for {kind.name}, whose outlines would be coarse. "
            "Export larger or smaller chips instead."
        )
    side, notes = _side(options, folder, kind.task, bool(resize_to), shapes, whole)
    seen = resize_to or side
    arguments = _arguments(options, kind, pretrained, seen)
    if pretrained is not None and arguments.get("sigmoid") and class_count > 1:
        arguments["sigmoid"] = False
        notes.append(
            f"{pretrained.name} tells one class by sigmoid=true; for {class_count} classes the "
            "last layer starts anew, without it."
        )
    if kind.complete is not None:
        with understood(pretrained.name) if pretrained else contextlib.nullcontext():
            arguments = kind.complete(arguments, sizes * (seen / side), seen)
        for name, text in _FITTED.items():
            if name in arguments:
                notes.append(f"{kind.name} {text}: {arguments[name]}.")
    backbone = options.backbone.strip()
    if not kind.pretrained:
        if backbone not in ("", _DEFAULT_BACKBONE):
            notes.append(f"BACKBONE={backbone} is not used: {kind.name} has an encoder of its own.")
        backbone = ""
    if pretrained is not None:
        if backbone not in ("", _DEFAULT_BACKBONE):
            refuse_other("BACKBONE", backbone, pretrained, pretrained.backbone)
        backbone, weights = pretrained.backbone, "none"
        notes += _unused(options, pretrained)
    else:
        weights = _weights(options, kind, notes)
        notes += _unused_scheme(options, weights, band_count)
    spec = NetworkSpec(
        kind.name, backbone, arguments, band_count, class_count, side, weights, resize_to
    )
    return spec, notes


def _unused(options: TrainingOptions, pretrained: Pretrained) -> list[str]:
    """Return sentences on options that say nothing where a training goes on from a model."""
    return [
        f"{name}={value} is not used: all weights are those of {pretrained.name}{more}."
        for name, value, default, more in (
            ("WEIGHTS", options.weights.strip(), TrainingOptions.weights, ""),
            (
                "WEIGHT_INIT_SCHEME",
                options.weight_init_scheme,
                TrainingOptions.weight_init_scheme,
                ", repeated for other bands",
            ),
        )
        if value not in ("", default)
    ]


def _unused_scheme(options: TrainingOptions, weights: str, band_count: int) -> list[str]:
    """Return a sentence where the scheme of the bands' first weights says nothing."""
    scheme = options.weight_init_scheme
    if scheme == TrainingOptions.weight_init_scheme:
        return []
    if weights == "none":
        return [f"WEIGHT_INIT_SCHEME={scheme} is not used: all weights are random."]
    if scheme == "RED_BAND" and band_count <= 3:
        return [f"WEIGHT_INIT_SCHEME={scheme} is not used: there are no bands but the first three."]
    return []


def _arguments(
    options: TrainingOptions, kind: ModelType, pretrained: Pretrained | None, seen: int
) -> dict[str, Any]:
    """Return the model type's arguments, those of the model to go on from where there is one.

    What is a habit of the training is as this training wants it.
    """
    arguments = parse(options.model_arguments, kind.arguments)
    if pretrained is None:
        return arguments
    habits = {name: arguments[name] for name in kind.habits}
    known = {**kind.arguments, **pretrained.arguments, **habits}
    for name, value in parse(options.model_arguments, known).items():
        refuse_other(f"MODEL_ARGUMENTS {name}", value, pretrained, known[name])
    if known.get("grids") and seen != pretrained.seen:
        # To the network their cells stay as large as they were, but not larger than what it sees.
        share = seen / pretrained.seen
        known["grids"] = [max(round(grid * share), 1) for grid in known["grids"]]
    return known


def _side(
    options: TrainingOptions,
    folder: ChipFolder,
    task: Task,
    scaled: bool,
    shapes: Sequence[Shape],
    whole: bool,
) -> tuple[int, list[str]]:
    """Return the side of what the network sees: a multiple of 32, the chips' own by default.

    Where chips are scaled afterwards, any side will do.
    """
    if not whole:
        check_size(folder, shapes)
    wanted = options.chip_size or default_side(shapes, task, whole, scaled)
    side = wanted if scaled else wanted // LEAST_SIDE * LEAST_SIDE
    notes = [] if whole else _filled_up(side, shapes)
    largest = LARGEST_OBJECT if whole else LARGEST_CROP
    if not options.chip_size and side == largest < int(np.median(list(map(min, shapes)))):
        notes.append(
            f"The chips are larger than {largest} by {largest} pixels, which is what the network "
            f"sees of them{', scaled' if whole else ''}: CHIP_SIZE sets another size."
        )
    if side != wanted:
        notes.append(
            f"The network sees {side} by {side} pixels, the multiple of {LEAST_SIDE} below "
            f"{wanted}."
        )
    return side, notes


def _filled_up(side: int, shapes: Sequence[Shape]) -> list[str]:
    """Return a sentence where chips are smaller than what the network sees."""
    sides = sorted(map(min, shapes))
    small = sum(each < side for each in sides)
    if small == len(sides):
        rows, cols = max(shapes)
        return [
            f"CHIP_SIZE={side} is larger than the chips, {cols} by {rows} pixels: the rest of "
            "what the network sees has no data. Export larger ones."
        ]
    if small:
        return [
            f"{small} of {len(sides)} training chips are smaller than the {side} pixels that the "
            f"network sees, down to {sides[0]}: the rest of theirs has no data. CHIP_SIZE sets "
            "another size."
        ]
    return []
