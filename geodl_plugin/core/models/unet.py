"""U-Net on any encoder of segmentation-models-pytorch (Ronneberger et al. 2015)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .registry import NetworkSpec, Task, register

if TYPE_CHECKING:
    from torch import nn


@register(
    "UNET",
    task=Task.PIXELS,
    formats=("Classified_Tiles",),
    description="U-Net: a class for every pixel.",
)
def build(spec: NetworkSpec) -> nn.Module:
    """Return the network of ``spec``."""
    from .networks.segmentation import SegmentationNetwork

    return SegmentationNetwork("Unet", spec)
