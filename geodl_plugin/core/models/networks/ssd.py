"""The network of the single-shot detector."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torchvision.ops import clip_boxes_to_image, generalized_box_iou_loss, sigmoid_focal_loss

from ..ssd import stride_of_grid
from .anchors import Anchors, grid_anchors, join, match

_MATCH_THRESHOLD = 0.45
_NEGATIVES_PER_POSITIVE = 3
_MOST_DETECTIONS = 1000  # per image, before suppression
_WIDTH = 128


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
        self.outputs = class_count if focal_loss else class_count + 1
        shapes = [[zoom * wide, zoom * high] for zoom in zooms for wide, high in ratios]
        self.register_buffer("shapes", torch.tensor(shapes, dtype=torch.float32), persistent=False)
        self.strides = [stride_of_grid(grid, chip_size) for grid in grids]
        fitting = [stride for stride in self.strides if stride]
        self.fixed_tile = None if all(self.strides) else chip_size
        self.tile_step = max([32, *fitting])
        self.levels = [
            stride or _finer_stride(grid, chip_size)
            for grid, stride in zip(self.grids, self.strides)
        ]
        self.pyramid = TopDown(encoder, min(self.levels), max(self.levels), _WIDTH)
        self.heads = nn.ModuleList(
            _head(_WIDTH, len(shapes) * (self.outputs + 4), drop) for _ in grids
        )
        self._start_as_background(len(shapes))

    def _start_as_background(self, shape_count: int) -> None:
        """Begin with few detections: a network that sees objects everywhere learns slowly."""
        for head in self.heads:
            last = head[-1]
            nn.init.normal_(last.weight, std=0.01)
            bias = torch.zeros(shape_count, self.outputs + 4)
            if self.focal_loss:
                bias[:, : self.outputs] = -4.6
            else:
                bias[:, 0] = 2.0
            last.bias = nn.Parameter(bias.flatten())

    def forward(self, images: Tensor) -> dict[str, Any]:
        """Return scores ``(b, n, outputs)``, squashed ``(b, n, 4)`` and the ``anchors``."""
        height, width = images.shape[-2:]
        maps = self.pyramid(self.encoder(images))
        answers, anchors = [], []
        for grid, stride, level, head in zip(self.grids, self.strides, self.levels, self.heads):
            value = maps[level]
            if stride is None:
                value = functional.adaptive_avg_pool2d(value, grid)
            answer = head(value).float()
            rows, cols = answer.shape[-2:]
            cell = (stride, stride) if stride else (width / grid, height / grid)
            anchors.append(grid_anchors(rows, cols, cell, self.shapes, images.device))
            # By its shape, for an export knows no length of a batch.
            flat = answer.permute(0, 2, 3, 1).reshape(images.shape[0], -1, self.outputs + 4)
            answers.append(flat)
        joined = torch.cat(answers, 1)
        return {
            "scores": joined[..., : self.outputs],
            "squashed": torch.tanh(joined[..., self.outputs :]),
            "anchors": join(anchors),
        }

    def loss(self, outputs: dict[str, Any], targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return the parts of the loss, each a number per matched anchor.

        Args:
            outputs: what :meth:`forward` returned.
            targets: one per image: ``boxes`` ``(n, 4)`` in pixels, ``labels`` ``(n,)``.
        """
        anchors: Anchors = outputs["anchors"]
        matched = torch.stack(
            [match(anchors, target["boxes"].float(), _MATCH_THRESHOLD) for target in targets]
        )
        positive = matched >= 0
        labels = torch.full_like(matched, -1)
        wanted = []
        for index, target in enumerate(targets):
            chosen = matched[index][positive[index]]
            labels[index, positive[index]] = target["labels"][chosen]
            wanted.append(target["boxes"].float()[chosen])
        count = positive.sum().clamp(min=1)
        boxes = anchors.decode(outputs["squashed"])[positive]
        box_loss = generalized_box_iou_loss(boxes, torch.cat(wanted), reduction="sum") / count
        return {"boxes": 2 * box_loss, "classes": self._class_loss(outputs["scores"], labels)}

    def _class_loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Return focal loss, or cross entropy with three hard negatives to a positive."""
        positive = labels >= 0
        count = positive.sum().clamp(min=1)
        if self.focal_loss:
            truth = functional.one_hot(labels + 1, self.outputs + 1)[..., 1:].to(scores.dtype)
            return sigmoid_focal_loss(scores, truth, reduction="sum") / count
        # Output 0 is the background.
        losses = functional.cross_entropy(
            scores.flatten(0, 1), (labels + 1).flatten(), reduction="none"
        ).reshape(labels.shape)
        wrong = losses.detach().masked_fill(positive, -1.0)
        rank = wrong.argsort(1, descending=True).argsort(1)
        allowed = (positive.sum(1, keepdim=True) * _NEGATIVES_PER_POSITIVE).clamp(min=16)
        hard = (rank < allowed) & ~positive
        return (losses[positive].sum() + losses[hard].sum()) / count

    def candidates(self, outputs: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Return the boxes ``(b, n, 4)`` of all anchors and their classes' scores ``(b, n, c)``.

        This is what a detector must have to be written for other programs.
        """
        scores = outputs["scores"]
        chances = scores.sigmoid() if self.focal_loss else scores.softmax(-1)[..., 1:]
        return outputs["anchors"].decode(outputs["squashed"]), chances

    @torch.no_grad()
    def detect(
        self, outputs: dict[str, Any], image_size: tuple[int, int], threshold: float
    ) -> list[dict[str, Tensor]]:
        """Return for each image ``boxes`` ``(n, 4)``, ``scores`` and ``labels`` ``(n,)``.

        Args:
            outputs: what :meth:`forward` returned.
            image_size: height and width of the images, to which boxes are clipped.
            threshold: least score, 0 to 1.
        """
        boxes, chances = self.candidates(outputs)
        found = []
        for chance, box in zip(chances, boxes):
            where, label = torch.nonzero(chance >= threshold, as_tuple=True)
            score = chance[where, label]
            best = score.argsort(descending=True, stable=True)[:_MOST_DETECTIONS]
            clipped = clip_boxes_to_image(box[where[best]], image_size)
            found.append({"boxes": clipped, "scores": score[best], "labels": label[best]})
        return found


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


def _head(width: int, outputs: int, drop: float) -> nn.Sequential:
    return nn.Sequential(
        *_block(width, width), nn.Dropout(drop), nn.Conv2d(width, outputs, 3, padding=1)
    )
