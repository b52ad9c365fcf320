"""Chips that are one object each, as large as it is: what a network sees of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..chips.folder import ChipFolder
from ..chips.problems import LEAST_SIDE, common_side
from ..models.registry import Task

Shape = tuple[int, int]  # rows and columns
# Of what a network sees unless the user asks for more: photos may be of many megapixels.
LARGEST_CROP, LARGEST_OBJECT = 1024, 512  # pixels a side


def of_own_sizes(folder: ChipFolder, task: Task, shapes: Sequence[Shape]) -> bool:
    """Return whether each chip is an object, which a network sees as a whole at its own side.

    These are chips of CROP_MODE=BOUNDING_BOX, and photos of other programs unless all are equal
    squares. Other chips show an object at the scale of the map, in their middle.

    Args:
        folder: of the chips.
        task: what is learned from them.
        shapes: rows and columns of the chips.
    """
    if task is not Task.OBJECTS or folder.variable_size:
        return task is Task.OBJECTS
    found = set(shapes)
    return not folder.definition.get("CropTileMode") and (
        len(found) > 1 or any(rows != cols for rows, cols in found)
    )


def default_side(shapes: Sequence[Shape], task: Task, whole: bool, scaled: bool = False) -> int:
    """Return the side in pixels of what a network sees of the chips where nobody chooses it.

    Args:
        shapes: rows and columns of the chips.
        task: what is learned from them.
        whole: whether each is seen as a whole, as of :func:`of_own_sizes`.
        scaled: whether what is cut of them is scaled, so that it may be large.
    """
    if whole:
        return min(usual_side(shapes), LARGEST_OBJECT)
    side = common_side(shapes)
    # A part of a chip may show nothing of its object.
    return side if scaled or task is Task.OBJECTS else min(side, LARGEST_CROP)


def usual_side(shapes: Sequence[Shape]) -> int:
    """Return the median of the chips' sides, rounded up to what networks take."""
    return math.ceil(float(np.median(shapes)) / LEAST_SIDE) * LEAST_SIDE
