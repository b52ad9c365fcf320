"""The network that tells change between two dates."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..registry import NetworkSpec
from .segmentation import (
    batch_norms_for_one,
    beside_zero,
    build_library,
    check_sigmoid,
    encoder_name,
    give_weights,
)

_REDUCTION = 8  # of the channels, inside the attention


class ChannelAttention(nn.Module):
    """Weighs channels by their mean and their maximum (Woo et al. 2018, arXiv:1807.06521)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inside = max(channels // _REDUCTION, 4)
        self.weigh = nn.Sequential(
            nn.Conv2d(channels, inside, 1), nn.ReLU(inplace=True), nn.Conv2d(inside, channels, 1)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps ``(b, c, h, w)``, each times its weight."""
        mean, most = maps.mean((2, 3), keepdim=True), maps.amax((2, 3), keepdim=True)
        return maps * (self.weigh(mean) + self.weigh(most)).sigmoid()


class SpatialAttention(nn.Module):
    """Weighs places by the mean and the maximum of their channels (Woo et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weigh = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps ``(b, c, h, w)``, each place times its weight."""
        summary = torch.cat([maps.mean(1, keepdim=True), maps.amax(1, keepdim=True)], 1)
        return maps * self.weigh(summary).sigmoid()


ATTENTION = {"none": nn.Identity, "channel": ChannelAttention, "spatial": SpatialAttention}


class SiameseNetwork(nn.Module):
    """A U-Net whose encoder sees both dates with the same weights.

    Its decoder sees the difference of their maps at every level, with its sign, so that gain
    and loss can be told apart.

    Attributes:
        tile_step: a tile's side must be a multiple of it.
        fixed_tile: the only tile side, of encoders that take no other.
        sees_whole_tile: whether each pixel's answer depends on all of its tile.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.sigmoid = check_sigmoid(spec)
        self.bands = spec.band_count
        name = encoder_name(spec.backbone)
        network, self.fixed_tile = build_library("Unet", name, spec, {})
        self.encoder = network.encoder
        self.decoder = network.decoder
        self.head = network.segmentation_head
        kind = ATTENTION[spec.arguments["attention"]]
        # Some encoders have no maps at half the size; what has no channels needs no attention.
        self.attention = nn.ModuleList(
            kind(channels) if channels else nn.Identity()
            for channels in self.encoder.out_channels[1:]
        )
        self.sees_whole_tile = kind is ChannelAttention
        self.tile_step = self.encoder.output_stride
        batch_norms_for_one(self.decoder)
        give_weights(self.encoder, name, spec)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(b, n + 1, h, w)`` of two dates stacked, ``(b, 2c, h, w)``."""
        # In one batch, so that both dates share the batch's statistics.
        maps = self.encoder(torch.cat(images.split(self.bands, 1)))
        # By the number of images, for an export knows no half of a batch.
        count = images.shape[0]
        changes = [each[count:] - each[:count] for each in maps]
        # The first are the images themselves, which the decoder leaves out.
        weighed = [attend(each) for attend, each in zip(self.attention, changes[1:])]
        logits = self.head(self.decoder([changes[0], *weighed])).float()
        return beside_zero(logits) if self.sigmoid else logits
