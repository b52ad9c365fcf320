"""torchvision's Faster and Mask R-CNN behind the face that all detectors of the project have."""

from __future__ import annotations

import contextlib
import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import fastrcnn_loss, maskrcnn_loss
from torchvision.models.detection.rpn import concat_box_prediction_layers
from torchvision.ops import MultiScaleRoIAlign

from . import crowds
from .one_stage import LEAST_STEP, solid
from .paste import paste_masks
from .pyramid import FeaturePyramid, group_norm
from .stride_anchors import StrideAnchors

BOX_POOL, MASK_POOL = 7, 14  # cells that a proposal is divided into
SAMPLES = 2  # of the map in each cell, along each side
BOX_WIDTH = 1024  # of the layers that classify a proposal
HALF_PIXEL = 0.5
OUTLINED = 32  # proposals of an image whose outlines are taught in a step
FIRST_SCORE = 0.05  # of all classes together, before the network has learnt anything


class TwoStageDetector(nn.Module):
    """A detector that proposes places and then looks at each.

    ``forward`` does what is dense: the maps and what they say of the anchors. Proposals and
    what follows from them are the work of ``loss`` and ``detect``, in full precision: there
    it decides which boxes overlap. In ``loss`` the layers that look at each proposal compute in
    the format of ``forward``.

    Args:
        backbone: gives the maps.
        class_count: classes, the background not counted.
        sizes: of the anchors of each map, in pixels.
        ratios: heights to widths of the anchors.
        masks: whether to outline the objects too.
        arguments: those of torchvision.

    Attributes:
        tile_step: a tile's side must be a multiple of it.
        fixed_tile: the only tile side, where there is one.
    """

    def __init__(
        self,
        backbone: FeaturePyramid,
        class_count: int,
        sizes: Sequence[Sequence[float]],
        ratios: Sequence[float],
        masks: bool = False,
        **arguments: Any,
    ) -> None:
        super().__init__()
        self.tile_step = max(LEAST_STEP, *backbone.strides)
        self.fixed_tile = backbone.fixed_tile
        names = [str(each) for each in backbone.strides]
        width = backbone.out_channels
        if masks:
            arguments["mask_roi_pool"] = MultiScaleRoIAlign(names, MASK_POOL, SAMPLES)
            arguments["mask_head"] = MaskHead(width, (width,) * 4, 1, group_norm)
            arguments["mask_predictor"] = MaskRCNNPredictor(width, width, class_count + 1)
        self.model = (MaskRCNN if masks else FasterRCNN)(
            backbone,
            rpn_anchor_generator=StrideAnchors(backbone.strides, sizes, ratios),
            box_roi_pool=MultiScaleRoIAlign(names, BOX_POOL, SAMPLES),
            box_head=BoxHead(width * BOX_POOL**2),
            box_predictor=FastRCNNPredictor(BOX_WIDTH, class_count + 1),
            **arguments,
        )
        self._kind = torch.float32
        rpn = self.model.rpn
        self._limits = (
            rpn._pre_nms_top_n["testing"],
            rpn._post_nms_top_n["testing"],
            self.model.roi_heads.detections_per_img,
        )
        # Begin with few detections: a network that sees objects everywhere learns slowly.
        bias = self.model.roi_heads.box_predictor.cls_score.bias
        with torch.no_grad():
            bias.zero_()
            bias[0] = math.log(class_count * (1 - FIRST_SCORE) / FIRST_SCORE)

    @property
    def encoder(self) -> nn.Module:
        """The part that pretrained weights are for."""
        return self.model.backbone.encoder

    def forward(self, images: Tensor) -> dict[str, Any]:
        """Return the ``features`` by stride, and ``objectness`` and ``shifts`` of the anchors."""
        features = self.model.backbone(images)
        objectness, shifts = self.model.rpn.head(list(features.values()))
        self._kind = objectness[0].dtype  # of the convolution that has told it
        return {
            "features": {name: value.float() for name, value in features.items()},
            "objectness": [each.float() for each in objectness],
            "shifts": [each.float() for each in shifts],
        }

    def loss(self, outputs: dict[str, Any], targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return the parts of the loss; of the second stage in validation those of ``_judged``.

        Args:
            outputs: what :meth:`forward` returned.
            targets: one per image: ``boxes`` ``(n, 4)`` in pixels, ``labels`` ``(n,)``, and
                ``masks`` ``(n, h, w)`` where the network outlines.
        """
        wanted = []
        for each in map(solid, targets):
            # torchvision's class 0 is the background.
            wanted.append(
                {**each, "boxes": each["boxes"].float(), "labels": each["labels"].long() + 1}
            )
        device = outputs["objectness"][0].device
        with self._mode(True, device), self._same_draws(device):
            proposals, losses = self._propose(outputs, wanted)
            sizes = [self._size(outputs)] * len(proposals)
            return {**losses, **self._second_losses(outputs["features"], proposals, sizes, wanted)}

    def _second_losses(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        sizes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]],
    ) -> dict[str, Tensor]:
        """Return the losses of the second stage: those of torchvision, in validation ``_judged``.

        Other than there, outlines are taught of a part of the proposals that lie on objects, for
        all of them would make a step 1.6 times as long, and exactly where the objects lie.
        """
        heads = self.model.roi_heads
        proposals, matched, labels, shifts = heads.select_training_samples(proposals, targets)
        pooled = heads.box_head(heads.box_roi_pool(features, proposals, sizes))
        scores, told = heads.box_predictor(pooled)
        if self.training:
            losses = fastrcnn_loss(scores, told, labels, shifts)
            found = dict(zip(("loss_classifier", "loss_box_reg"), losses))
        else:
            found = self._judged(scores, told, labels, shifts)
        if heads.has_mask():
            chosen = [_some((each > 0).nonzero().flatten(), OUTLINED) for each in labels]
            boxes = [each[index] for each, index in zip(proposals, chosen)]
            pooled = heads.mask_head(heads.mask_roi_pool(features, boxes, sizes))
            found["loss_mask"] = maskrcnn_loss(
                heads.mask_predictor(pooled),
                # torchvision takes pixels for points at their upper left corners: what it
                # teaches would lie half a pixel beside the object.
                [each - HALF_PIXEL for each in boxes],
                [each["masks"] for each in targets],
                [each["labels"] for each in targets],
                [each[index] for each, index in zip(matched, chosen)],
            )
        return found

    def _judged(
        self, scores: Tensor, told: Tensor, labels: list[Tensor], shifts: list[Tensor]
    ) -> dict[str, Tensor]:
        """Return losses of the second stage's boxes by which epochs can be compared.

        torchvision's are means over all proposals. They grow as the first stage learns, for
        more and more proposals are objects, and the first epoch would be the best. Here objects
        and background count alike, and boxes by the object.
        """
        label = torch.cat(labels)
        losses = functional.cross_entropy(scores, label, reduction="none")
        means = [losses[each].mean() for each in (label > 0, label == 0) if each.any()]
        where = (label > 0).nonzero().flatten()
        told = told.reshape(len(told), -1, 4)[where, label[where]]
        wanted = torch.cat(shifts)[where]
        box_loss = functional.smooth_l1_loss(told, wanted, beta=1 / 9, reduction="sum")
        return {
            "loss_classifier": torch.stack(means).mean(),
            "loss_box_reg": box_loss / max(len(where), 1),
        }

    def _size(self, outputs: dict[str, Any]) -> tuple[int, int]:
        """Return height and width of the images, told from the finest map."""
        rows, cols = outputs["objectness"][0].shape[-2:]
        stride = self.model.backbone.strides[0]
        return rows * stride, cols * stride

    @contextlib.contextmanager
    def _mode(self, losses: bool, device: torch.device) -> Iterator[None]:
        """Have torchvision compute losses, or detections, whether or not the network trains.

        Its parts have nothing else that behaves otherwise in training. They compute in full
        precision, also where the caller wants another one; but for losses the heads compute as
        the network did.
        """
        parts = (self.model.rpn, self.model.roi_heads)
        heads = [each for each in self.model.roi_heads.children() if isinstance(each, _Head)]
        before = [part.training for part in parts]
        try:
            for part in parts:
                part.train(losses)
            for head in heads:
                head.kind = self._kind if losses else torch.float32
            with torch.autocast(device.type, enabled=False):
                yield
        finally:
            for part, mode in zip(parts, before):
                part.train(mode)
            for head in heads:
                head.kind = torch.float32

    @contextlib.contextmanager
    def _same_draws(self, device: torch.device) -> Iterator[None]:
        """Draw the same proposals each time for the loss of a validation, outside of training."""
        if self.training:
            yield
            return
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(0)
            yield

    def _propose(
        self, outputs: dict[str, Any], targets: list[dict[str, Tensor]] | None = None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Return the proposals ``(n, 4)`` of each image, and the losses where there are targets.

        This is what torchvision's proposal network does behind its head.
        """
        rpn = self.model.rpn
        levels = [each[0].numel() for each in outputs["objectness"]]
        first = outputs["objectness"][0]
        images = ImageList(first, [self._size(outputs)] * len(first))
        anchors = rpn.anchor_generator(images, outputs["objectness"])
        objectness, shifts = concat_box_prediction_layers(
            list(outputs["objectness"]), list(outputs["shifts"])
        )
        boxes = rpn.box_coder.decode(shifts.detach(), anchors).view(len(anchors), -1, 4)
        proposals, _ = rpn.filter_proposals(boxes, objectness, images.image_sizes, levels)
        if targets is None:
            return proposals, {}
        labels, matched = rpn.assign_targets_to_anchors(anchors, targets)
        wanted = rpn.box_coder.encode(matched, anchors)
        object_loss, box_loss = rpn.compute_loss(objectness, shifts, labels, wanted)
        return proposals, {"loss_objectness": object_loss, "loss_rpn_box_reg": box_loss}

    @torch.no_grad()
    def detect(
        self, outputs: dict[str, Any], image_size: tuple[int, int], threshold: float
    ) -> list[dict[str, Any]]:
        """Return for each image ``boxes`` ``(n, 4)``, ``scores`` and ``labels`` ``(n,)``.

        A network that outlines also gives ``masks``, a list of ``uint8`` arrays, and
        ``windows`` ``(n, 4)``: col, row, width and height of each mask in the image.

        Args:
            outputs: what :meth:`forward` returned.
            image_size: height and width of the images, to which boxes are clipped.
            threshold: least score, 0 to 1.
        """
        heads = self.model.roi_heads
        heads.score_thresh = threshold
        self._limit(image_size)
        with self._mode(False, outputs["objectness"][0].device):
            proposals, _ = self._propose(outputs)
            sizes = [image_size] * len(proposals)
            found, _ = heads(OrderedDict(outputs["features"]), proposals, sizes)
        for each in found:
            each["labels"] = each["labels"] - 1
        if heads.has_mask():
            return [paste_masks(each, image_size) for each in found]
        return found

    def _limit(self, image_size: tuple[int, int]) -> None:
        """Allow a wide image as many proposals and objects, by area, as a small one."""
        proposed, kept, found = (crowds.of_image(each, image_size) for each in self._limits)
        self.model.rpn._pre_nms_top_n["testing"] = proposed
        self.model.rpn._post_nms_top_n["testing"] = kept
        self.model.roi_heads.detections_per_img = found


def _some(places: Tensor, most: int) -> Tensor:
    """Return at most so many of ``places`` ``(n,)``, drawn at random."""
    if len(places) <= most:
        return places
    return places[torch.randperm(len(places), device=places.device)[:most]]


class _Head(nn.Sequential):
    """Layers that look at each proposal: most multiplications of a training step are theirs.

    Attributes:
        kind: number format in which they are done; the answer has full precision.
    """

    kind = torch.float32

    def forward(self, pooled: Tensor) -> Tensor:
        """Return the answer to the maps of proposals ``(n, width, rows, cols)``."""
        if self.kind == torch.float32:
            return super().forward(pooled)
        with torch.autocast(pooled.device.type, self.kind):
            return super().forward(pooled).float()


class BoxHead(_Head):
    """torchvision's two layers, with norms so that they bear the rates of AdamW."""

    def __init__(self, inputs: int) -> None:
        super().__init__(
            nn.Flatten(),
            nn.Linear(inputs, BOX_WIDTH),
            nn.LayerNorm(BOX_WIDTH),
            nn.ReLU(inplace=True),
            nn.Linear(BOX_WIDTH, BOX_WIDTH),
            nn.LayerNorm(BOX_WIDTH),
            nn.ReLU(inplace=True),
        )


class MaskHead(_Head, MaskRCNNHeads):
    """torchvision's convolutions."""
