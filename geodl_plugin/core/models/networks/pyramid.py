"""A feature pyramid on any encoder, as torchvision's detectors want their backbone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch.nn.functional as functional
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork

from ..registry import NetworkSpec
from .backbones import build_pyramid, check_strides

WIDTH = 128  # channels of every map: half of torchvision's, which are for eighty classes
GROUPS = 32


def group_norm(width: int) -> nn.Module:
    """Return the norm of a detector's own layers: unlike batch norm it bears small batches."""
    return nn.GroupNorm(GROUPS, width)


class SteadyEncoder(nn.Module):
    """An encoder whose batch norms, where they know something, keep their statistics.

    The few chips of a detector's batch tell less about the bands than the images that an
    encoder was pretrained with.

    Attributes:
        steady: whether they know something; whoever loads weights says so.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.inner = encoder
        self.steady = False
        self.strides, self.channels = encoder.strides, encoder.channels
        self.fixed_tile = encoder.fixed_tile

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps of the encoder."""
        return self.inner(images)

    def train(self, mode: bool = True) -> SteadyEncoder:
        """Let all train but the statistics of a steady encoder."""
        super().train(mode)
        if self.steady:
            for each in self.inner.modules():
                if isinstance(each, nn.modules.batchnorm._BatchNorm):
                    each.eval()
        return self


class FeaturePyramid(nn.Module):
    """Maps of equal width at consecutive power-of-two strides, with context from above.

    Strides finer than the encoder's are made by enlarging, coarser ones by strided
    convolutions (Lin et al. 2017, arXiv:1612.03144).

    Attributes:
        encoder: the part that pretrained weights are for.
        strides: of the maps.
        out_channels: of each map.
        fixed_tile: the only side of images, of encoders that take no other.
    """

    def __init__(self, encoder: nn.Module, strides: Sequence[int], width: int = WIDTH) -> None:
        super().__init__()
        self.encoder = encoder
        self.fixed_tile = encoder.fixed_tile
        self.strides = tuple(strides)
        self.out_channels = width
        # An encoder may have several maps of one stride: the last one knows most.
        known = dict(zip(encoder.strides, range(len(encoder.strides))))
        finest = max(min(known), min(self.strides[0], max(known)))
        self.sources = {stride: place for stride, place in known.items() if stride >= finest}
        self.top_down = FeaturePyramidNetwork(
            [encoder.channels[place] for place in self.sources.values()],
            width,
            norm_layer=group_norm,
        )
        steps = sum(stride > max(known) for stride in _from_to(max(known), self.strides[-1]))
        self.shrinks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, stride=2, padding=1), group_norm(width))
            for _ in range(steps)
        )

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """Return the maps of ``images`` ``(b, c, h, w)`` by their strides, the finest first."""
        maps = self.encoder(images)
        chosen = OrderedDict((str(stride), maps[place]) for stride, place in self.sources.items())
        found = {int(name): value for name, value in self.top_down(chosen).items()}
        coarsest = max(found)
        for shrink in self.shrinks:
            found[coarsest * 2] = shrink(functional.relu(found[coarsest]))
            coarsest *= 2
        finest = min(found)
        while finest > self.strides[0]:
            finest //= 2
            found[finest] = functional.interpolate(found[finest * 2], scale_factor=2.0)
        return OrderedDict((str(stride), found[stride]) for stride in self.strides)


def build_feature_pyramid(spec: NetworkSpec, strides: Sequence[int]) -> FeaturePyramid:
    """Return the backbone of a detector."""
    encoder = build_pyramid(spec.backbone, spec.band_count, spec.chip_size, spec.weights)
    check_strides(encoder, spec.backbone)
    return FeaturePyramid(SteadyEncoder(encoder), strides)


def _from_to(first: int, last: int) -> list[int]:
    """Return the powers of two from one stride to another."""
    found = [first]
    while found[-1] < last:
        found.append(found[-1] * 2)
    return found
