"""What the single-shot detector's answers mean, without its weights.

Inference reads them where OpenVINO computes and no network is built. No torchvision here: to
import it takes longer than all else before the first tile.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import crowds
from .anchors import Anchors

_MOST_DETECTIONS = 1000  # per image of 512 × 512, before suppression


class SsdAnswers:
    """Makes objects of the network's answers.

    Args:
        focal_loss: whether each class has a chance of its own; else the first is background's.
    """

    def __init__(self, focal_loss: bool) -> None:
        self.focal_loss = focal_loss

    def candidates(self, outputs: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Return the boxes ``(b, n, 4)`` of all anchors and their classes' scores ``(b, n, c)``.

        This is what a detector must have to be written for other programs.
        """
        return Anchors(**outputs["anchors"]).decode(outputs["squashed"]), self._chances(outputs)

    def _chances(self, outputs: dict[str, Any]) -> Tensor:
        scores = outputs["scores"]
        return scores.sigmoid() if self.focal_loss else scores.softmax(-1)[..., 1:]

    @torch.no_grad()
    def detect(
        self, outputs: dict[str, Any], image_size: tuple[int, int], threshold: float
    ) -> list[dict[str, Tensor]]:
        """Return for each image ``boxes`` ``(n, 4)``, ``scores`` and ``labels`` ``(n,)``.

        Args:
            outputs: the network's answer.
            image_size: height and width of the images, to which boxes are clipped.
            threshold: least score, 0 to 1.
        """
        anchors, found = Anchors(**outputs["anchors"]), []
        most = crowds.of_image(_MOST_DETECTIONS, image_size)
        height, width = image_size
        limits = outputs["squashed"].new_tensor([width, height, width, height])
        for chance, squashed in zip(self._chances(outputs), outputs["squashed"]):
            where, label = torch.nonzero(chance >= threshold, as_tuple=True)
            score = chance[where, label]
            best = score.argsort(descending=True, stable=True)[:most]
            kept = where[best]  # few: only their boxes are needed
            boxes = anchors.take(kept).decode(squashed[kept])
            clipped = torch.minimum(boxes.clamp(min=0), limits)
            found.append({"boxes": clipped, "scores": score[best], "labels": label[best]})
        return found
