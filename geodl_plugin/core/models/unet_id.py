"""U-Net for objects that touch: segment, border and inner (Wagner et al. 2020, RS 12(10) 1544)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .registry import NetworkSpec, Task, register

if TYPE_CHECKING:
    from torch import nn

_WIDEST = 50  # pixels; no object would have an inside


def complete_arguments(arguments: dict[str, Any], _: np.ndarray, chip_size: int) -> dict[str, Any]:
    """Return the arguments; raise :class:`InputError` when one cannot be used."""
    most = min(_WIDEST, chip_size // 4)
    if not 1 <= arguments["border_width"] <= most:
        raise InputError(
            f"border_width={arguments['border_width']} must be between 1 and {most} pixels."
        )
    return arguments


@register(
    "UNET_ID",
    task=Task.INSTANCES,
    formats=("RCNN_Masks", "COCO", "YOLO", "Panoptic_Segmentation"),
    arguments={"border_width": 3},
    description="U-Net that outlines objects and keeps apart those that touch, such as crowns.",
    complete=complete_arguments,
)
def build(spec: NetworkSpec) -> nn.Module:
    """Return the network of ``spec``."""
    from .networks.unet_id import InstanceUNet

    return InstanceUNet(spec)
