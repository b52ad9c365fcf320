"""Chips as a torch data set."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.ops import masks_to_boxes
from torchvision.transforms import v2
from torchvision.tv_tensors import BoundingBoxes, Image, Mask

from ..geo.grid import positions
from ..models.networks.images import fit
from .chip_store import ChipStore, Sample
from .losses import IGNORED
from .normalization import Normalization
from .order import Draw, seeded
from .split import crops_per_chip

_LEAST_VISIBLE = 0.3  # share of a box that a crop must keep
_LEAST_REST = 2.0  # pixels a side of what an edge has left of an object
_LEAST_SIDE = 0.5  # of a whole one
_SMALL_REST = 0.25  # of the side of a crop


def crop_boxes(
    boxes: np.ndarray, col: int, row: int, width: int, height: int, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the boxes clipped to a window of a chip and which of them are worth keeping.

    A remnant of less than three tenths of an object, or thinner than two pixels, is dropped.
    Objects that no edge cuts may be thinner, as cars are in satellite imagery.

    Args:
        boxes: ``(n, 4)`` in pixels of the chip.
        col, row, width, height: of the window, which may reach beyond the chip.
        shape: rows and columns of the chip.
    """
    moved = boxes - np.array([col, row, col, row], dtype=np.float32)
    left, top, right, bottom = _seen(col, row, width, height, shape)
    low = np.array([left, top, left, top], dtype=np.float32)
    high = np.array([right, bottom, right, bottom], dtype=np.float32)
    clipped = moved.clip(low, high)
    sides = clipped[:, 2:] - clipped[:, :2]
    full = np.prod(moved[:, 2:] - moved[:, :2], axis=1)
    whole = (moved[:, :2] > low[:2]).all(axis=1) & (moved[:, 2:] < high[2:]).all(axis=1)
    keep = (sides >= np.where(whole, _LEAST_SIDE, _LEAST_REST)[:, None]).all(axis=1)
    keep &= np.prod(sides, axis=1) >= _LEAST_VISIBLE * full
    return clipped[keep], keep


def _seen(
    col: int, row: int, width: int, height: int, shape: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of what a window shows of a chip, in its own pixels."""
    rows, cols = shape
    return max(-col, 0), max(-row, 0), min(cols - col, width), min(rows - row, height)


def side_by_side(length: int, side: int, rest: float = _SMALL_REST) -> list[tuple[int, int]]:
    """Return where crops begin, and how many of their pixels the one before shows, too.

    The last one is moved back so that it ends at the edge. A rest that is small beside a crop is
    not worth one that shows the same again: half of it is left out at either end.

    Args:
        length: of the chip, in pixels.
        side: of a crop.
        rest: that is small, as a share of a crop.
    """
    count = max(math.ceil(length / side - rest), 1)
    if count * side <= length:
        margin = (length - count * side) // 2
        return [(margin + index * side, 0) for index in range(count)]
    starts = positions(length, side, side)
    ends = [0, *(start + side for start in starts)]
    return [(start, max(end - start, 0)) for start, end in zip(starts, ends)]


class CropDataset(Dataset):
    """Crops of chips, normalised and augmented.

    Args:
        store: the chips.
        chosen: positions in the store.
        side: of a crop, in pixels; smaller chips are filled up with invalid pixels.
        normalization: of the pixels.
        random: whether crops are drawn at random, for training, or lie side by side.
        augmentation: moves image, boxes and mask, or none.
        centred: one crop from the middle of each chip, for chips that are one object.
        zoom: by how much a crop may be enlarged at most.
        zoomed: probability that it is enlarged at all.
        label_count: of chips with several labels; 0 where each has one.
        whole: whether each chip is brought to the side as at inference, instead of cut; for
            chips that are one object, too.
    """

    def __init__(
        self,
        store: ChipStore,
        chosen: Sequence[int],
        side: int,
        normalization: Normalization,
        random: bool = False,
        augmentation: Callable[..., Any] | None = None,
        centred: bool = False,
        zoom: float = 1.0,
        zoomed: float = 1.0,
        label_count: int = 0,
        whole: bool = False,
    ) -> None:
        self.centred = centred
        self.whole = whole
        self.zoom = zoom
        self.zoomed = zoomed
        self.label_count = label_count
        self.store = store
        self.side = side
        self.normalization = normalization
        self.augmentation = augmentation
        self.places: list[tuple[int, tuple[int, int] | None]] = []
        # Of crops that lie side by side: rows and columns that the crop before shows, too.
        self._seen: dict[int, tuple[int, int]] = {}
        for position in chosen:
            rows, cols = store.facts(position).shape
            if whole:
                self.places.append((position, (0, 0)))
            elif centred:
                self.places.append((position, ((cols - side) // 2, (rows - side) // 2)))
            elif random:
                self.places += [(position, None)] * crops_per_chip(rows, cols, side)
            else:
                # Where labels are incomplete the only ones may lie at the edge.
                rest = _SMALL_REST if store.background else 0.0
                starts = itertools.product(*(side_by_side(n, side, rest) for n in (rows, cols)))
                for (row, seen_rows), (col, seen_cols) in starts:
                    self._seen[len(self.places)] = (seen_rows, seen_cols)
                    self.places.append((position, (col, row)))

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int | Draw) -> tuple[Tensor, Any]:
        image, target = self.whole_crop(index)
        rows, cols = self._seen.get(index, (0, 0)) if isinstance(index, int) else (0, 0)
        if (rows or cols) and isinstance(target, Tensor):
            target[:rows], target[:, :cols] = IGNORED, IGNORED  # each pixel counts once
        return image, target

    def whole_crop(self, index: int | Draw) -> tuple[Tensor, Any]:
        """Return image and target of a crop, of what the one before shows, too."""
        place, seed = index if isinstance(index, tuple) else (index, None)
        position, origin = self.places[place]
        sample = self.store[position]
        with seeded(seed):
            width = self._window_side()
            if origin is None:
                rows, cols = sample.valid.shape
                origin = (_draw(cols - width), _draw(rows - width))
            else:
                margin = (self.side - width) // 2
                origin = (origin[0] + margin, origin[1] + margin)
            return self._cut(sample, *origin, width)

    def _window_side(self) -> int:
        """Return the side of the window to cut: smaller than that of the crop for a zoom."""
        if self.zoom <= 1 or float(torch.rand(())) >= self.zoomed:
            return self.side
        factor = 1 + (self.zoom - 1) * float(torch.rand(()))
        return max(round(self.side / factor), 1)

    def _cut(self, sample: Sample, col: int, row: int, width: int) -> tuple[Tensor, Any]:
        """Return the image ``(bands, side, side)`` and the target of one window."""
        if self.whole:
            valid, values = self._fitted(sample, width)
        else:
            valid = _window(sample.valid, col, row, width, False)
            pixels = _window(sample.pixels, col, row, width, 0)
            values = self.normalization.apply(pixels, valid)
        image = Image(torch.from_numpy(values))
        if sample.mask is not None:
            mask = _window(sample.mask, col, row, width, IGNORED).copy()
            mask[~valid] = IGNORED
            parts: tuple[Any, ...] = (image, Mask(torch.from_numpy(mask)))
        elif sample.instances is not None:
            masks = _window(sample.instances, col, row, width, False)
            seen_part = _seen(col, row, width, width, sample.valid.shape)
            keep = _worth_keeping(masks, sample.instances, seen_part)
            parts = (image, Mask(torch.from_numpy(masks[keep].astype(np.uint8))))
        elif self.centred:
            parts = (image,)
        else:
            boxes, keep = crop_boxes(sample.boxes, col, row, width, width, sample.valid.shape)
            size = (width, width)
            parts = (image, BoundingBoxes(boxes, format="XYXY", canvas_size=size))
        image, *rest, seen = self._move(valid, *parts)
        if sample.mask is not None:
            return image, rest[0].long()
        if sample.instances is not None:
            target = instance_target(rest[0] > 0, torch.from_numpy(sample.labels[keep]))
            return image, {**target, "valid": seen}
        if rest:
            labels = torch.from_numpy(sample.labels[keep])
            return image, {"boxes": rest[0].reshape(-1, 4).float(), "labels": labels}
        if self.label_count:
            several = torch.zeros(self.label_count)
            several[torch.from_numpy(sample.labels)] = 1
            return image, several
        return image, torch.tensor(int(sample.labels[0]))

    def _fitted(self, sample: Sample, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Return where a chip has data and its image, both at the crop's side.

        For a zoom it is the middle of the chip, whose share of it is ``width`` of the side.
        """
        rows, cols = sample.valid.shape
        height, width = (max(round(each * width / self.side), 1) for each in (rows, cols))
        top, left = (rows - height) // 2, (cols - width) // 2
        valid = sample.valid[top : top + height, left : left + width]
        pixels = sample.pixels[:, top : top + height, left : left + width]
        image = fit(self.normalization.apply(pixels, valid), self.side)
        return fit(valid[None].astype(np.float32), self.side)[0] > 0, image

    def _move(self, valid: np.ndarray, *parts: Any) -> list[Tensor]:
        """Return image, label and validity, enlarged to the crop's side and augmented alike.

        Invalid pixels end as the 0 that they are at inference, whatever light and noise did.
        """
        everywhere = bool(valid.all())
        if not everywhere:
            parts += (Mask(torch.from_numpy(valid.astype(np.uint8))),)
        if parts[0].shape[-1] != self.side:
            parts = tuple(_enlarged(each, self.side) for each in parts)
        if self.augmentation is not None:
            parts = self.augmentation(parts)  # as one, for a single part would come back alone
        image, *rest = (each.as_subclass(Tensor) for each in parts)
        if everywhere:
            return [image, *rest, torch.ones(image.shape[-2:], dtype=torch.bool)]
        *rest, moved = rest
        seen = moved > 0
        return [image.masked_fill(~seen, 0.0), *rest, seen]


def _enlarged(part: Any, side: int) -> Any:
    """Return an image, boxes or masks of a window at the side of a crop.

    torchvision takes the pixel before the middle for masks, and they would lie up to half a
    pixel of the crop beside the image.
    """
    if isinstance(part, Mask):
        plain, exact = part.as_subclass(Tensor)[None], v2.InterpolationMode.NEAREST_EXACT
        return Mask(v2.functional.resize_image(plain, [side, side], interpolation=exact)[0])
    return v2.functional.resize(part, [side, side], antialias=False)


def collate(items: Sequence[tuple[Tensor, Any]]) -> tuple[Tensor, Any]:
    """Return a batch: images stacked; boxes as a list, other targets stacked."""
    images, targets = zip(*items)
    stacked = torch.stack(images)
    if isinstance(targets[0], dict):
        return stacked, list(targets)
    return stacked, torch.stack(targets)


def instance_target(masks: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Return ``masks`` ``(n, h, w)`` bool, ``boxes`` around them and ``labels`` of objects.

    What an augmentation has moved out of the picture is left out.
    """
    seen = masks.flatten(1).any(1)
    masks, labels = masks[seen], labels[seen]
    # A pixel's box ends where the next pixel begins.
    boxes = masks_to_boxes(masks) + torch.tensor([0.0, 0.0, 1.0, 1.0])
    return {"boxes": boxes.reshape(-1, 4), "labels": labels, "masks": masks}


def _worth_keeping(
    parts: np.ndarray, wholes: np.ndarray, window: tuple[int, int, int, int]
) -> np.ndarray:
    """Return which objects ``(n,)`` a crop shows well enough, by the rules of :func:`crop_boxes`.

    Args:
        parts: their pixels in the crop, ``(n, rows, cols)``.
        wholes: their pixels in the chip.
        window: what the crop shows of the chip, as of :func:`_seen`.
    """
    left, top, right, bottom = window
    counts = parts.sum(axis=(1, 2))
    rows, cols = parts.any(axis=2), parts.any(axis=1)
    thin = (rows.sum(axis=1) < _LEAST_REST) | (cols.sum(axis=1) < _LEAST_REST)
    cut = rows[:, [top, bottom - 1]].any(axis=1) | cols[:, [left, right - 1]].any(axis=1)
    keep = (counts > 0) & (counts >= _LEAST_VISIBLE * wholes.sum(axis=(1, 2)))
    return keep & ~(thin & cut)


def _draw(room: int) -> int:
    """Return a random start with ``room`` to spare; a negative room is centred."""
    return int(torch.randint(room + 1, ())) if room > 0 else room // 2


def _window(array: np.ndarray, col: int, row: int, side: int, fill: Any) -> np.ndarray:
    """Return a square part of ``(…, rows, cols)``, filled where it reaches beyond."""
    top, left = max(row, 0), max(col, 0)
    part = array[..., top : max(row + side, 0), left : max(col + side, 0)]
    if part.shape[-2:] == (side, side):
        return part
    result = np.full((*array.shape[:-2], side, side), fill, array.dtype)
    height, width = part.shape[-2:]
    result[..., top - row : top - row + height, left - col : left - col + width] = part
    return result
