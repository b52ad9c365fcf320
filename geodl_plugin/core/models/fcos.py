"""FCOS: a dense detector without anchors (Tian et al. 2019, arXiv:1904.01355)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .argument_checks import check_counts, check_shares, is_positive
from .object_sizes import MOST_LEVELS, strides_of, usual_sides
from .registry import NetworkSpec, Task, register

if TYPE_CHECKING:
    from torch import nn

CELLS = 4.0  # of the finest map that a small object is wide
# A map has the objects whose sides lie up to this many cells from their middle.
REACH = 8.0


def choose_strides(sizes: np.ndarray, chip_size: int) -> list[int]:
    """Return the strides of the maps on which the objects are found."""
    small, large = usual_sides(sizes)
    strides = strides_of([small], CELLS)
    while strides[-1] * REACH < large / 2 and strides[-1] * 2 <= chip_size // 2:
        strides.append(strides[-1] * 2)
    return strides


def complete_arguments(
    arguments: dict[str, Any], sizes: np.ndarray, chip_size: int
) -> dict[str, Any]:
    """Return the arguments with strides from the objects where none are given.

    Raises:
        InputError: when an argument is not what it must be.
    """
    complete = dict(arguments)
    if complete["strides"] is None or complete["strides"] == []:
        complete["strides"] = choose_strides(sizes, chip_size)
    strides = complete["strides"]
    first = strides[0] if isinstance(strides, list) and strides else 0
    if first not in (4, 8, 16, 32) or strides != [
        first * 2**level for level in range(min(len(strides), MOST_LEVELS))
    ]:
        raise InputError(
            f"strides={strides} must begin with 4, 8, 16 or 32 and double from one to the next, "
            "like [8,16,32]."
        )
    if not is_positive(complete["center_sampling_radius"]):
        raise InputError(
            f"center_sampling_radius={complete['center_sampling_radius']} must be a positive "
            "number of cells, like 1.5."
        )
    check_shares(complete, ("nms_thresh",))
    check_counts(complete, ("detections_per_img", "topk_candidates"))
    return complete


@register(
    "FCOS",
    task=Task.DETECTION,
    formats=("PASCAL_VOC_rectangles", "KITTI_rectangles", "COCO", "YOLO"),
    arguments={
        "strides": None,
        "center_sampling_radius": 1.5,
        "nms_thresh": 0.6,
        "detections_per_img": 1000,
        "topk_candidates": 1000,
    },
    description="FCOS: tells boxes from the points inside them, without anchors.",
    complete=complete_arguments,
)
def build(spec: NetworkSpec) -> nn.Module:
    """Return the detector of ``spec``."""
    from .networks.one_stage import FcosDetector
    from .networks.pyramid import build_feature_pyramid

    arguments = dict(spec.arguments)
    strides = arguments.pop("strides")
    return FcosDetector(build_feature_pyramid(spec, strides), spec.class_count, **arguments)
