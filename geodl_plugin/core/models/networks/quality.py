"""Scores that tell how well a box fits its object, for dense detectors."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

_LEAST_SHARE = 0.01  # of IoU, that boxes beside their object count alike
_ALPHA = 0.25  # weight of objects in the focal loss


def shares_of_best(boxes: Tensor, wanted: Tensor, objects: Tensor, count: int) -> Tensor:
    """Return how much of an object each of its anchors is to tell ``(m,)``: 1 the best one.

    The score then says which of several boxes of an object is the nearest one, which is what
    suppression keeps; a share of the best IoU instead of the IoU itself leaves scores as high as
    they were. After Feng et al. 2021, arXiv:2108.07755.

    Args:
        boxes: ``(m, 4)``, what the anchors tell.
        wanted: ``(m, 4)``, the objects' boxes.
        objects: ``(m,)``, numbers of the objects.
        count: of all objects.
    """
    low = torch.maximum(boxes[:, :2], wanted[:, :2])
    high = torch.minimum(boxes[:, 2:], wanted[:, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    overlap = shared / (_areas(boxes) + _areas(wanted) - shared) + _LEAST_SHARE
    best = overlap.new_zeros(count).scatter_reduce(0, objects, overlap, "amax")
    return overlap / best[objects]


def _areas(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).prod(-1)


def quality_focal_loss(scores: Tensor, truth: Tensor) -> Tensor:
    """Return the focal loss of each score for truths between 0 and 1, too.

    That of Lin et al. 2017 (arXiv:1708.02002) for 0 and 1, with its α of 0.25 and γ of 2; between
    them its quality focal loss (Li et al. 2020, arXiv:2006.04388).
    """
    losses = functional.binary_cross_entropy_with_logits(scores, truth, reduction="none")
    weights = _ALPHA * truth + (1 - _ALPHA) * (1 - truth)
    return weights * (scores.sigmoid() - truth).square() * losses
