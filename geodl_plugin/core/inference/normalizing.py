"""Normalising within the network: 8-bit images travel as they are. Needs torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .wrapping import Wrapper

if TYPE_CHECKING:
    from .model import Model


class Normalizing(Wrapper):
    """A network that also takes the images of :meth:`.model.Model.prepare`.

    Args:
        network: takes normalised images.
        model: says how they are normalised.
    """

    def __init__(self, network: nn.Module, model: Model) -> None:
        mean, scale = map(torch.from_numpy, model.scale)
        super().__init__(network, mean=mean, scale=scale)

    def forward(self, images: Tensor) -> Any:
        """Return the network's answer.

        Args:
            images: ``(b, bands, rows, cols)`` of ``float32``, normalised; or of ``uint8``, with
                one band more that is 1 where there are data.
        """
        if images.dtype != torch.uint8:
            return self.network(images)
        pixels, valid = images[:, :-1].float(), images[:, -1:].float()
        dates = pixels.shape[1] // len(self.mean)  # follow each other in the bands
        pixels = (pixels - self.mean.repeat(dates, 1, 1)) * self.scale.repeat(dates, 1, 1) * valid
        return self.network(pixels.contiguous(memory_format=torch.channels_last))
