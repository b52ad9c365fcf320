"""A network that sees its images at another size, while all around it keeps theirs."""

from __future__ import annotations

from typing import Any

import torch
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
        self.register_buffer("shares", None, persistent=False)

    def make_portable(self) -> None:
        """Shrink images by products of matrices from now on: the result is the same.

        ONNX, or what reads it, does not know how PyTorch leaves out what is too fine.
        """
        if self.scale < 1:
            whole = torch.eye(self.fixed_tile)[None, None]
            sides = (self.resize_to, self.fixed_tile)
            # What each pixel of the small image has of each of the large one, along one axis.
            self.shares = _scaled(whole, sides, True)[0, 0]

    @property
    def encoder(self) -> nn.Module:
        """The part that pretrained weights are for."""
        return self.network.encoder

    def forward(self, images: Tensor) -> Any:
        """Return what the network answers; answers for pixels have the images' size."""
        if self.shares is not None:
            scaled = self.shares @ images @ self.shares.T
        else:
            scaled = _scaled(images, (self.resize_to, self.resize_to), self.scale < 1)
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


def _scaled(images: Tensor, size: tuple[int, int], antialias: bool) -> Tensor:
    return functional.interpolate(
        images, size, mode="bilinear", align_corners=False, antialias=antialias
    )
