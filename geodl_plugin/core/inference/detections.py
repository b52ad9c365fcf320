"""What was found in an image, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from .masks import ObjectMask, as_objects

LEFT, TOP, RIGHT, BOTTOM = 1, 2, 4, 8  # the sides at which a tile's rim cuts


@dataclass(frozen=True)
class Detections:
    """Boxes found in an image, and masks where the network outlines.

    Attributes:
        boxes: array ``(n, 4)`` of xmin, ymin, xmax, ymax in pixels.
        scores: array ``(n,)``, 0 to 1.
        labels: array ``(n,)`` of indices of classes.
        cut: array ``(n,)`` of bits: the sides at which the tile's rim cuts the box.
        padded: array ``(n,)``: whether the centre lies in the tile's padding.
        tile: array ``(n,)`` of numbers: which tile it was found in.
        masks: array ``(n,)`` of :class:`ObjectMask`, all ``None`` where there are only boxes.
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
        masks: Sequence[ObjectMask | None] | None = None,
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

    @property
    def outlined(self) -> bool:
        """Whether these are masks, not only boxes."""
        return len(self) > 0 and self.masks[0] is not None

    @property
    def centres(self) -> np.ndarray:
        """The middles ``(n, 2)`` of the boxes."""
        return (self.boxes[:, :2] + self.boxes[:, 2:]) / 2
