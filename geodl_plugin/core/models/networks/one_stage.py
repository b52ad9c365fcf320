"""torchvision's dense detectors behind the face that all detectors of the project have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, RetinaNet
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.retinanet import RetinaNetHead

from . import crowds
from .pyramid import FeaturePyramid, group_norm
from .quality import quality_focal_loss, shares_of_best
from .stride_anchors import StrideAnchors

MOST_DETECTIONS = 1000  # per image of 512 × 512, after suppression
CANDIDATES = 2000  # per map of such an image, before suppression
NMS_OVERLAP = 0.5
LEAST_STEP = 32  # pixels
_OF_OBJECTS = ("boxes", "labels", "masks")  # what a target has of each object


class OneStageDetector(nn.Module):
    """A dense detector of torchvision whose images come normalised and are not resized.

    Args:
        model: the detector; its own ``forward``, which resizes, is not used.

    Attributes:
        tile_step: a tile's side must be a multiple of it.
        fixed_tile: the only tile side, where there is one.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.tile_step = max(LEAST_STEP, *model.backbone.strides)
        self.fixed_tile = model.backbone.fixed_tile
        self._limits = model.topk_candidates, model.detections_per_img

    @property
    def encoder(self) -> nn.Module:
        """The part that pretrained weights are for."""
        return self.model.backbone.encoder

    def forward(self, images: Tensor) -> dict[str, list[Tensor]]:
        """Return what each head says of the anchors, ``(b, rows, cols · k, numbers)`` a map.

        There are ``cls_logits``, ``bbox_regression`` and, of FCOS, ``bbox_ctrness``.
        """
        outputs: dict[str, list[Tensor]] = {}
        for feature in self.model.backbone(images).values():
            for name, value in self.model.head([feature]).items():
                batch, _, numbers = value.shape
                shaped = value.reshape(batch, feature.shape[-2], -1, numbers)
                outputs.setdefault(name, []).append(shaped.float())
        return outputs

    def loss(
        self, outputs: dict[str, list[Tensor]], targets: list[dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Return the parts of the loss.

        Args:
            outputs: what :meth:`forward` returned.
            targets: one per image: ``boxes`` ``(n, 4)`` in pixels, ``labels`` ``(n,)``.
        """
        anchors = self._anchors(outputs)
        levels = [len(each) for each in anchors]
        joined = {
            name: torch.cat([each.flatten(1, 2) for each in maps], 1)
            for name, maps in outputs.items()
        }
        wanted = [
            {"boxes": each["boxes"].float(), "labels": each["labels"]}
            for each in map(solid, targets)
        ]
        return self._loss(wanted, joined, [torch.cat(anchors)] * len(targets), levels)

    def _loss(
        self,
        targets: list[dict[str, Tensor]],
        outputs: dict[str, Tensor],
        anchors: list[Tensor],
        levels: list[int],
    ) -> dict[str, Tensor]:
        """Return torchvision's loss; not every detector asks how many anchors a map has."""
        return self.model.compute_loss(targets, outputs, anchors)

    def _anchors(self, outputs: dict[str, list[Tensor]]) -> tuple[Tensor, ...]:
        """Return the anchors ``(n, 4)`` of each map."""
        generator = self.model.anchor_generator
        maps = outputs["cls_logits"]
        counts = generator.num_anchors_per_location()
        shapes = [(each.shape[1], each.shape[2] // count) for each, count in zip(maps, counts)]
        return generator.of_maps(shapes, maps[0].device)

    def candidates(self, outputs: dict[str, list[Tensor]]) -> tuple[Tensor, Tensor]:
        """Return the boxes ``(b, n, 4)`` of all anchors and their classes' scores ``(b, n, c)``.

        This is what a detector must have to be written for other programs.
        """
        boxes, chances = [], []
        for place, anchors in enumerate(self._anchors(outputs)):
            flat = {name: maps[place].flatten(1, 2) for name, maps in outputs.items()}
            moves = flat["bbox_regression"]
            repeated = anchors.expand(moves.shape[0], -1, -1)
            boxes.append(self._decode(moves.flatten(0, 1), repeated.flatten(0, 1), moves.shape))
            chances.append(self._chances(flat))
        return torch.cat(boxes, 1), torch.cat(chances, 1)

    def _decode(self, moves: Tensor, anchors: Tensor, shape: Sequence[int]) -> Tensor:
        """Return boxes of moves and anchors ``(b · n, 4)`` in the shape ``(b, n, 4)``."""
        return self.model.box_coder.decode_single(moves, anchors).reshape(shape)

    def _chances(self, outputs: dict[str, Tensor]) -> Tensor:
        """Return the score of each class ``(b, n, c)``."""
        return outputs["cls_logits"].sigmoid()

    @torch.no_grad()
    def detect(
        self, outputs: dict[str, list[Tensor]], image_size: tuple[int, int], threshold: float
    ) -> list[dict[str, Tensor]]:
        """Return for each image ``boxes`` ``(n, 4)``, ``scores`` and ``labels`` ``(n,)``.

        Args:
            outputs: what :meth:`forward` returned.
            image_size: height and width of the images, to which boxes are clipped.
            threshold: least score, 0 to 1.
        """
        flat = {name: [each.flatten(1, 2) for each in maps] for name, maps in outputs.items()}
        count = len(flat["cls_logits"][0])
        anchors = [list(self._anchors(outputs))] * count
        self.model.score_thresh = threshold
        limits = (crowds.of_image(each, image_size) for each in self._limits)
        self.model.topk_candidates, self.model.detections_per_img = limits
        return self.model.postprocess_detections(flat, anchors, [image_size] * count)


class RetinaNetDetector(OneStageDetector):
    """RetinaNet; its heads start with a score of one in a hundred everywhere."""

    def __init__(
        self,
        backbone: FeaturePyramid,
        class_count: int,
        anchor_sizes: Sequence[float],
        scales: Sequence[float],
        ratios: Sequence[float],
    ) -> None:
        sizes = [[side * scale for scale in scales] for side in anchor_sizes]
        super().__init__(
            RetinaNet(
                backbone,
                class_count,
                anchor_generator=StrideAnchors(backbone.strides, sizes, ratios),
                head=_RetinaNetHead(
                    backbone.out_channels, len(scales) * len(ratios), class_count, group_norm
                ),
                detections_per_img=MOST_DETECTIONS,
                topk_candidates=CANDIDATES,
                nms_thresh=NMS_OVERLAP,
            )
        )


class _RetinaNetHead(RetinaNetHead):
    """Teaches the highest score to the box of an object that fits best."""

    def compute_loss(
        self,
        targets: list[dict[str, Tensor]],
        outputs: dict[str, Tensor],
        anchors: list[Tensor],
        matched: list[Tensor],
    ) -> dict[str, Tensor]:
        """Return the parts of the loss.

        Args:
            targets: one per image: ``boxes`` ``(n, 4)`` in pixels, ``labels`` ``(n,)``.
            outputs: ``cls_logits`` ``(b, a, c)`` and ``bbox_regression`` ``(b, a, 4)``.
            anchors: ``(a, 4)`` of each image.
            matched: ``(a,)`` of each image: an object, or below 0 background or neither.
        """
        losses = [
            self._class_loss(target, logits, moves, own, chosen)
            for target, logits, moves, own, chosen in zip(
                targets, outputs["cls_logits"], outputs["bbox_regression"], anchors, matched
            )
        ]
        boxes = self.regression_head.compute_loss(targets, outputs, anchors, matched)
        return {"classification": torch.stack(losses).mean(), "bbox_regression": boxes}

    def _class_loss(
        self,
        target: dict[str, Tensor],
        logits: Tensor,
        moves: Tensor,
        anchors: Tensor,
        chosen: Tensor,
    ) -> Tensor:
        """Return the loss of the classes of one image for each anchor that has an object."""
        positive, counted = chosen >= 0, chosen != Matcher.BETWEEN_THRESHOLDS
        objects = chosen[positive]
        boxes = self.regression_head.box_coder.decode_single(
            moves[positive].detach(), anchors[positive]
        )
        wanted = target["boxes"]
        shares = shares_of_best(boxes, wanted[objects], objects, len(wanted))
        truth = torch.zeros_like(logits)
        truth[positive, target["labels"][objects]] = shares
        losses = quality_focal_loss(logits[counted], truth[counted])
        return losses.sum() / max(len(objects), 1)


class FcosDetector(OneStageDetector):
    """FCOS; its heads start with a score of one in a hundred everywhere."""

    def __init__(self, backbone: FeaturePyramid, class_count: int, **arguments: Any) -> None:
        points = StrideAnchors(backbone.strides, [[each] for each in backbone.strides], [1.0])
        super().__init__(FCOS(backbone, class_count, anchor_generator=points, **arguments))

    def _loss(
        self,
        targets: list[dict[str, Tensor]],
        outputs: dict[str, Tensor],
        anchors: list[Tensor],
        levels: list[int],
    ) -> dict[str, Tensor]:
        return self.model.compute_loss(targets, outputs, anchors, levels)

    def _decode(self, moves: Tensor, anchors: Tensor, shape: Sequence[int]) -> Tensor:
        return self.model.box_coder.decode(moves, anchors).reshape(shape)

    def _chances(self, outputs: dict[str, Tensor]) -> Tensor:
        centred = outputs["bbox_ctrness"].sigmoid()
        return (outputs["cls_logits"].sigmoid() * centred).sqrt()


def solid(target: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the objects of a target whose boxes have an area."""
    boxes = target["boxes"]
    keep = (boxes[:, 2:] > boxes[:, :2]).all(1)
    return {name: target[name][keep] for name in _OF_OBJECTS if name in target}
