"""Chips with their labels as a network counts classes, kept in memory. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..chips.folder import ChipFolder
from ..chips.labels import BoxLabel, InstanceLabel, Label, MaskLabel, PanopticLabel
from ..chips.problems import check_fit
from .losses import IGNORED

_CACHE_LIMIT = 2 * 1024**3  # bytes of pixels that are kept in memory


@dataclass(frozen=True)
class Sample:
    """A chip's pixels, where they are valid, and its label in network indices.

    Attributes:
        pixels: ``(bands, rows, cols)`` in native units.
        valid: ``(rows, cols)``.
        boxes: ``(n, 4)`` for detection.
        labels: ``(n,)`` indices of the boxes, or of the classes of the chip.
        mask: ``(rows, cols)`` indices, for pixels.
        instances: ``(n, rows, cols)`` bool, the pixels of every object, for instances.
    """

    pixels: np.ndarray
    valid: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    mask: np.ndarray | None = None
    instances: np.ndarray | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of its large arrays."""
        arrays = (self.pixels, self.valid, self.mask, self.instances)
        return sum(each.nbytes for each in arrays if each is not None)


@dataclass(frozen=True)
class ChipFacts:
    """What is worth knowing of a chip without its pixels.

    Attributes:
        shape: rows and columns.
        sizes: ``(n, 2)``, widths and heights of its boxes in pixels.
        taught: whether it has a label to learn from.
        counts: pixels, objects or chips by the network's index, as far as there are any;
            for pixels the first number is that of the background.
        empty: whether it has no data anywhere.
        strange: values of pixels that are no class of the folder.
    """

    shape: tuple[int, int]
    sizes: np.ndarray
    taught: bool
    counts: np.ndarray
    empty: bool = False
    strange: tuple[int, ...] = ()

    @classmethod
    def of(cls, sample: Sample, strange: tuple[int, ...] = ()) -> ChipFacts:
        """Return the facts of a sample, and the values that its folder does not know."""
        if sample.mask is not None:
            labels = sample.mask[(sample.mask != IGNORED) & sample.valid]
        else:
            labels = sample.labels
        counts = np.bincount(labels.astype(np.int64).ravel())
        sizes = sample.boxes[:, 2:] - sample.boxes[:, :2]
        empty = not sample.valid.any()
        return cls(sample.valid.shape[-2:], sizes, bool(labels.size), counts, empty, strange)


class ChipStore:
    """Reads chips with their labels as network indices, and keeps them while they fit.

    Args:
        folder: the chips.
        class_values: those that are trained, ascending.
        outlines: whether the pixels of every object are wanted, not only its box.
        dates: whether the second images are wanted, stacked onto the first ones.
        background: whether pixels without a class are learned as such; else they are ignored.
        bands: positions of those that the network takes, of each date; none takes all.

    Attributes:
        readers: how many processes have a copy of their own; they share the memory.
    """

    def __init__(
        self,
        folder: ChipFolder,
        class_values: Sequence[int],
        outlines: bool = False,
        dates: bool = False,
        background: bool = True,
        bands: Sequence[int] | None = None,
    ) -> None:
        self.bands = tuple(range(folder.band_count)) if bands is None else tuple(bands)
        self.folder = folder
        self.dates = dates
        self.background = background
        self.outlines = outlines
        self.class_values = np.asarray(class_values, dtype=np.int64)
        self.readers = 1
        self._kept: dict[int, Sample] = {}
        self._facts: dict[int, ChipFacts] = {}
        self._bytes = 0

    def __getitem__(self, position: int) -> Sample:
        if position in self._kept:
            return self._kept[position]
        chip = self.folder.chips[position]
        read = self.folder.read_dates if self.dates else self.folder.read_image
        block = read(chip, self.bands)
        label = self.folder.read_label(chip)
        check_fit(chip, block.valid.shape, label)
        sample = make_sample(block.pixels, block.valid, label, self.class_values, self.outlines)
        strange = self._strange(label, sample.mask)
        if not self.background and sample.mask is not None:
            sample.mask[sample.mask == 0] = IGNORED
        self._facts[position] = ChipFacts.of(sample, strange)
        if self._bytes + sample.nbytes <= _CACHE_LIMIT // self.readers:
            self._kept[position] = sample
            self._bytes += sample.nbytes
        return sample

    def _strange(self, label: Label, mask: np.ndarray | None) -> tuple[int, ...]:
        """Return the values of pixels that the folder does not know."""
        if isinstance(label, PanopticLabel):
            label = label.mask
        if mask is None or not isinstance(label, MaskLabel):
            return ()
        found = MaskLabel(label.values[mask == IGNORED]).classes  # few: all others are known
        return tuple(value for value in found if self.folder.schema.by_value(value) is None)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a loading process is sent: what is known of the chips, not their pixels."""
        return {**self.__dict__, "_kept": {}, "_bytes": 0}

    def facts(self, position: int) -> ChipFacts:
        """Return what is known of a chip; it is read at most once for that."""
        if position not in self._facts:
            self[position]
        return self._facts[position]


def make_sample(
    pixels: np.ndarray,
    valid: np.ndarray,
    label: Label,
    class_values: np.ndarray,
    outlines: bool = False,
) -> Sample:
    """Return a chip's sample; labels of classes that are not trained are left out."""
    no_boxes = np.zeros((0, 4), np.float32)
    if isinstance(label, PanopticLabel):
        label = label.instances if outlines else label.mask
    if isinstance(label, (BoxLabel, InstanceLabel)):
        known = np.isin(label.values, class_values)
        labels = np.searchsorted(class_values, label.values[known])
        boxes = np.asarray(label.boxes, np.float32).reshape(-1, 4)[known]
        instances = None
        if outlines and isinstance(label, InstanceLabel):
            instances = np.asarray(label.masks, bool)[known]
        return Sample(pixels, valid, boxes, labels.astype(np.int64), instances=instances)
    if isinstance(label, MaskLabel):
        mask = mask_indices(label.values, class_values)
        return Sample(pixels, valid, no_boxes, np.zeros(0, np.int64), mask)
    known = [value for value in label.values if value in class_values]
    index = np.searchsorted(class_values, sorted(set(known))).astype(np.int64)
    return Sample(pixels, valid, no_boxes, index)


def mask_indices(values: np.ndarray, class_values: np.ndarray) -> np.ndarray:
    """Return network indices of class values: 0 background, i the i-th class, else ignored."""
    values = np.asarray(values, dtype=np.int64)
    place = np.searchsorted(class_values, values)
    place = np.minimum(place, max(len(class_values) - 1, 0))
    found = class_values[place] == values
    return np.where(values == 0, 0, np.where(found, place + 1, IGNORED)).astype(np.int16)
