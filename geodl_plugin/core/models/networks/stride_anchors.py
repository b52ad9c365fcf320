"""Anchors for torchvision's detectors, centred in the cells of maps of known stride."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList


class StrideAnchors(AnchorGenerator):
    """Anchors in full precision whatever that of the maps.

    torchvision's own stand at the cells' corners, are rounded, and take on the maps' precision;
    a mirrored image would see other anchors than the image itself.

    Args:
        strides: of the maps.
        sizes: roots of the anchors' areas in pixels, for each map.
        ratios: heights to widths, the same for each map.
    """

    def __init__(
        self, strides: Sequence[int], sizes: Sequence[Sequence[float]], ratios: Sequence[float]
    ) -> None:
        super().__init__(tuple(map(tuple, sizes)), (tuple(ratios),) * len(sizes))
        self.strides = tuple(strides)

    def generate_anchors(
        self,
        scales: Sequence[float],
        aspect_ratios: Sequence[float],
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
    ) -> Tensor:
        """Return the anchors ``(n, 4)`` of one cell around its centre."""
        shapes = [
            [scale / ratio**0.5, scale * ratio**0.5] for ratio in aspect_ratios for scale in scales
        ]
        halves = torch.tensor(shapes, dtype=dtype, device=device) / 2
        return torch.cat([-halves, halves], 1)

    def forward(self, image_list: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        """Return all anchors ``(n, 4)`` of every image, map by map."""
        shapes = [(value.shape[-2], value.shape[-1]) for value in feature_maps]
        anchors = torch.cat(self.of_maps(shapes, feature_maps[0].device))
        return [anchors] * len(image_list.image_sizes)

    def of_maps(
        self, shapes: Sequence[tuple[int, int]], device: torch.device
    ) -> tuple[Tensor, ...]:
        """Return the anchors ``(n, 4)`` of maps of these rows and columns."""
        self.set_cell_anchors(torch.float32, device)
        found = []
        for (rows, cols), stride, cell in zip(shapes, self.strides, self.cell_anchors):
            y, x = torch.meshgrid(
                torch.arange(rows, device=device),
                torch.arange(cols, device=device),
                indexing="ij",
            )
            centres = (torch.stack([x, y, x, y], -1).reshape(-1, 1, 4) + 0.5) * stride
            found.append((centres + cell).reshape(-1, 4))
        return tuple(found)
