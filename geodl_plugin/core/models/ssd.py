"""The single-shot detector with grids, zooms and ratios (Liu et al. 2016, arXiv:1512.02325)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .argument_checks import is_positive, positive_numbers
from .registry import NetworkSpec, Task, register

if TYPE_CHECKING:
    from torch import nn

    from .networks.ssd_answers import SsdAnswers

# Widths and heights of an anchor scale by 0.5 to 1.5; in the middle of that (in logarithms)
# an object is this share of its cell.
_BEST_SHARE = math.sqrt(0.5 * 1.5)
_FINEST_STRIDE, _COARSEST_STRIDE = 4, 256


def stride_of_grid(grid: int, chip_size: int) -> int | None:
    """Return the power-of-two stride at which a chip has ``grid`` cells a side, if any."""
    stride = _FINEST_STRIDE
    while stride <= _COARSEST_STRIDE:
        if math.ceil(chip_size / stride) == grid:
            return stride
        stride *= 2
    return None


def choose_grids(sizes: np.ndarray, chip_size: int, groups: int = 3) -> list[int]:
    """Return the grids whose cells are about as large as the objects.

    The objects' sizes are grouped by k-means in logarithms, so that small and large
    objects count alike; each group gets the grid of the nearest power-of-two stride.

    Args:
        sizes: widths and heights ``(n, 2)`` in pixels.
        chip_size: side of a chip, in pixels.
        groups: how many sizes to look for at most.
    """
    sides = np.sqrt(np.prod(np.asarray(sizes, dtype=float).reshape(-1, 2), axis=1))
    sides = sides[sides > 0]
    if not len(sides):
        return [stride_grid(32, chip_size)]
    centres = np.exp(_k_means(np.log(sides), groups))
    strides = set()
    for centre in centres:
        power = round(math.log2(centre / _BEST_SHARE))
        strides.add(min(max(2**power, _FINEST_STRIDE), _largest_stride(chip_size)))
    return [stride_grid(stride, chip_size) for stride in sorted(strides)]


def stride_grid(stride: int, chip_size: int) -> int:
    """Return how many cells of ``stride`` cover a side of the chip."""
    return math.ceil(chip_size / stride)


def _largest_stride(chip_size: int) -> int:
    return min(2 ** int(math.log2(chip_size)), _COARSEST_STRIDE)


def _k_means(values: np.ndarray, groups: int) -> np.ndarray:
    """Return the centres of one-dimensional k-means, started at quantiles so it is repeatable."""
    centres = np.unique(np.quantile(values, (np.arange(groups) + 0.5) / groups))
    for _ in range(50):
        nearest = np.abs(values[:, None] - centres[None]).argmin(axis=1)
        moved = np.array([values[nearest == i].mean() for i in np.unique(nearest)])
        if len(moved) == len(centres) and np.allclose(moved, centres):
            break
        centres = moved
    return centres


def complete_arguments(
    arguments: dict[str, Any], sizes: np.ndarray, chip_size: int
) -> dict[str, Any]:
    """Return the arguments with grids chosen from the objects' sizes where none are given.

    Raises:
        InputError: when grids, zooms or ratios are not what they must be.
    """
    complete = dict(arguments)
    if not complete["grids"]:
        complete["grids"] = choose_grids(sizes, chip_size)
    for name in ("grids", "zooms"):
        complete[name] = positive_numbers(name, complete[name])
    if any(grid != int(grid) for grid in complete["grids"]):
        raise InputError(f"grids={arguments['grids']} must be whole numbers of cells, like [16,8].")
    complete["grids"] = [int(grid) for grid in complete["grids"]]
    if max(complete["grids"]) > chip_size // 2:
        raise InputError(
            f"A grid of {max(complete['grids'])} cells is too fine for chips of {chip_size} "
            f"pixels. Use at most {chip_size // 2}."
        )
    ratios = complete["ratios"]
    if not (isinstance(ratios, (list, tuple)) and ratios) or not all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 and all(map(is_positive, pair))
        for pair in ratios
    ):
        raise InputError(f"ratios={ratios} must be pairs of width and height, like [[1.0,1.0]].")
    if not 0 <= complete["drop"] < 1:
        raise InputError(f"drop={complete['drop']} must be at least 0 and less than 1.")
    return complete


def read_answers(spec: NetworkSpec) -> SsdAnswers:
    """Return what reads the answers of the detector of ``spec``."""
    from .networks.ssd_answers import SsdAnswers

    return SsdAnswers(bool(spec.arguments["focal_loss"]))


@register(
    "SSD",
    task=Task.DETECTION,
    formats=("PASCAL_VOC_rectangles", "KITTI_rectangles", "COCO", "YOLO"),
    arguments={
        "grids": None,
        "zooms": [1.0],
        "ratios": [[1.0, 1.0]],
        "drop": 0.3,
        "focal_loss": False,
    },
    description="Single-shot detector: fast, for objects of a few typical sizes.",
    complete=complete_arguments,
    answers=read_answers,
)
def build(spec: NetworkSpec) -> nn.Module:
    """Return the detector of ``spec``."""
    from .networks.backbones import build_pyramid, check_strides
    from .networks.ssd import SingleShotDetector

    encoder = build_pyramid(spec.backbone, spec.band_count, spec.chip_size, spec.weights)
    check_strides(encoder, spec.backbone)
    arguments = spec.arguments
    return SingleShotDetector(
        encoder,
        spec.class_count,
        spec.chip_size,
        grids=arguments["grids"],
        zooms=arguments["zooms"],
        ratios=arguments["ratios"],
        drop=arguments["drop"],
        focal_loss=arguments["focal_loss"],
    )
