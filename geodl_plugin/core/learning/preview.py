"""The task "inspect": training data as a network sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..arguments import compose
from ..chips.contact_sheet import Look
from ..chips.folder import open_folder
from ..chips.inspect import InspectionOptions, finish, survey_of
from ..chips.labels import BoxLabel, ClassLabel, InstanceLabel, Label, MaskLabel
from ..chips.problems import LEAST_SIDE, check_size, teachable
from ..chips.survey import Survey
from ..geo.raster import Block
from ..models.registry import Task, default_model_type
from ..progress import Progress
from .augment import make_augmentation
from .augmentation_settings import settings_of
from .chip_store import ChipStore
from .classes import SEVERAL_LABELS
from .dataset import CropDataset
from .normalization import Normalization
from .own_sizes import default_side, of_own_sizes


def run(options: InspectionOptions, progress: Progress) -> dict[str, Any]:
    """Inspect training data, write the report with augmented chips and return the counts.

    Raises:
        InputError: when no model type learns from the format, or the augmentation is unknown.
        TrainingDataError: when the folder cannot be opened or its chips are too small.
    """
    folder = open_folder(options.folder)
    kind = default_model_type(folder.format, all(chip.second for chip in folder.chips))
    settings = settings_of(
        options.augmentation, options.augmentation_parameters, folder.reference_system
    )
    found = survey_of(folder, progress)
    if not _whole(found, kind.task):
        check_size(folder, list(found.shapes.elements()))
    look = augmented(found, kind.task, options.seed, settings)
    return finish(options, found, look, _told(options.augmentation, settings, kind.task), progress)


def _told(augmentation: str, settings: Mapping[str, Any], task: Task) -> str:
    """Return the sentence of the report that says how the chips are shown."""
    if augmentation == "NONE":
        return "As a network sees them: cut at random, without augmentation."
    if augmentation == "CUSTOM":
        told = compose(settings).replace(";", "; ")
        return f"As a network sees them: cut and varied at random by {told}."
    told = "As a network sees them: cut, turned, mirrored, lighter or darker at random."
    if task.finds_objects:
        told += " One that starts from random weights sees them turned and mirrored only."
    return told


def _whole(found: Survey, task: Task) -> bool:
    """Return whether a network sees each chip as a whole."""
    return of_own_sizes(found.folder, task, list(found.shapes.elements()))


def augmented(found: Survey, task: Task, seed: int, settings: Mapping[str, Any]) -> Look:
    """Return a function that cuts and augments a chip as a training does.

    Args:
        found: the folder, and the statistics by which pixels are normalised.
        task: what a network learns from the chips.
        seed: of the augmentation; a chip is always seen alike.
        settings: of the augmentation.
    """
    folder = found.folder
    values = np.array(teachable(folder).values, np.int64)
    store = ChipStore(folder, values, task is Task.INSTANCES, task is Task.CHANGE)
    shapes = list(found.shapes.elements())
    whole = _whole(found, task)
    side = default_side(shapes, task, whole) // LEAST_SIDE * LEAST_SIDE
    deviation = np.where(found.bands.deviation > 0, found.bands.deviation, 1.0)
    normalization = Normalization(tuple(found.bands.mean.tolist()), tuple(deviation.tolist()))

    def look(position: int) -> tuple[Block, Label]:
        torch.manual_seed(seed + position)
        crops = CropDataset(
            store,
            [position],
            side,
            normalization,
            random=True,
            augmentation=make_augmentation(settings),
            centred=task is Task.OBJECTS,
            zoom=settings["zoom"],
            zoomed=settings["probability"],
            whole=whole,
            label_count=len(values) if folder.format == SEVERAL_LABELS else 0,
        )
        image, target = crops[0]
        dates = len(image) // folder.band_count
        scale, shift = np.tile(normalization.std, dates), np.tile(normalization.mean, dates)
        pixels = image.numpy() * scale[:, None, None] + shift[:, None, None]
        return Block(pixels, np.ones(pixels.shape[1:], bool)), label_of_target(target, values)

    return look


def label_of_target(target: Any, values: np.ndarray) -> Label:
    """Return what a network is taught, in class values: what it ignores is left out.

    Args:
        target: of a crop, as the data set gives it.
        values: the class values by the network's index, ``(n,)``.
    """
    if isinstance(target, dict):
        found = values[target["labels"].numpy()]
        if "masks" in target:
            return InstanceLabel.of_masks(target["masks"].numpy() > 0, found)
        return BoxLabel(target["boxes"].numpy(), found)
    indices = torch.as_tensor(target)
    if indices.ndim == 2:
        with_background = np.concatenate([[0], values])
        return MaskLabel(with_background[np.maximum(indices.numpy(), 0)])
    return ClassLabel(_classes(indices, values))


def _classes(indices: Tensor, values: np.ndarray) -> tuple[int, ...]:
    """Return the class values of an index, or of one number a class."""
    if indices.ndim:
        return tuple(values[indices.numpy() > 0].tolist())
    return (int(values[int(indices)]),)
