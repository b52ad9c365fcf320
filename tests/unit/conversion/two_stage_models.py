"""Small detectors of two stages that have learnt nothing, but find much and draw something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.qgis.models import write_untrained

FEW = {
    "rpn_pre_nms_top_n_test": 60,
    "rpn_post_nms_top_n_test": 40,
    "box_detections_per_img": 15,
}


def write_detector(path: Path, name: str, **given: Any) -> str:
    """Write a package whose network is sure of some of what it finds."""
    return write_untrained(
        path, name, backbone="timm:test_resnet", adjust=make_sure, **{**FEW, **given}
    )


def make_sure(network: nn.Module) -> None:
    """Let classes differ from place to place, and masks from pixel to pixel."""
    inner = network.network if hasattr(network, "resize_to") else network
    heads = inner.model.roi_heads
    with torch.no_grad():
        heads.box_predictor.cls_score.bias.zero_()
        heads.box_predictor.cls_score.weight.mul_(3)
        if heads.has_mask():
            heads.mask_predictor.mask_fcn_logits.weight.mul_(4)
            heads.mask_predictor.mask_fcn_logits.bias.zero_()
