"""A network that sees its images at another size, while all around it keeps theirs."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as functional
from torch import Tensor, nn


class ResizedNetwork(nn.Module):
    """Scales images before, and what a network tells of places after it.

    Attributes:
        tile_step: a tile's side must be a multiple of it; any will do.
        fixed_tile: the only tile side.
    """

    def __init__(self, network: nn.Module, chip_size: int, resize_to: int) -> None:
        super().__init__()
        self.network = network
        self.resize_to = resize_to
        self.scale = resize_to / chip_size
        self.tile_step = 1
        self.fixed_tile = chip_size

    @property
    def encoder(self) -> nn.Module:
        """The part that pretrained weights are for."""
        return self.network.encoder

    def forward(self, images: Tensor) -> Any:
        """Return what the network answers; answers for pixels have the images' size."""
        side = (self.resize_to, self.resize_to)
        shrinks = self.scale < 1
        scaled = functional.interpolate(
            images, side, mode="bilinear", align_corners=False, antialias=shrinks
        )
        answer = self.network(scaled)
        if isinstance(answer, Tensor) and answer.dim() == 4:
            return self._back(answer, images)
        if isinstance(answer, list):  # of deep supervision
            return [self._back(each, images) for each in answer]
        return answer

    def _back(self, answer: Tensor, images: Tensor) -> Tensor:
        size = images.shape[-2:]
        return functional.interpolate(answer, size, mode="bilinear", align_corners=False)

    def loss(self, outputs: Any, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return the parts of a detector's loss."""
        scaled = [{**each, "boxes": each["boxes"] * self.scale} for each in targets]
        return self.network.loss(outputs, scaled)

    def detect(
        self, outputs: Any, image_size: tuple[int, int], threshold: float
    ) -> list[dict[str, Tensor]]:
        """Return a detector's objects in pixels of the images."""
        size = (round(image_size[0] * self.scale), round(image_size[1] * self.scale))
        found = self.network.detect(outputs, size, threshold)
        return [{**each, "boxes": each["boxes"] / self.scale} for each in found]

    def candidates(self, outputs: Any) -> tuple[Tensor, Tensor]:
        """Return a detector's boxes in pixels of the images, and their scores."""
        boxes, chances = self.network.candidates(outputs)
        return boxes / self.scale, chances
