"""The network that classifies whole images."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor, nn


class Classifier(nn.Module):
    """An encoder, its last maps averaged and a linear layer.

    Attributes:
        tile_step: an image's side must be a multiple of it; 1, for any side will do.
        fixed_tile: the only image side; none where any will do.
    """

    def __init__(self, encoder: nn.Module, class_count: int, drop: float = 0.2) -> None:
        super().__init__()
        self.encoder = encoder
        self.drop = nn.Dropout(drop)
        # Objects are told apart by texture as well as by shape: two scales see both.
        self.last = nn.Linear(sum(encoder.channels[-2:]), class_count)
        self.tile_step = 1
        self.fixed_tile = encoder.fixed_tile

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(b, n)`` of ``images`` ``(b, c, h, w)``."""
        maps = self.encoder(images)[-2:]
        pooled = [functional.adaptive_avg_pool2d(each, 1).flatten(1) for each in maps]
        return self.last(self.drop(torch.cat(pooled, 1))).float()
