"""From the sizes of the objects to the anchors and maps of a detector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from .argument_checks import positive_numbers

USUAL_SIDE = 32.0  # pixels, where the data have no objects to learn from
SMALL_SHARE, LARGE_SHARE = 0.05, 0.95  # of the objects: what is smaller or larger is rare
# Concentric squares of this ratio of sides overlap by an IoU of 0.7, well enough to be matched.
REACH = 1.2
FINEST_STRIDE, COARSEST_STRIDE = 4, 32  # of the first map
MOST_LEVELS = 6


def usual_sides(sizes: np.ndarray) -> tuple[float, float]:
    """Return the sides (roots of the areas) of small and large objects, in pixels.

    Args:
        sizes: widths and heights ``(n, 2)`` in pixels.
    """
    sides = np.sqrt(np.prod(np.asarray(sizes, dtype=float).reshape(-1, 2), axis=1))
    sides = sides[sides > 0]
    if not len(sides):
        return USUAL_SIDE, USUAL_SIDE
    small, large = np.quantile(sides, [SMALL_SHARE, LARGE_SHARE])
    return float(small), float(large)


def choose_anchor_sizes(sizes: np.ndarray, chip_size: int, scales: Sequence[float]) -> list[float]:
    """Return the sides of the anchors, one for each map, that fit the objects.

    Each is twice the one before, as the maps' strides are. Times ``scales`` they reach from
    the small objects to the large ones.
    """
    small, large = usual_sides(sizes)
    first = min(REACH * small / min(scales), float(chip_size))
    first = max(first, float(FINEST_STRIDE))
    found = [first]
    while found[-1] * max(scales) * REACH < min(large, chip_size) and len(found) < MOST_LEVELS:
        found.append(2 * found[-1])
    return [round(each, 1) for each in found]


def complete_anchor_sizes(
    given: Any, sizes: np.ndarray, chip_size: int, scales: Sequence[float]
) -> list[float]:
    """Return the sides of the anchors as they are given, else those that fit the objects.

    Raises:
        InputError: when they are no ascending numbers.
    """
    if given is None or given == []:
        return choose_anchor_sizes(sizes, chip_size, scales)
    found = positive_numbers("anchor_sizes", given)
    if found != sorted(set(found)) or len(found) > MOST_LEVELS:
        raise InputError(
            f"anchor_sizes={given} must ascend, at most {MOST_LEVELS} of them, like [32,64,128]."
        )
    return found


def strides_of(anchor_sizes: Sequence[float], cells: float) -> list[int]:
    """Return the stride of the map of each anchor size; each is twice the one before.

    Args:
        anchor_sizes: sides in pixels, ascending.
        cells: how many cells of its map an anchor is wide.
    """
    power = round(math.log2(anchor_sizes[0] / cells))
    first = min(max(2**power, FINEST_STRIDE), COARSEST_STRIDE)
    return [first * 2**level for level in range(len(anchor_sizes))]
