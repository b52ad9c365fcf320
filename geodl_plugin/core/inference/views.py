"""Test-time augmentation: the mean answer to several views of an image. Needs torch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .wrapping import Wrapper

View = Callable[[Tensor], Tensor]


def dihedral(turns: int, mirrored: bool) -> tuple[View, View]:
    """Return a view of images ``(…, rows, cols)`` and what undoes it."""

    def look(images: Tensor) -> Tensor:
        return torch.rot90(images.flip(-1) if mirrored else images, turns, (-2, -1))

    def back(answers: Tensor) -> Tensor:
        turned = torch.rot90(answers, -turns, (-2, -1))
        return turned.flip(-1) if mirrored else turned

    return look, back


MAP_TURNS = [(turns, mirrored) for mirrored in (False, True) for turns in range(4)]
# A photograph has an up and a down: only left and right may change places.
PIXEL_TURNS = [(0, False), (0, True)]
MAP_VIEWS = [dihedral(*each) for each in MAP_TURNS]
PIXEL_VIEWS = [dihedral(*each) for each in PIXEL_TURNS]


class Views(Wrapper):
    """A network that answers with the mean probability of several views.

    Args:
        network: gives logits ``(b, n, rows, cols)`` of pixels or ``(b, n)`` of images.
        map_space: whether the images are maps, seen from above: eight views instead of two.
        several: whether the classes do not exclude each other.
    """

    def __init__(self, network: nn.Module, map_space: bool, several: bool = False) -> None:
        super().__init__(network)
        self.views = MAP_VIEWS if map_space else PIXEL_VIEWS
        self.several = several

    @property
    def form(self) -> str:
        """How many views, of which classes."""
        return f"Views{len(self.views)}{'several' if self.several else ''}"

    def forward(self, images: Tensor) -> Tensor:
        """Return logits whose softmax (sigmoid for several classes) is the mean probability."""
        total: Tensor | None = None
        for look, back in self.views:
            view = look(images).contiguous(memory_format=torch.channels_last)
            answer = self.network(view).float()
            answer = answer.sigmoid() if self.several else answer.softmax(1)
            answer = back(answer) if answer.ndim == 4 else answer
            total = answer if total is None else total + answer
        mean = total / len(self.views)
        return torch.logit(mean, 1e-6) if self.several else mean.clamp(min=1e-12).log()
