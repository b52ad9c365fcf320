"""torchvision's dense detectors behind the face that all detectors of the project have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, RetinaNet
from torchvision.models.detection.retinanet import RetinaNetHead

from .pyramid import FeaturePyramid, group_norm
from .stride_anchors import StrideAnchors, image_list

MOST_DETECTIONS = 1000  # per image, after suppression
CANDIDATES = 2000  # per map, before suppression
NMS_OVERLAP = 0.5
LEAST_STEP = 32  # pixels


class OneStageDetector(nn.Module):
    """A dense detector of torchvision whose images come normalised and are not resized.

    Args:
        model: the detector; its own ``forward``, which resizes, is not used.

    Attributes:
        tile_step: a tile's side must be a multiple of it.
        fixed_tile: the only tile side, where there is one.
    """

    fixed_tile = None

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.tile_step = max(LEAST_STEP, *model.backbone.strides)

    @property
    def encoder(self) -> nn.Module:
        """The part that pretrained weights are for."""
        return self.model.backbone.encoder

    def forward(self, images: Tensor) -> dict[str, Any]:
        """Return what the heads say of every anchor, the ``anchors`` and how many a map has."""
        features = list(self.model.backbone(images).values())
        outputs = {name: value.float() for name, value in self.model.head(features).items()}
        counts = self.model.anchor_generator.num_anchors_per_location()
        outputs["anchors"] = self.model.anchor_generator(image_list(images[:1]), features)[0]
        outputs["levels"] = [
            each.shape[-2] * each.shape[-1] * count for each, count in zip(features, counts)
        ]
        return outputs

    def loss(self, outputs: dict[str, Any], targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return the parts of the loss.

        Args:
            outputs: what :meth:`forward` returned.
            targets: one per image: ``boxes`` ``(n, 4)`` in pixels, ``labels`` ``(n,)``.
        """
        anchors = [outputs["anchors"]] * len(targets)
        wanted = [
            {"boxes": each["boxes"].float(), "labels": each["labels"]}
            for each in map(solid, targets)
        ]
        return self.model.compute_loss(wanted, outputs, anchors, *self._levels(outputs))

    def _levels(self, outputs: dict[str, Any]) -> tuple[Any, ...]:
        """Return what else the loss needs to know."""
        return ()

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
        levels = outputs["levels"]
        split = {
            name: list(value.split(levels, 1))
            for name, value in outputs.items()
            if name not in ("anchors", "levels")
        }
        anchors = list(outputs["anchors"].split(levels))
        count = len(outputs["cls_logits"])
        self.model.score_thresh = threshold
        return self.model.postprocess_detections(split, [anchors] * count, [image_size] * count)


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
                head=RetinaNetHead(
                    backbone.out_channels, len(scales) * len(ratios), class_count, group_norm
                ),
                detections_per_img=MOST_DETECTIONS,
                topk_candidates=CANDIDATES,
                nms_thresh=NMS_OVERLAP,
            )
        )


class FcosDetector(OneStageDetector):
    """FCOS; its heads start with a score of one in a hundred everywhere."""

    def __init__(self, backbone: FeaturePyramid, class_count: int, **arguments: Any) -> None:
        points = StrideAnchors(backbone.strides, [[each] for each in backbone.strides], [1.0])
        super().__init__(FCOS(backbone, class_count, anchor_generator=points, **arguments))

    def _levels(self, outputs: dict[str, Any]) -> tuple[Any, ...]:
        return (outputs["levels"],)


def solid(target: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the objects of a target whose boxes have an area."""
    boxes = target["boxes"]
    keep = (boxes[:, 2:] > boxes[:, :2]).all(1)
    return {name: value[keep] for name, value in target.items()}
