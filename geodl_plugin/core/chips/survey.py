"""One pass over training data: what is wrong, how many there are of what, how large, how bright."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np

from ..errors import BandCountError, RasterError, TrainingDataError, UnknownClassError
from ..geo.raster import Block
from ..progress import Phase, Progress
from . import problems
from .folder import ChipFolder
from .formats import Chip
from .images import open_image
from .labels import (
    UNLABELLED,
    BoxLabel,
    ClassLabel,
    InstanceLabel,
    Label,
    MaskLabel,
    NoLabel,
    PanopticLabel,
)
from .problems import Kind, Problem
from .statistics import BandStatistics, Tally

BINS_PER_OCTAVE = 2  # of object sizes


@dataclass
class Survey:
    """What a folder holds.

    Attributes:
        folder: that was looked at.
        problems: what is wrong, in the order in which it was found.
        objects, pixels, chips: by class value, how many objects and pixels there are, and on
            how many chips; pixels of the value 0 are counted too.
        sizes: by class value, the sides of squares as large as the boxes of the objects, pixels.
        size_bins: how many objects have a size between ``2 ** (bin / BINS_PER_OCTAVE)`` and
            that of the next bin.
        bands: of all valid pixels.
        shapes: how many chips have so many rows and columns.
        classes: the class values on each chip, ``None`` where it cannot be read.
    """

    folder: ChipFolder
    problems: list[Problem] = field(default_factory=list)
    objects: Counter[int] = field(default_factory=Counter)
    pixels: Counter[int] = field(default_factory=Counter)
    chips: Counter[int] = field(default_factory=Counter)
    sizes: defaultdict[int, Tally] = field(default_factory=lambda: defaultdict(Tally))
    size_bins: Counter[int] = field(default_factory=Counter)
    bands: BandStatistics = field(default_factory=BandStatistics)
    shapes: Counter[tuple[int, int]] = field(default_factory=Counter)
    classes: list[tuple[int, ...] | None] = field(default_factory=list)

    @property
    def samples(self) -> Counter[int]:
        """By class value what there is to learn from: objects where there are any, else chips."""
        by_object = issubclass(self.folder.reader.label, (BoxLabel, InstanceLabel))
        return self.objects if by_object else self.chips

    @property
    def fatal(self) -> list[Problem]:
        """The problems for which training refuses the folder."""
        return [each for each in self.problems if each.fatal]

    def count(self, label: Label) -> None:
        """Count what is on a chip."""
        values: set[int] = set()
        if isinstance(label, PanopticLabel):
            values |= self._count_pixels(label.mask)
            values |= self._count_objects(label.instances)
        elif isinstance(label, MaskLabel):
            values = self._count_pixels(label)
        elif isinstance(label, (BoxLabel, InstanceLabel)):
            values = self._count_objects(label)
        elif isinstance(label, ClassLabel):
            values = set(label.values)
        self.chips.update(values)
        self.classes.append(tuple(sorted(values)))

    def _count_pixels(self, label: MaskLabel) -> set[int]:
        values, counts = np.unique(label.values, return_counts=True)
        found = dict(zip(values.tolist(), counts.tolist()))
        found.pop(UNLABELLED, None)
        self.pixels.update(found)
        return {value for value in found if value}

    def _count_objects(self, label: BoxLabel | InstanceLabel) -> set[int]:
        values = np.asarray(label.values).tolist()
        self.objects.update(values)
        boxes = label.boxes
        areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
        for value, area in zip(values, areas.tolist()):
            if area > 0:
                size = area**0.5
                self.sizes[value].add(size)
                self.size_bins[int(np.floor(np.log2(size) * BINS_PER_OCTAVE))] += 1
        return set(values)


def find_problems(folder: ChipFolder, progress: Progress | None = None) -> list[Problem]:
    """Return all that is wrong with training data."""
    return survey(folder, Phase(progress or Progress(), "Inspecting", 1, "chips")).problems


def survey(folder: ChipFolder, phase: Phase) -> Survey:
    """Look at every chip of a folder once, one at a time."""
    return _Surveyor(folder).run(phase)


class _Surveyor:
    """Remembers of each chip what is needed to compare it with the others."""

    def __init__(self, folder: ChipFolder) -> None:
        self.folder = folder
        self.result = Survey(folder)
        self.paired = folder.reader.second_image == "required" or any(
            chip.second for chip in folder.chips
        )
        self.one_size = not folder.variable_size
        self.by_size: defaultdict[str, list[Chip]] = defaultdict(list)
        self.by_type: defaultdict[str, list[Chip]] = defaultdict(list)
        self.first_with: dict[bytes, tuple[Chip, bytes]] = {}

    def run(self, phase: Phase) -> Survey:
        folder, found = self.folder, self.result.problems
        phase.total = len(folder.chips)
        for chip in folder.chips:
            self._look_at(chip)
            phase.step()
        if self.one_size:
            found += problems.odd_ones(folder, Kind.SIZE, self.by_size)
        found += problems.odd_ones(folder, Kind.DATA_TYPE, self.by_type)
        found += problems.labels_without_image(folder)
        labelled = sum(1 for each in self.result.classes if each)
        shapes = list(self.result.shapes.elements())
        found[:0] = problems.folder_problems(folder, labelled, shapes)
        if folder.reader.label is not NoLabel:
            found += problems.few_samples(folder, self.result.samples)
        return self.result

    def _look_at(self, chip: Chip) -> None:
        block, label = self._image(chip), self._label(chip)
        self.result.problems += problems.partner_problems(self.folder, chip, self.paired)
        second = self._second(chip)
        if block is not None:
            self._look_at_image(chip, block, label, second)
        if block is None or label is None or (second is None and chip.second is not None):
            self.result.classes.append(None)
            return
        shape = block.valid.shape
        self.result.problems += problems.label_problems(self.folder, chip, shape, label)
        self.result.count(label)

    def _image(self, chip: Chip) -> Block | None:
        try:
            return self.folder.read_image(chip)
        except TrainingDataError as error:
            kind = Kind.BANDS if isinstance(error, BandCountError) else Kind.IMAGE
            self.result.problems.append(problems.fatal(kind, str(error)))
            return None

    def _label(self, chip: Chip) -> Label | None:
        try:
            return self.folder.read_label(chip)
        except TrainingDataError as error:
            kind = Kind.LABEL
            if chip.label is None:
                kind = Kind.NO_LABEL
            elif isinstance(error, UnknownClassError):
                kind = Kind.UNKNOWN_CLASS
            # A reader that looks at the image fails with the image's own sentence.
            if all(str(error) != each.sentence for each in self.result.problems[-1:]):
                self.result.problems.append(problems.fatal(kind, str(error)))
            return None

    def _second(self, chip: Chip) -> Block | None:
        """Return the second image, or both dates as one, where it can be used with the first."""
        if chip.second is None:
            return None
        try:
            if self.folder.reader.label is NoLabel:  # it may be of another kind
                with open_image(chip.second) as raster:
                    return raster.read(raster.window)
            return self.folder.read_dates(chip)
        except (RasterError, TrainingDataError) as error:
            kind = Kind.BANDS if isinstance(error, BandCountError) else Kind.IMAGE
            # What is wrong with the first image is told already.
            if all(str(error) != each.sentence for each in self.result.problems):
                self.result.problems.append(problems.fatal(kind, str(error)))
            return None

    def _look_at_image(
        self, chip: Chip, block: Block, label: Label | None, second: Block | None
    ) -> None:
        rows, cols = block.valid.shape
        self.result.shapes[rows, cols] += 1
        self.by_size[f"{cols} by {rows} pixels"].append(chip)
        self.by_type[block.pixels.dtype.name].append(chip)
        whole = block.valid.all()  # picking the valid pixels costs more than counting them
        flat = block.pixels.reshape(len(block.pixels), -1)
        self.result.bands.update(flat if whole else block.pixels[:, block.valid])
        blank = list(problems.image_problems(self.folder, chip, block.pixels, block.valid))
        self.result.problems += blank
        if blank:
            return
        pixels, meaning = [block.pixels, block.valid], list(_arrays(label))
        if second is not None:  # another date is seen, what stands beside an image is to be told
            place = meaning if self.folder.reader.label is NoLabel else pixels
            place += [second.pixels, second.valid]
        self._compare(chip, fingerprint(*pixels), fingerprint(*meaning))

    def _compare(self, chip: Chip, pixels: bytes, meaning: bytes) -> None:
        first = self.first_with.setdefault(pixels, (chip, meaning))
        if first[0] is not chip:
            same = first[1] == meaning
            self.result.problems.append(problems.duplicate(self.folder, chip, first[0], same))


def fingerprint(*arrays: np.ndarray) -> bytes:
    """Return 16 bytes that are the same for the same arrays only."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.digest()


def _arrays(label: Label | None) -> tuple[np.ndarray, ...]:
    """Return what tells labels apart."""
    if isinstance(label, PanopticLabel):
        return (*_arrays(label.mask), *_arrays(label.instances))
    if isinstance(label, (BoxLabel, InstanceLabel)):
        return (np.asarray(label.values), np.asarray(label.boxes))
    if isinstance(label, (MaskLabel, ClassLabel)):
        return (np.asarray(label.values),)
    return ()
