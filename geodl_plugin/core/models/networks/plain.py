"""Pixel networks built block by block, as a course teaches them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from ..registry import NetworkSpec
from .segmentation import beside_zero, check_sigmoid, output_count


def convolution(inputs: int, outputs: int, batch_norm: bool) -> list[nn.Module]:
    """Return a 3 × 3 convolution that keeps the size, batch norm and ReLU."""
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 3, padding=1, bias=not batch_norm)]
    if batch_norm:
        layers.append(nn.BatchNorm2d(outputs))
    return [*layers, nn.ReLU(inplace=True)]


def block(inputs: int, outputs: int, arguments: dict, count: int = 2) -> nn.Sequential:
    """Return ``count`` convolutions one after the other, and dropout if wanted."""
    layers = convolution(inputs, outputs, arguments["batch_norm"])
    for _ in range(count - 1):
        layers += convolution(outputs, outputs, arguments["batch_norm"])
    if arguments["dropout"]:
        layers.append(nn.Dropout2d(arguments["dropout"]))
    return nn.Sequential(*layers)


class Descent(nn.Module):
    """The encoder: a block at every level, and max pooling 2 × 2 between them."""

    def __init__(self, spec: NetworkSpec, convolutions: int = 2) -> None:
        super().__init__()
        self.channels = list(spec.arguments["channels"])
        inputs = [spec.band_count, *self.channels]
        self.blocks = nn.ModuleList(
            block(before, after, spec.arguments, convolutions)
            for before, after in zip(inputs, self.channels)
        )
        self.pool = nn.MaxPool2d(2)

    def forward(self, images: Tensor, levels: int | None = None) -> list[Tensor]:
        """Return the maps of the first levels, all by default, the finest first."""
        maps: list[Tensor] = []
        for each in self.blocks[:levels]:
            maps.append(each(self.pool(maps[-1]) if maps else images))
        return maps


class PlainNetwork(nn.Module):
    """The base: pads images to what can be halved at every level, and cuts the answer back.

    Attributes:
        encoder: the way down.
        tile_step: a tile's side is best a multiple of it.
        fixed_tile: the only tile side; none, for the network is fully convolutional.
    """

    def __init__(self, spec: NetworkSpec, convolutions: int = 2) -> None:
        super().__init__()
        self.sigmoid = check_sigmoid(spec)
        self.outputs = output_count(spec)
        self.encoder = Descent(spec, convolutions)
        self.tile_step = 2 ** (len(self.encoder.channels) - 1)
        self.fixed_tile = None

    def answer(self, images: Tensor) -> Tensor | list[Tensor]:
        """Return the last maps for images of a fitting size; several for deep supervision."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor | list[Tensor]:
        """Return logits ``(b, n + 1, h, w)`` of ``images`` ``(b, c, h, w)``."""
        height, width = images.shape[-2:]
        padded = functional.pad(images, (0, -width % self.tile_step, 0, -height % self.tile_step))
        answer = self.answer(padded)
        if isinstance(answer, list):
            return [self._logits(each, height, width) for each in answer]
        return self._logits(answer, height, width)

    def _logits(self, maps: Tensor, height: int, width: int) -> Tensor:
        logits = maps[..., :height, :width].float()
        return beside_zero(logits) if self.sigmoid else logits


class FullyConvolutional(PlainNetwork):
    """FCN: every level has its say at full size (Long et al. 2015, arXiv:1411.4038)."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec, convolutions=1)
        self.heads = nn.ModuleList(
            nn.Conv2d(channels, self.outputs, 1) for channels in self.encoder.channels
        )

    def answer(self, images: Tensor) -> Tensor:
        """Return the sum of what a 1 × 1 convolution makes of each level."""
        # This equals upsampling all maps, joining them and one 1 × 1 convolution over all, for
        # upsampling and 1 × 1 convolutions may change places. It takes far less memory.
        answers = [head(each) for head, each in zip(self.heads, self.encoder(images))]
        size = images.shape[-2:]
        full = [
            functional.interpolate(each, size=size, mode="bilinear", align_corners=False)
            for each in answers[1:]
        ]
        return answers[0] + sum(full) if full else answers[0]


class Ascent(nn.Module):
    """One step up: a transposed convolution doubles the size, a block joins it with the skip."""

    def __init__(self, below: int, channels: int, skips: int, arguments: dict) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(below, channels, 2, stride=2)
        self.block = block(channels * (skips + 1), channels, arguments)

    def forward(self, below: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """Return the maps ``(b, channels, 2h, 2w)`` of those below and those of this level."""
        return self.block(torch.cat([*skips, self.up(below)], 1))


class PlainUNet(PlainNetwork):
    """U-Net with padding, so that the answer is as large as the image.

    Ronneberger et al. 2015, arXiv:1505.04597.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        channels = self.encoder.channels
        self.steps = nn.ModuleList(
            Ascent(below, here, 1, spec.arguments)
            for below, here in zip(channels[:0:-1], channels[-2::-1])
        )
        self.head = nn.Conv2d(channels[0], self.outputs, 1)

    def answer(self, images: Tensor) -> Tensor:
        """Go down to the bottleneck and up again, joining what the way down has kept."""
        *skips, value = self.encoder(images)
        for step, skip in zip(self.steps, reversed(skips)):
            value = step(value, [skip])
        return self.head(value)


class NestedUNet(PlainNetwork):
    """U-Net++ with a head on every branch (Zhou et al. 2018, arXiv:1807.10165).

    Node (i, j) joins the nodes (i, 0 … j − 1) of its level with the one below, (i + 1, j − 1);
    column 0 is the encoder. Branch n ends in node (0, n). In training all branches answer.
    Afterwards the answer is their mean, or that of the branch ``prune`` alone: the nodes to
    its right are never computed then.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        channels = self.encoder.channels
        self.branches = len(channels) - 1
        self.prune = spec.arguments["prune"]
        self.nodes = nn.ModuleDict(
            {
                f"{level}_{branch}": Ascent(
                    channels[level + 1], channels[level], branch, spec.arguments
                )
                for branch in range(1, self.branches + 1)
                for level in range(self.branches - branch + 1)
            }
        )
        self.heads = nn.ModuleList(
            nn.Conv2d(channels[0], self.outputs, 1) for _ in range(self.branches)
        )

    def answer(self, images: Tensor) -> Tensor | list[Tensor]:
        """Return the answers of all branches in training, else their mean or one of them."""
        pruned = bool(self.prune) and not self.training
        last = self.prune if pruned else self.branches
        levels = [[each] for each in self.encoder(images, last + 1)]
        for branch in range(1, last + 1):
            for level in range(last - branch + 1):
                node = self.nodes[f"{level}_{branch}"]
                levels[level].append(node(levels[level + 1][branch - 1], levels[level]))
        if pruned:
            return self.heads[last - 1](levels[0][last])
        answers = [head(each) for head, each in zip(self.heads, levels[0][1:])]
        return answers if self.training else torch.stack(answers).mean(0)
