"""Test-time augmentation of detectors: what several views of a tile show, joined. Needs torch."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..object_masks import ObjectMask, as_objects
from .detections import Detections, as_arrays
from .fusion import fuse
from .merge import suppress
from .polygons import ObjectPolygon
from .views import MAP_TURNS, PIXEL_TURNS, dihedral
from .wrapping import Wrapper

# What one view is less sure of counts where the others are surer.
VIEW_SHARE = 0.5  # of the threshold


class DetectionViews(Wrapper):
    """A detector that answers with what several views of square images show together.

    Args:
        network: gives boxes, or masks, by its method ``detect``.
        map_space: whether the images are maps, seen from above: eight views instead of two.
        overlap: intersection over union from which two detections of a view are one object.
    """

    def __init__(self, network: nn.Module, map_space: bool, overlap: float) -> None:
        super().__init__(network)
        self.turns = MAP_TURNS if map_space else PIXEL_TURNS
        self.overlap = overlap

    @property
    def form(self) -> str:
        """How many views."""
        return f"DetectionViews{len(self.turns)}"

    def forward(self, images: Tensor) -> list[Any]:
        """Return the network's answer to each view."""
        views = [dihedral(*turn)[0](images) for turn in self.turns]
        return [self.network(each.contiguous(memory_format=torch.channels_last)) for each in views]

    def detect(
        self, outputs: list[Any], image_size: tuple[int, int], threshold: float
    ) -> list[Detections]:
        """Return for each image what the views show together, with joined scores."""
        views = []
        for output, turn in zip(outputs, self.turns):
            answers = self.network.detect(output, image_size, VIEW_SHARE * threshold)
            found = [suppress(as_arrays(each), self.overlap) for each in answers]
            views.append([turned_back(each, image_size[0], *turn) for each in found])
        joined = [fuse(each) for each in zip(*views)]
        return [each.take(each.scores >= threshold) for each in joined]


def turned_back(found: Detections, side: int, turns: int, mirrored: bool) -> Detections:
    """Return detections of a view, in a square image, where they are in the image itself."""
    boxes = found.boxes
    for _ in range(turns):
        left, top, right, bottom = boxes.T
        boxes = np.stack([side - bottom, left, side - top, right], axis=1)
    if mirrored:
        left, top, right, bottom = boxes.T
        boxes = np.stack([side - right, top, side - left, bottom], axis=1)
    masks = found.masks
    if found.outlined and isinstance(masks[0], ObjectPolygon):
        masks = as_objects([each.turned(side, turns, mirrored) for each in masks])
    elif found.outlined:
        turned = (_turned_mask(each.pixels, turns, mirrored) for each in masks)
        masks = as_objects(
            [ObjectMask(int(x), int(y), mask) for (x, y, *_), mask in zip(boxes, turned)]
        )
    return dataclasses.replace(found, boxes=boxes, masks=masks)


def _turned_mask(pixels: np.ndarray, turns: int, mirrored: bool) -> np.ndarray:
    turned = np.rot90(pixels, -turns)
    return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)
