"""What a detector of two stages does with its maps, in a form that can be traced.

torchvision goes through the images one by one, through lists whose lengths depend on what is
seen. Here all images are computed together, and suppression leaves out of a fixed number of boxes
those that others have: the result is the same, and holds for any number of images.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.rpn import concat_box_prediction_layers
from torchvision.ops import MultiScaleRoIAlign, nms, roi_align

from ..models.networks.two_stage import TwoStageDetector

MOST_CANDIDATES = 4000  # of an image, the best ones, of which suppression leaves the detections
LEAST_SIZE = 1e-2  # pixels; torchvision drops detections that are smaller
MASK_SCORE = 0.05  # from which an object is outlined, as in torchvision
LEAST_MASKS = 10  # outlined in any case, of the batch's images: an answer is never empty
_NOTHING = -1.0  # the score of what is left out


class SecondStage(nn.Module):
    """Proposals, their classes and outlines, of all images of a batch together.

    Args:
        network: a copy of the detector of its own; only its parts are used.
        bands: of the images.
        side: of the only images it is for, in pixels of the network.
    """

    def __init__(self, network: TwoStageDetector, bands: int, side: int) -> None:
        super().__init__()
        self.network = network
        self.side = float(side)
        with torch.no_grad():
            outputs = network(torch.zeros(1, bands, side, side))
            # Looking at an image once, its parts learn how the maps measure.
            network.detect(outputs, (side, side), 0.0)
        shapes = [(each.shape[-2], each.shape[-1]) for each in outputs["objectness"]]
        anchors = network.model.rpn.anchor_generator.of_maps(shapes, torch.device("cpu"))
        self.counts = [len(each) for each in anchors]
        self.register_buffer("anchors", torch.cat(anchors))

    def forward(self, outputs: dict[str, Any]) -> tuple[Tensor, ...]:
        """Return ``boxes`` ``(b, n, 4)`` as corners, ``scores`` and ``labels`` ``(b, n)``.

        The best come first; what fills up has a score and a box of zeros. A network that
        outlines also gives ``masks`` ``(b, n, s, s)``: probabilities on a grid stretched over
        each box.

        Args:
            outputs: what the network's ``forward`` returned.
        """
        proposals, scores = self._propose(outputs)
        numbers = _numbers(scores).flatten()[:, None].to(proposals.dtype)
        rois = torch.cat([numbers, proposals.flatten(0, 1)], 1)
        heads = self.network.model.roi_heads
        pooled = _pool(heads.box_roi_pool, outputs["features"], rois)
        logits, shifts = heads.box_predictor(heads.box_head(pooled))
        classes = logits.shape[-1]
        chances = logits.softmax(-1)[:, 1:].view(-1, self.proposals, classes - 1)
        chances = torch.where(scores[..., None] > _NOTHING, chances, _NOTHING)
        boxes = heads.box_coder.decode_single(shifts, rois[:, 1:])
        boxes = boxes.view(-1, self.proposals, classes, 4)[:, :, 1:].clamp(0, self.side)
        found = self._best(boxes.flatten(1, 2), chances.flatten(1), classes - 1)
        return self._outlined(outputs, *found) if heads.has_mask() else found

    @property
    def proposals(self) -> int:
        """How many proposals of each image the second stage looks at."""
        rpn = self.network.model.rpn
        kept = sum(min(each, rpn.pre_nms_top_n()) for each in self.counts)
        return min(kept, rpn.post_nms_top_n())

    def _propose(self, outputs: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Return the proposals ``(b, k, 4)`` and their scores ``(b, k)``."""
        rpn = self.network.model.rpn
        objectness, shifts = concat_box_prediction_layers(
            list(outputs["objectness"]), list(outputs["shifts"])
        )
        chosen, levels, start = [], [], 0
        logits = objectness.view(-1, sum(self.counts))
        for level, count in enumerate(self.counts):
            part = logits[:, start : start + count]
            chosen.append(part.topk(min(count, rpn.pre_nms_top_n()), 1)[1] + start)
            levels.append(torch.ones_like(chosen[-1]) * level)
            start += count
        index, level = torch.cat(chosen, 1), torch.cat(levels, 1)
        taken = shifts.view(-1, sum(self.counts), 4).gather(1, _four(index))
        boxes = rpn.box_coder.decode_single(taken.flatten(0, 1), self.anchors[index.flatten()])
        boxes = boxes.view(-1, index.shape[1], 4).clamp(0, self.side)
        scores = logits.gather(1, index).sigmoid()
        usable = _large(boxes, rpn.min_size) & (scores >= rpn.score_thresh)
        scores = torch.where(usable, scores, _NOTHING)
        scores = _suppressed(boxes, scores, level, len(self.counts), rpn.nms_thresh)
        scores, best = scores.topk(self.proposals, 1)
        return boxes.gather(1, _four(best)), scores

    def _best(self, boxes: Tensor, scores: Tensor, classes: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the detections among candidates ``(b, k × classes)``."""
        heads = self.network.model.roi_heads
        scores = torch.where(_large(boxes, LEAST_SIZE), scores, _NOTHING)
        candidates = self.proposals * classes
        scores, best = scores.topk(min(candidates, MOST_CANDIDATES), 1)
        boxes, labels = boxes.gather(1, _four(best)), best % classes
        scores = _suppressed(boxes, scores, labels, classes, heads.nms_thresh)
        scores, best = scores.topk(min(candidates, MOST_CANDIDATES, heads.detections_per_img), 1)
        real = scores > _NOTHING
        boxes = boxes.gather(1, _four(best)) * real[..., None]
        return boxes, scores * real, labels.gather(1, best) * real

    def _outlined(
        self, outputs: dict[str, Any], boxes: Tensor, scores: Tensor, labels: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the detections that are sure enough, and their masks."""
        heads = self.network.model.roi_heads
        # As many of each image as there are of the one with most.
        wanted = (scores >= MASK_SCORE).any(0)
        least = torch.ones_like(wanted, dtype=torch.int64).cumsum(0) <= LEAST_MASKS
        kept = torch.where(wanted | least)[0]
        boxes, scores, labels = boxes[:, kept], scores[:, kept], labels[:, kept]
        numbers = _numbers(scores).flatten()[:, None].to(boxes.dtype)
        rois = torch.cat([numbers, boxes.flatten(0, 1)], 1)
        pooled = _pool(heads.mask_roi_pool, outputs["features"], rois)
        logits = heads.mask_predictor(heads.mask_head(pooled))
        rows, cols = logits.shape[-2:]
        # Each object's own class; the first answer is the background's.
        place = (labels.flatten() + 1)[:, None, None, None].expand(-1, 1, rows, cols)
        masks = logits.gather(1, place).sigmoid().view(-1, kept.shape[0], rows, cols)
        return boxes, scores, labels, masks


def _four(index: Tensor) -> Tensor:
    """Return an index ``(b, n)`` for the four numbers of boxes."""
    return index[..., None].expand(-1, -1, 4)


def _numbers(like: Tensor) -> Tensor:
    """Return the number of its image for each of ``(b, n)``, on the device where these are."""
    return torch.ones_like(like, dtype=torch.int64).cumsum(0) - 1


def _large(boxes: Tensor, least: float) -> Tensor:
    """Return which of the boxes ``(b, n, 4)`` are of some size."""
    return ((boxes[..., 2:] - boxes[..., :2]) >= least).all(-1)


def _suppressed(
    boxes: Tensor, scores: Tensor, groups: Tensor, count: int, overlap: float
) -> Tensor:
    """Return the scores ``(b, n)``, :data:`_NOTHING` for boxes that a better one covers.

    Boxes compete within their image and one of its ``count`` groups: each of these is moved to a
    place of its own. What has no score is the last to be asked and covers nothing that has one.
    """
    place = (_numbers(scores) * count + groups).to(boxes.dtype) * (boxes.max() + 1)
    # OpenVINO wants to see that a box has four numbers.
    kept = nms((boxes + place[..., None]).reshape(-1, 4), scores.flatten(), overlap)
    stays = torch.zeros_like(scores).flatten().scatter(0, kept, torch.ones_like(kept) * 1.0)
    return torch.where(stays.view_as(scores) > 0, scores, _NOTHING)


def _pool(pool: MultiScaleRoIAlign, features: dict[str, Tensor], rois: Tensor) -> Tensor:
    """Return ``(n, c, s, s)`` of the places ``(n, 5)``: the image's number and corners."""
    maps = [features[name] for name in pool.featmap_names]
    size, samples = pool.output_size, pool.sampling_ratio
    if len(maps) == 1:
        return roi_align(maps[0], rois, size, pool.scales[0], samples)
    levels = pool.map_levels([rois[:, 1:]])
    rows = [torch.where(levels == level)[0] for level in range(len(maps))]
    parts = [
        roi_align(each, rois[chosen], size, scale, samples)
        for each, chosen, scale in zip(maps, rows, pool.scales)
    ]
    return torch.cat(parts)[torch.cat(rows).argsort()]
