"""What was found in an image, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Union

import numpy as np

from ..geo.grid import Tile
from ..object_masks import ObjectMask, as_objects, masks_of
from .polygons import ObjectPolygon, packed_polygons, unpacked_polygons

ObjectShape = Union[ObjectMask, ObjectPolygon]

LEAST_SIDE = 0.5  # pixels: a network may tell a box that is a line
COLUMNS = 2**31  # more than any raster has
LEFT, TOP, RIGHT, BOTTOM = 1, 2, 4, 8  # the sides at which a tile's rim cuts


def tile_number(tile: Tile) -> int:
    """Return a number that no other tile of a raster has; those of higher rows are smaller."""
    return tile.outer.row * COLUMNS + tile.outer.col


@dataclass(frozen=True)
class Detections:
    """Boxes found in an image, and masks where the network outlines.

    Attributes:
        boxes: array ``(n, 4)`` of xmin, ymin, xmax, ymax in pixels.
        scores: array ``(n,)``, 0 to 1.
        labels: array ``(n,)`` of indices of classes.
        cut: array ``(n,)`` of bits: the sides at which the tile's rim cuts the box.
        padded: array ``(n,)``: whether the centre lies in the tile's padding.
        tile: array ``(n,)`` of :func:`tile_number`: which tile it was found in.
        masks: array ``(n,)`` of :class:`ObjectMask` or :class:`ObjectPolygon`, all ``None``
            where there are only boxes.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    cut: np.ndarray
    padded: np.ndarray
    tile: np.ndarray
    masks: np.ndarray

    @classmethod
    def of(
        cls,
        boxes: np.ndarray,
        scores: np.ndarray,
        labels: np.ndarray,
        masks: Sequence[ObjectShape | None] | None = None,
    ) -> Detections:
        """Return detections that no tile cuts."""
        count = len(scores)
        return cls(
            np.asarray(boxes, float).reshape(-1, 4),
            np.asarray(scores, float),
            np.asarray(labels, np.int64),
            np.zeros(count, np.int64),
            np.zeros(count, bool),
            np.zeros(count, np.int64),
            as_objects([None] * count if masks is None else masks),
        )

    @classmethod
    def none(cls) -> Detections:
        """Return no detections."""
        return cls.of(np.empty((0, 4)), np.empty(0), np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, chosen: np.ndarray) -> Detections:
        """Return the detections at indices, or where a mask is true."""
        return Detections(*(getattr(self, each.name)[chosen] for each in fields(self)))

    @staticmethod
    def join(parts: Sequence[Detections]) -> Detections:
        """Return all detections of several."""
        names = [each.name for each in fields(Detections)]
        return Detections(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in names)
        )

    def packed(self) -> dict[str, np.ndarray]:
        """Return the detections as arrays of numbers, from which :meth:`unpacked` makes them."""
        arrays = {each.name: getattr(self, each.name) for each in fields(self)}
        masks = arrays.pop("masks")
        if self.outlined and isinstance(masks[0], ObjectPolygon):
            arrays.update(packed_polygons(masks))
        elif self.outlined:
            arrays["windows"] = np.array(
                [(each.col, each.row, *each.pixels.shape) for each in masks], np.int64
            )
            arrays["bits"] = np.concatenate([np.packbits(each.pixels) for each in masks])
        return arrays

    @classmethod
    def unpacked(cls, arrays: Mapping[str, np.ndarray]) -> Detections:
        """Return the detections of :meth:`packed`; further arrays are left alone."""
        masks: list[ObjectShape | None] = [None] * len(arrays["scores"])
        begin = 0
        for index, (col, row, high, wide) in enumerate(arrays.get("windows", [])):
            end = begin + -(-high * wide // 8)
            pixels = np.unpackbits(arrays["bits"][begin:end], count=high * wide)
            masks[index] = ObjectMask(int(col), int(row), pixels.reshape(high, wide) > 0)
            begin = end
        if "points" in arrays:
            masks = unpacked_polygons(arrays)
        names = (each.name for each in fields(cls) if each.name != "masks")
        return cls(*(arrays[name] for name in names), as_objects(masks))

    @property
    def outlined(self) -> bool:
        """Whether these are masks, not only boxes."""
        return len(self) > 0 and self.masks[0] is not None

    @property
    def centres(self) -> np.ndarray:
        """The middles ``(n, 2)`` of the boxes."""
        return (self.boxes[:, :2] + self.boxes[:, 2:]) / 2


def as_arrays(found: dict[str, Any]) -> Detections:
    """Return a network's detections of one tile as arrays, in the tile's pixels.

    Where there are masks or shapes, the boxes are those around them; an empty one is no object.
    Nor is a box without a width or a height.
    """
    boxes = found["boxes"].float().cpu().numpy()
    scores = found["scores"].float().cpu().numpy()
    labels = found["labels"].cpu().numpy()
    if "masks" not in found and "shapes" not in found:
        flat = ((boxes[:, 2:] - boxes[:, :2]) < LEAST_SIDE).any(axis=1)
        return Detections.of(boxes, scores, labels).take(~flat)
    masks: list[ObjectShape | None]
    if "shapes" in found:
        masks = [ObjectPolygon.of(rings) for rings in found["shapes"]]
    else:
        masks = list(masks_of(found["masks"], found["windows"]))
    seen = np.array([each is not None for each in masks], bool)
    kept = [each for each in masks if each is not None]
    around = np.array([each.box for each in kept], float)
    return Detections.of(around, scores[seen], labels[seen], kept)
