"""Faster R-CNN: proposals first, then their classes (Ren et al. 2015, arXiv:1506.01497)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .argument_checks import check_counts, check_order, check_shares, positive_numbers
from .object_sizes import complete_anchor_sizes, strides_of
from .registry import NetworkSpec, Task, register

if TYPE_CHECKING:
    from torch import nn

CELLS = 8.0  # of its map that the largest anchor is wide, as in torchvision
SCALES = (1.0, 0.7)  # of the anchors of a map

# The names are torchvision's. Its defaults are kept where they do not hold for photographs
# alone: a tile of imagery may show far more objects than a photograph.
ARGUMENTS: dict[str, Any] = {
    "anchor_sizes": None,
    "aspect_ratios": [0.5, 1.0, 2.0],
    "rpn_pre_nms_top_n_train": 2000,
    "rpn_pre_nms_top_n_test": 1000,
    "rpn_post_nms_top_n_train": 1000,
    "rpn_post_nms_top_n_test": 1000,
    "rpn_nms_thresh": 0.7,
    "rpn_fg_iou_thresh": 0.7,
    "rpn_bg_iou_thresh": 0.3,
    "rpn_batch_size_per_image": 256,
    "rpn_positive_fraction": 0.5,
    "rpn_score_thresh": 0.0,
    "box_nms_thresh": 0.5,
    "box_detections_per_img": 1000,
    "box_fg_iou_thresh": 0.5,
    "box_bg_iou_thresh": 0.5,
    "box_batch_size_per_image": 512,
    "box_positive_fraction": 0.25,
}


def complete_arguments(
    arguments: dict[str, Any], sizes: np.ndarray, chip_size: int
) -> dict[str, Any]:
    """Return the arguments with anchor sizes from the objects where none are given.

    Raises:
        InputError: when an argument is not what it must be.
    """
    complete = dict(arguments)
    complete["aspect_ratios"] = positive_numbers("aspect_ratios", complete["aspect_ratios"])
    complete["anchor_sizes"] = complete_anchor_sizes(
        complete["anchor_sizes"], sizes, chip_size, SCALES
    )
    shares = (name for name in complete if name.endswith(("_thresh", "_fraction")))
    check_shares(complete, tuple(shares))
    counts = (name for name in complete if "_top_n_" in name or name.endswith(("_image", "_img")))
    check_counts(complete, tuple(counts))
    check_order(complete, "rpn_bg_iou_thresh", "rpn_fg_iou_thresh")
    check_order(complete, "box_bg_iou_thresh", "box_fg_iou_thresh")
    return complete


@register(
    "FASTERRCNN",
    task=Task.DETECTION,
    formats=("PASCAL_VOC_rectangles", "KITTI_rectangles", "COCO", "YOLO"),
    arguments=ARGUMENTS,
    description="Faster R-CNN: proposes places first, then looks at each; slow and exact.",
    complete=complete_arguments,
)
def build(spec: NetworkSpec) -> nn.Module:
    """Return the detector of ``spec``."""
    return build_two_stage(spec, masks=False)


def build_two_stage(spec: NetworkSpec, masks: bool) -> nn.Module:
    """Return a detector in two stages, with or without masks."""
    from .networks.pyramid import build_feature_pyramid
    from .networks.two_stage import TwoStageDetector

    arguments = dict(spec.arguments)
    anchor_sizes = arguments.pop("anchor_sizes")
    return TwoStageDetector(
        build_feature_pyramid(spec, strides_of(anchor_sizes, CELLS)),
        spec.class_count,
        sizes=[[side * scale for scale in SCALES] for side in anchor_sizes],
        ratios=arguments.pop("aspect_ratios"),
        masks=masks,
        **arguments,
    )
