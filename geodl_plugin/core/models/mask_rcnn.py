"""Mask R-CNN: Faster R-CNN that also outlines (He et al. 2017, arXiv:1703.06870)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .faster_rcnn import ARGUMENTS, build_two_stage, complete_arguments
from .registry import NetworkSpec, Task, register

if TYPE_CHECKING:
    from torch import nn


@register(
    "MASKRCNN",
    task=Task.INSTANCES,
    formats=("RCNN_Masks", "COCO", "YOLO"),
    arguments=ARGUMENTS,
    description="Mask R-CNN: finds objects and outlines each of them.",
    complete=complete_arguments,
)
def build(spec: NetworkSpec) -> nn.Module:
    """Return the network of ``spec``."""
    return build_two_stage(spec, masks=True)
