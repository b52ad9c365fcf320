"""The network of the single-shot detector."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torchvision.ops import generalized_box_iou_loss

from ..ssd import stride_of_grid
from .anchors import NEITHER, Anchors, grid_anchors, join, match
from .quality import quality_focal_loss, shares_of_best
from .ssd_answers import SsdAnswers

_LEAST_OVERLAP, _BACKGROUND_OVERLAP = 0.4, 0.3  # IoU: an object, background; else neither
_NEGATIVES_PER_POSITIVE = 3
_WIDTH = 128
_SMOOTH = 0.1  # answers that are nearer to the truth count by their square


class SingleShotDetector(nn.Module):
    """A detector with one head per grid on an encoder's maps.

    Grids whose cells are 4, 8, 16 … pixels wide are plain convolutions, so the network takes
    tiles of any size that is a multiple of ``tile_step``. Other grids are pooled from the next
    finer map, and the tile size is then fixed to the chip size.

    Attributes:
        tile_step: a tile's side must be a multiple of it.
        fixed_tile: the only tile side, where there is one.
    """

    def __init__(
        self,
        encoder: nn.Module,
        class_count: int,
        chip_size: int,
        grids: list[int],
        zooms: list[float],
        ratios: list[list[float]],
        drop: float,
        focal_loss: bool,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.grids = list(grids)
        self.focal_loss = bool(focal_loss)
        answers = SsdAnswers(self.focal_loss)  # their methods are the network's, too
        self.candidates, self.detect = answers.candidates, answers.detect
        self.outputs = class_count if focal_loss else class_count + 1
        shapes = [[zoom * wide, zoom * high] for zoom in zooms for wide, high in ratios]
        self.register_buffer("shapes", torch.tensor(shapes, dtype=torch.float32), persistent=False)
        self.strides = [stride_of_grid(grid, chip_size) for grid in grids]
        fitting = [stride for stride in self.strides if stride]
        own = getattr(encoder, "fixed_tile", None)
        self.fixed_tile = own if all(self.strides) else chip_size
        self.tile_step = max([32, *fitting])
        self.levels = [
            stride or _finer_stride(grid, chip_size)
            for grid, stride in zip(self.grids, self.strides)
        ]
        self.pyramid = TopDown(encoder, min(self.levels), max(self.levels), _WIDTH)
        self.heads = nn.ModuleList(
            _Head(_WIDTH, len(shapes), self.outputs, drop, not focal_loss) for _ in grids
        )

    def forward(self, images: Tensor) -> dict[str, Any]:
        """Return scores ``(b, n, outputs)``, squashed ``(b, n, 4)`` and the ``anchors``' fields."""
        height, width = images.shape[-2:]
        maps = self.pyramid(self.encoder(images))
        scores, squashed, anchors = [], [], []
        for grid, stride, level, head in zip(self.grids, self.strides, self.levels, self.heads):
            value = maps[level]
            if stride is None:
                value = functional.adaptive_avg_pool2d(value, grid)
            classes, boxes = head(value)
            rows, cols = value.shape[-2:]
            cell = (stride, stride) if stride else (width / grid, height / grid)
            anchors.append(grid_anchors(rows, cols, cell, self.shapes, images.device))
            scores.append(_by_anchor(classes, self.outputs))
            squashed.append(_by_anchor(boxes, 4))
        return {
            "scores": torch.cat(scores, 1),
            "squashed": torch.tanh(torch.cat(squashed, 1)),
            "anchors": join(anchors)._asdict(),
        }

    def loss(self, outputs: dict[str, Any], targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return the parts of the loss, each a number per matched anchor.

        Args:
            outputs: what :meth:`forward` returned.
            targets: one per image: ``boxes`` ``(n, 4)`` in pixels, ``labels`` ``(n,)``.
        """
        anchors = Anchors(**outputs["anchors"])
        matched = torch.stack(
            [
                match(anchors, target["boxes"].float(), _LEAST_OVERLAP, _BACKGROUND_OVERLAP)
                for target in targets
            ]
        )
        positive = matched >= 0
        labels = torch.full_like(matched, -1)
        wanted, objects, count = [], [], 0
        for index, target in enumerate(targets):
            chosen = matched[index][positive[index]]
            labels[index, positive[index]] = target["labels"][chosen]
            wanted.append(target["boxes"].float()[chosen])
            objects.append(chosen + count)
            count += len(target["boxes"])
        labels[matched == NEITHER] = NEITHER
        own = anchors.take(positive.nonzero()[:, 1])
        answers, truth = outputs["squashed"][positive], torch.cat(wanted)
        shares = torch.ones_like(labels, dtype=torch.float32)
        shares[positive] = shares_of_best(
            own.decode(answers.detach()), truth, torch.cat(objects), count
        )
        return {
            "boxes": _box_loss(own, answers, truth),
            "classes": self._class_loss(outputs["scores"], labels, shares),
        }

    def _class_loss(self, scores: Tensor, labels: Tensor, shares: Tensor) -> Tensor:
        """Return focal loss, or cross entropy with three hard negatives to a positive.

        Args:
            scores: ``(b, n, outputs)``.
            labels: ``(b, n)``, −1 for background and :data:`.anchors.NEITHER` for no loss.
            shares: ``(b, n)``, how much of an object's class its anchors are to tell; the rest
                is background.
        """
        positive, counted = labels >= 0, labels != NEITHER
        labels = labels.clamp(min=-1)
        count = positive.sum().clamp(min=1)
        if self.focal_loss:
            truth = functional.one_hot(labels + 1, self.outputs + 1)[..., 1:].to(scores.dtype)
            losses = quality_focal_loss(scores, truth * shares[..., None])
            return losses[counted].sum() / count
        # Output 0 is the background.
        background = -scores.log_softmax(-1)[..., 0]
        losses = functional.cross_entropy(
            scores.flatten(0, 1), (labels + 1).flatten(), reduction="none"
        ).reshape(labels.shape)
        losses = shares * losses + (1 - shares) * background
        negative = counted & ~positive
        wrong = losses.detach().masked_fill(~negative, -1.0)
        rank = wrong.argsort(1, descending=True).argsort(1)
        allowed = (positive.sum(1, keepdim=True) * _NEGATIVES_PER_POSITIVE).clamp(min=16)
        hard = (rank < allowed) & negative
        return (losses[positive].sum() + losses[hard].sum()) / count


class TopDown(nn.Module):
    """Maps of equal width at every power-of-two stride asked for, with context from above.

    Lin et al. 2017, arXiv:1612.03144. Strides beyond the encoder's last one are made by
    strided convolutions.
    """

    def __init__(self, encoder: nn.Module, finest: int, coarsest: int, width: int) -> None:
        super().__init__()
        # An encoder may have several maps of one stride: the last one knows most.
        known = dict(zip(encoder.strides, range(len(encoder.strides))))
        self.finest = finest
        finest = max(min(known), min(finest, max(known)))
        self.sources = [(s, i) for s, i in known.items() if s >= finest]
        self.laterals = nn.ModuleList(
            nn.Conv2d(encoder.channels[index], width, 1) for _, index in self.sources
        )
        self.smooths = nn.ModuleList(_block(width, width) for _ in self.sources)
        self.extra_strides = []
        stride = max(known)
        while stride < coarsest:
            stride *= 2
            self.extra_strides.append(stride)
        self.extras = nn.ModuleList(_block(width, width, 2) for _ in self.extra_strides)

    def forward(self, maps: list[Tensor]) -> dict[int, Tensor]:
        """Return the maps by stride."""
        result = {}
        above = None
        for (stride, index), lateral, smooth in reversed(
            list(zip(self.sources, self.laterals, self.smooths))
        ):
            value = lateral(maps[index])
            if above is not None:
                value = value + functional.interpolate(above, size=value.shape[-2:])
            above = value
            result[stride] = smooth(value)
        # Finer maps than the encoder gives, as for transformers of one stride, are enlarged.
        finest = min(result)
        while finest > self.finest:
            finest //= 2
            result[finest] = functional.interpolate(result[finest * 2], scale_factor=2.0)
        value = result[self.sources[-1][0]]
        for stride, shrink in zip(self.extra_strides, self.extras):
            value = result[stride] = shrink(value)
        return result


def _finer_stride(grid: int, chip_size: int) -> int:
    """Return the coarsest stride whose map has at least ``grid`` cells a side."""
    stride = 4
    while chip_size / (stride * 2) >= grid and stride < 256:
        stride *= 2
    return stride


def _block(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


class _Head(nn.Module):
    """Tells classes and boxes of the anchors of one grid.

    Dropout is for the classes: boxes told from what is left of the features are off.
    """

    def __init__(
        self, width: int, shapes: int, outputs: int, drop: float, with_background: bool
    ) -> None:
        super().__init__()
        self.block = _block(width, width)
        self.drop = nn.Dropout(drop)
        self.classes = nn.Conv2d(width, shapes * outputs, 3, padding=1)
        self.boxes = nn.Conv2d(width, shapes * 4, 3, padding=1)
        for each in (self.classes, self.boxes):
            nn.init.normal_(each.weight, std=0.01)
        nn.init.zeros_(self.boxes.bias)
        # Begin with few detections: a network that sees objects everywhere learns slowly.
        first = [2.0] + [0.0] * (outputs - 1) if with_background else [-4.6] * outputs
        self.classes.bias = nn.Parameter(torch.tensor(first * shapes))

    def forward(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores ``(b, k × outputs, rows, cols)`` and boxes ``(b, k × 4, rows, cols)``."""
        value = self.block(value)
        return self.classes(self.drop(value)).float(), self.boxes(value).float()


def _box_loss(own: Anchors, answers: Tensor, wanted: Tensor) -> Tensor:
    """Return the loss of the boxes: one less their generalized IoU, and smooth L1 of the answers.

    Boxes that hardly touch teach by the second, nearly right ones by the first.

    Args:
        own: anchors ``(m,)`` that have an object.
        answers: ``(m, 4)``, what the network says at them.
        wanted: ``(m, 4)``, the objects' boxes.
    """
    overlap = generalized_box_iou_loss(own.decode(answers), wanted, reduction="sum")
    # An anchor goes no further than its limits.
    nearest = own.encode(wanted).clamp(-1, 1)
    apart = functional.smooth_l1_loss(answers, nearest, reduction="sum", beta=_SMOOTH)
    return (overlap + apart) / max(len(wanted), 1)


def _by_anchor(answer: Tensor, numbers: int) -> Tensor:
    """Return ``(b, n, numbers)`` of maps ``(b, k × numbers, rows, cols)``."""
    # By its shape, for an export knows no length of a batch.
    return answer.permute(0, 2, 3, 1).reshape(answer.shape[0], -1, numbers)
