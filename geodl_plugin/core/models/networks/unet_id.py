"""One encoder and three decoders: where objects are, where they end, and where they surely are."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from segmentation_models_pytorch.base.initialization import initialize_decoder
from torch import Tensor, nn

from ..registry import NetworkSpec
from .segmentation import batch_norms_for_one, build_library, encoder_name, give_weights

PARTS = ("segment", "border", "inner")
SURE = 0.5  # least probability of what belongs to an object
LEAST_PIXELS = 4  # of an object
_IGNORED = -1  # instead of a class: a pixel without data


class InstanceUNet(nn.Module):
    """A detector of objects by their pixels; objects that touch stay apart.

    *segment* has an output for the background and each class, *border* and *inner* have one:
    the ring of ``border_width`` pixels inside an object's outline, and what it encloses.

    Attributes:
        tile_step: a tile's side must be a multiple of it.
        fixed_tile: the only tile side, of encoders that take no other.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.border_width = spec.arguments["border_width"]
        name = encoder_name(spec.backbone)
        network, self.fixed_tile = build_library("Unet", name, spec, {})
        self.encoder = network.encoder
        self.tile_step = self.encoder.output_stride
        width = network.segmentation_head[0].in_channels
        self.decoders, self.heads = nn.ModuleDict(), nn.ModuleDict()
        for part in PARTS:
            self.decoders[part] = copy.deepcopy(network.decoder)
            initialize_decoder(self.decoders[part])
            outputs = spec.class_count + 1 if part == "segment" else 1
            self.heads[part] = nn.Conv2d(width, outputs, 3, padding=1)
        batch_norms_for_one(self.decoders)
        give_weights(self.encoder, name, spec)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the logits of the parts, each ``(b, outputs, h, w)``."""
        maps = self.encoder(images)
        return {part: self.heads[part](self.decoders[part](list(maps))).float() for part in PARTS}

    def loss(
        self, outputs: dict[str, Tensor], targets: list[dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Return the loss of each part: cross entropy of its pixels, and the dice of two.

        Args:
            outputs: what :meth:`forward` returned.
            targets: one per image: ``masks`` ``(n, h, w)`` and ``labels`` ``(n,)``, and
                ``valid`` ``(h, w)`` where some pixels have no data: they carry no loss.
        """
        truths = [
            truth_of(each, outputs["segment"].shape[-2:], self.border_width) for each in targets
        ]
        segment, border, inner = (torch.stack(part) for part in zip(*truths))
        known = segment != _IGNORED
        count = known.sum().clamp(min=1)
        total = functional.cross_entropy(
            outputs["segment"], segment, ignore_index=_IGNORED, reduction="sum"
        )
        losses = {"segment": total / count}
        for part, whole in (("border", border), ("inner", inner)):
            logits, truth = outputs[part][:, 0][known], whole[known]
            losses[part] = (
                functional.binary_cross_entropy_with_logits(logits, truth, reduction="sum") / count
            )
            # Thin rings and small objects would be lost among the other pixels.
            losses[f"{part} overlap"] = _dice(logits.sigmoid(), truth)
        return losses

    @torch.no_grad()
    def detect(
        self, outputs: dict[str, Tensor], image_size: tuple[int, int], threshold: float
    ) -> list[dict[str, Any]]:
        """Return the objects of each image.

        Args:
            outputs: what :meth:`forward` returned.
            image_size: height and width of the images.
            threshold: least score, 0 to 1: the mean probability of the class in the object.

        Returns:
            For each image ``boxes`` ``(n, 4)``, ``scores`` and ``labels`` ``(n,)``, ``windows``
            ``(n, 4)`` as col, row, width, height, and ``masks``, the pixels of each window.
        """
        height, width = image_size
        classes = outputs["segment"].softmax(1)[..., :height, :width].cpu().numpy()
        border = outputs["border"][:, 0, :height, :width].sigmoid().cpu().numpy()
        inner = outputs["inner"][:, 0, :height, :width].sigmoid().cpu().numpy()
        return [
            _as_found(separate(1 - each[0], edge, heart), each[1:], threshold)
            for each, edge, heart in zip(classes, border, inner)
        ]


def truth_of(
    target: dict[str, Tensor], size: tuple[int, int], border_width: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what the three parts shall answer, ``(h, w)`` each: class index, border, inner.

    An object too small to have an inside at that border gets a narrower border. Pixels without
    data have no class.
    """
    masks, labels = target["masks"], target["labels"]
    segment = torch.zeros(size, dtype=torch.long, device=masks.device)
    inner = torch.zeros(size, device=masks.device)
    covered = torch.zeros(size, dtype=torch.bool, device=masks.device)
    for mask, label in zip(masks.bool(), labels.tolist()):
        segment[mask] = label + 1
        covered |= mask
        inner[mask] = 0.0  # of objects that overlap, the last one has the pixel
        inner[_core(mask, border_width)] = 1.0
    if "valid" in target:
        segment[~target["valid"].bool()] = _IGNORED
    return segment, (covered & (inner == 0)).float(), inner


def _core(mask: Tensor, width: int) -> Tensor:
    """Return a mask ``(h, w)`` without its outermost ``width`` pixels, or what can be kept."""
    core = mask
    for _ in range(width):
        # Pixels beyond the image count as the object: it may go on there.
        outside = functional.max_pool2d((~core)[None, None].float(), 3, 1, 1)[0, 0] > 0
        smaller = core & ~outside
        if not smaller.any():
            break
        core = smaller
    return core


def separate(covered: np.ndarray, border: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Return object numbers ``(h, w)`` from 1, 0 for none, of probabilities ``(h, w)``.

    Connected insides are the seeds; from there objects grow over what is covered and meet on
    the ridge of the border, so that objects that touch stay apart.
    """
    from scipy.ndimage import label
    from skimage.segmentation import watershed

    inside = covered > SURE
    seeds, _ = label(inside & (inner > SURE) & (inner > border))
    return watershed(border - inner, seeds, mask=inside)


def _as_found(numbers: np.ndarray, chances: np.ndarray, threshold: float) -> dict[str, Any]:
    """Return the objects of an image by their numbers and the classes' probabilities."""
    from scipy.ndimage import find_objects

    boxes, scores, labels, masks, windows = [], [], [], [], []
    for number, place in enumerate(find_objects(numbers), 1):
        if place is None:
            continue
        mask = numbers[place] == number
        means = chances[(slice(None), *place)][:, mask].mean(axis=1)
        if mask.sum() < LEAST_PIXELS or means.max() < threshold:
            continue
        rows, cols = place
        boxes.append([cols.start, rows.start, cols.stop, rows.stop])
        windows.append([cols.start, rows.start, cols.stop - cols.start, rows.stop - rows.start])
        scores.append(float(means.max()))
        labels.append(int(means.argmax()))
        masks.append(mask.astype(np.uint8))
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "scores": torch.tensor(scores, dtype=torch.float32),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "masks": masks,
        "windows": np.array(windows, np.int64).reshape(-1, 4),
    }


def _dice(chance: Tensor, truth: Tensor) -> Tensor:
    both = (chance * truth).sum()
    return 1 - (2 * both + 1) / (chance.sum() + truth.sum() + 1)
