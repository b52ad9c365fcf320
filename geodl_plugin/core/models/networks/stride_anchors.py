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
        self.set_cell_anchors(torch.float32, feature_maps[0].device)
        found = []
        for value, stride, cell in zip(feature_maps, self.strides, self.cell_anchors):
            rows, cols = value.shape[-2:]
            y, x = torch.meshgrid(
                torch.arange(rows, device=value.device),
                torch.arange(cols, device=value.device),
                indexing="ij",
            )
            centres = (torch.stack([x, y, x, y], -1).reshape(-1, 1, 4) + 0.5) * stride
            found.append((centres + cell).reshape(-1, 4))
        return [torch.cat(found)] * len(image_list.image_sizes)


def image_list(images: Tensor) -> ImageList:
    """Return images ``(b, c, h, w)`` as torchvision's detectors hand them around."""
    size = (int(images.shape[-2]), int(images.shape[-1]))
    return ImageList(images, [size] * len(images))
