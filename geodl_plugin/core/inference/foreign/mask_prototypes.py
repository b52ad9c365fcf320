"""Masks that are sums of prototypes, weighted for each object. Needs torch.

Bolya et al. 2019, YOLACT, arXiv:1904.02689.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def masks_of_prototypes(
    coefficients: Tensor, prototypes: Tensor, boxes: Tensor, size: tuple[int, int]
) -> tuple[list[np.ndarray], list[tuple[int, int, int, int]]]:
    """Return the mask of each object, and the window of the image that it covers.

    Args:
        coefficients: ``(n, k)``.
        prototypes: ``(k, rows, cols)``, of the whole image at a lower resolution.
        boxes: ``(n, 4)`` in pixels of the image; a mask ends at its box.
        size: rows and columns of the image.

    Returns:
        Masks ``(height, width)`` of 0 and 1, windows as col, row, width, height.
    """
    rows, cols = size
    masks: list[np.ndarray] = []
    windows: list[tuple[int, int, int, int]] = []
    for weights, box in zip(coefficients, boxes.tolist()):
        left, top = max(int(np.floor(box[0])), 0), max(int(np.floor(box[1])), 0)
        right, bottom = min(int(np.ceil(box[2])), cols), min(int(np.ceil(box[3])), rows)
        if right <= left or bottom <= top:
            masks.append(np.zeros((1, 1), np.uint8))
            windows.append((0, 0, 1, 1))
            continue
        logits = torch.einsum("k,krc->rc", weights, prototypes)
        # The pixels' centres, as places from -1 to 1 of the image.
        x = (2 * torch.arange(left, right) + 1) / cols - 1
        y = (2 * torch.arange(top, bottom) + 1) / rows - 1
        grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)[None]
        fine = functional.grid_sample(
            logits[None, None], grid, mode="bilinear", padding_mode="border", align_corners=False
        )
        # A logit above zero is a probability above one half.
        masks.append((fine[0, 0] > 0).numpy().astype(np.uint8))
        windows.append((left, top, right - left, bottom - top))
    return masks, windows
