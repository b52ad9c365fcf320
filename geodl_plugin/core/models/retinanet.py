"""RetinaNet: a dense detector with focal loss (Lin et al. 2017, arXiv:1708.02002)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .argument_checks import positive_numbers
from .object_sizes import complete_anchor_sizes, strides_of
from .registry import NetworkSpec, Task, register

if TYPE_CHECKING:
    from torch import nn

CELLS = 6.0  # of its map that the largest anchor is wide, as in the paper


def complete_arguments(
    arguments: dict[str, Any], sizes: np.ndarray, chip_size: int
) -> dict[str, Any]:
    """Return the arguments with anchor sizes from the objects where none are given.

    Raises:
        InputError: when a list holds anything but positive numbers.
    """
    complete = dict(arguments)
    for name in ("scales", "ratios"):
        complete[name] = positive_numbers(name, complete[name])
    complete["anchor_sizes"] = complete_anchor_sizes(
        complete["anchor_sizes"], sizes, chip_size, complete["scales"]
    )
    return complete


@register(
    "RETINANET",
    task=Task.DETECTION,
    formats=("PASCAL_VOC_rectangles", "KITTI_rectangles", "COCO", "YOLO"),
    arguments={"scales": [1.0, 0.8, 0.63], "ratios": [0.5, 1.0, 2.0], "anchor_sizes": None},
    description="RetinaNet: many anchors on maps of all scales, for objects of very mixed sizes.",
    complete=complete_arguments,
)
def build(spec: NetworkSpec) -> nn.Module:
    """Return the detector of ``spec``."""
    from .networks.one_stage import RetinaNetDetector
    from .networks.pyramid import build_feature_pyramid

    arguments = spec.arguments
    strides = strides_of(arguments["anchor_sizes"], CELLS)
    return RetinaNetDetector(
        build_feature_pyramid(spec, strides),
        spec.class_count,
        anchor_sizes=arguments["anchor_sizes"],
        scales=arguments["scales"],
        ratios=arguments["ratios"],
    )
