"""Detectors whose outputs have names: TensorFlow's API, torchvision's, DETR. Needs torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchvision.ops import box_convert

from .asking import Answer

Found = dict[str, Any]


def decode_tensorflow(
    answer: Answer, size: tuple[int, int], threshold: float, values: tuple[int, ...]
) -> list[Found]:
    """Decode ``detection_boxes`` (top, left, bottom, right as shares), ``_scores``, ``_classes``.

    A class is told by its value in the definition. Without classes all are the first one.
    """
    rows, cols = size
    scale = torch.tensor([rows, cols, rows, cols], dtype=torch.float32)
    found = []
    scores = answer["detection_scores"]
    classes = answer.get("detection_classes", torch.full_like(scores, float(values[0])))
    for boxes, score, number in zip(answer["detection_boxes"], scores, classes):
        label, known = _labels(number, values)
        kept = (score >= threshold) & known
        corners = (boxes * scale)[:, [1, 0, 3, 2]]
        found.append({"boxes": corners[kept], "scores": score[kept], "labels": label[kept]})
    return found


def decode_torchvision(answer: Answer, threshold: float, values: tuple[int, ...]) -> list[Found]:
    """Decode ``boxes`` (corners in pixels), ``scores`` and ``labels`` of one image or several.

    Labels count from 1, 0 being the background, or as the definition's values tell; those of
    RT-DETR count from 0. ``masks`` are probabilities on a grid that is stretched over each
    box, or of the whole image: ``(b, n, s, s)``, and ``(n, 1, s, s)`` of one image.
    """
    boxes, scores, labels = (answer[name] for name in ("boxes", "scores", "labels"))
    if boxes.ndim == 2:
        boxes, scores, labels = boxes[None], scores[None], labels[None]
    found = []
    for place, (box, score, number) in enumerate(zip(boxes, scores, labels)):
        label, known = _labels(number, values)
        kept = (score >= threshold) & known
        found.append({"boxes": box[kept], "scores": score[kept], "labels": label[kept]})
        if "masks" in answer:
            grids = answer["masks"].reshape(*scores.shape, 1, *answer["masks"].shape[-2:])
            found[-1]["masks"] = grids[place][kept]
    return found


def detr_logits(answer: Answer) -> Tensor | None:
    """Return the logits of DETR by either of their names; ``None`` where boxes or they lack."""
    found = answer.get("logits", answer.get("pred_logits"))
    return found if "pred_boxes" in answer else None


def decode_detr(
    logits: Tensor, shares: Tensor, size: tuple[int, int], threshold: float, count: int
) -> list[Found]:
    """Decode logits ``(b, n, classes)`` and boxes ``(b, n, 4)``: centre and size as shares.

    With one answer more than classes the last one is "no object", and they exclude each other.
    """
    rows, cols = size
    exclusive = logits.shape[-1] == count + 1
    chances = logits.softmax(-1)[..., :count] if exclusive else logits.sigmoid()[..., :count]
    scale = torch.tensor([cols, rows, cols, rows], dtype=torch.float32)
    found = []
    for boxes, chance in zip(shares, chances):
        scores, labels = chance.max(1)
        kept = scores >= threshold
        corners = box_convert(boxes * scale, "cxcywh", "xyxy")
        found.append({"boxes": corners[kept], "scores": scores[kept], "labels": labels[kept]})
    return found


def _labels(numbers: Tensor, values: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return the order of each class value, and whether it is one."""
    known = torch.tensor(values)
    same = numbers.round().long()[:, None] == known
    return same.float().argmax(1), same.any(1)
