"""Masks of objects, each in its own window of the image: their memory is that of the objects."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

SURE = 0.5  # least probability of a pixel that belongs to an object


def paste_masks(found: dict[str, Tensor], image_size: tuple[int, int]) -> dict[str, Any]:
    """Return detections with masks in pixels; an object without any pixel is left out.

    Args:
        found: ``boxes`` ``(n, 4)``, ``scores``, ``labels`` and ``masks`` ``(n, 1, s, s)``,
            probabilities on a grid that is stretched over each box.
        image_size: height and width of the image.
    """
    height, width = image_size
    boxes = found["boxes"].float().cpu()
    low = boxes[:, :2].floor().clamp(min=0).int().tolist()
    high = torch.minimum(boxes[:, 2:].ceil(), torch.tensor([width, height])).int().tolist()
    grids = found["masks"].float().cpu()
    kept, masks, windows = [], [], []
    for index, ((left, top), (right, bottom)) in enumerate(zip(low, high)):
        if right <= left or bottom <= top:
            continue
        window = (left, top, right - left, bottom - top)
        mask = _stretched(grids[index], boxes[index], window) >= SURE
        if mask.any():
            kept.append(index)
            masks.append(mask.numpy().astype(np.uint8))
            windows.append(window)
    chosen = torch.tensor(kept, dtype=torch.long, device=found["boxes"].device)
    return {
        **{name: found[name][chosen] for name in ("boxes", "scores", "labels")},
        "masks": masks,
        "windows": np.array(windows, np.int64).reshape(-1, 4),
    }


def _stretched(grid: Tensor, box: Tensor, window: tuple[int, int, int, int]) -> Tensor:
    """Return the probabilities at the centres of a window's pixels, ``(height, width)``."""
    col, row, width, height = window
    x = (torch.arange(width) + col + 0.5 - box[0]) / (box[2] - box[0]) * 2 - 1
    y = (torch.arange(height) + row + 0.5 - box[1]) / (box[3] - box[1]) * 2 - 1
    places = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)
    # What lies between the box and the grid's outer centres is as sure as these.
    chances = functional.grid_sample(
        grid[None], places[None], padding_mode="border", align_corners=False
    )[0, 0]
    return chances * (places.abs() <= 1).all(-1)
