"""What can be wrong with training data, and the sentences that say so.

Inspection lists them all; training refuses with the sentence of the first that stops it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import TrainingDataError
from ..samples.schema import Schema
from .formats import Chip
from .labels import BoxLabel, ClassLabel, InstanceLabel, Label, MaskLabel, NoLabel, PanopticLabel

if TYPE_CHECKING:
    from .folder import ChipFolder

LEAST_SIDE = 32  # pixels: the stride of the encoders' last maps
LEAST_SAMPLES = 10  # of a class
_SLACK = 1.0  # pixels by which boxes of other programs lie beyond the edge without harm


class Severity(Enum):
    """What a problem does to a training."""

    FATAL = "Stops training"
    WARNING = "Worth a look"


class Kind(Enum):
    """What is wrong; the value is the heading under which reports list it."""

    FOLDER = "Nothing to learn from"
    IMAGE = "Unreadable image"
    LABEL = "Unreadable label"
    NO_LABEL = "Image without label"
    NO_IMAGE = "Label without image"
    NO_PARTNER = "Image without its second image"
    UNKNOWN_CLASS = "Unknown class"
    BANDS = "Wrong number of bands"
    SIZE = "Wrong size"
    DATA_TYPE = "Wrong data type"
    OUTSIDE = "Box outside the chip"
    NO_AREA = "Box without area"
    EMPTY = "Empty label"
    BLANK = "Chip without data"
    DUPLICATE = "Duplicate chip"
    FEW = "Class with few samples"


@dataclass(frozen=True)
class Problem:
    """A problem of a chip, a label or a class.

    Attributes:
        kind: what is wrong.
        severity: what it does to a training.
        sentence: for people, with the place and the way out.
    """

    kind: Kind
    severity: Severity
    sentence: str

    @property
    def fatal(self) -> bool:
        """Whether training refuses the folder for it."""
        return self.severity is Severity.FATAL


def fatal(kind: Kind, sentence: str) -> Problem:
    """Return a problem that stops training."""
    return Problem(kind, Severity.FATAL, sentence)


def warning(kind: Kind, sentence: str) -> Problem:
    """Return a problem that training lives with."""
    return Problem(kind, Severity.WARNING, sentence)


# Of the folder


def check_classes(folder: ChipFolder, schema: Schema) -> None:
    """Raise :class:`TrainingDataError` when there are too few classes to tell apart."""
    if not len(schema):
        raise TrainingDataError(
            f"The folder '{folder.path}' has no classes to learn. Export labelled data."
        )
    if issubclass(folder.reader.label, ClassLabel) and len(schema) < 2:
        raise TrainingDataError(
            f"The folder '{folder.path}' has one class only, '{schema.names[0]}'. "
            "A classifier needs two at least."
        )


def common_side(shapes: Iterable[tuple[int, int]]) -> int:
    """Return the side in pixels that three of four chips have at least.

    Chips are of one size as a rule, and photos of many: the first one says nothing of the rest.

    Args:
        shapes: rows and columns of the chips.
    """
    sides = sorted(map(min, shapes))
    return sides[len(sides) // 4]


def check_size(folder: ChipFolder, shapes: Sequence[tuple[int, int]]) -> None:
    """Raise :class:`TrainingDataError` when the chips are smaller than a network sees.

    Those that are as large as their object are enlarged.

    Args:
        folder: of the chips.
        shapes: rows and columns of those that can be read.
    """
    if folder.variable_size or not shapes or common_side(shapes) >= LEAST_SIDE:
        return
    rows, cols = min(shapes, key=min)
    some = "The" if len(set(shapes)) == 1 else "More than a quarter of the"
    size = f"{cols} by {rows}" if len(set(shapes)) == 1 else f"less than {LEAST_SIDE}"
    raise TrainingDataError(
        f"{some} chips of '{folder.path.name}' are {size} pixels. "
        f"Networks need {LEAST_SIDE} at least: export larger ones."
    )


def check_fit(chip: Chip, shape: tuple[int, int], label: Label) -> None:
    """Raise :class:`TrainingDataError` when a label has other rows and columns than its image."""
    if isinstance(label, PanopticLabel):
        check_fit(chip, shape, label.mask)
        check_fit(chip, shape, label.instances)
        return
    if isinstance(label, MaskLabel):
        found = label.values.shape
    elif isinstance(label, InstanceLabel):
        found = tuple(label.shape)
    else:
        return
    if found != shape:
        raise TrainingDataError(
            f"The label of '{chip.image}' is {found[1]} by {found[0]} pixels, but the image is "
            f"{shape[1]} by {shape[0]}. Remove the chip or export the folder again."
        )


def teachable(folder: ChipFolder) -> Schema:
    """Return the classes that can be taught: the value 0 of pixels is the background."""
    masks = issubclass(folder.reader.label, (MaskLabel, PanopticLabel))
    return Schema(tuple(each for each in folder.schema.classes if each.value or not masks))


def folder_problems(
    folder: ChipFolder, labelled: int, shapes: Sequence[tuple[int, int]]
) -> Iterator[Problem]:
    """Yield what is wrong with a folder as a whole.

    Args:
        folder: of the chips.
        labelled: how many chips have a label.
        shapes: rows and columns of the chips.
    """
    try:
        check_size(folder, shapes)
    except TrainingDataError as error:
        yield fatal(Kind.SIZE, str(error))
    if folder.reader.label is NoLabel:
        return
    try:
        check_classes(folder, teachable(folder))
    except TrainingDataError as error:
        yield fatal(Kind.FOLDER, str(error))
    if not labelled:
        yield fatal(Kind.FOLDER, nothing_labelled(folder, len(folder.chips)))


def nothing_labelled(folder: ChipFolder, count: int) -> str:
    """Return the refusal of chips of which none teaches anything."""
    return (
        f"None of the {count} training chips of '{folder.path.name}' has a label. "
        "Export data that covers labelled places."
    )


def few_samples(folder: ChipFolder, samples: Mapping[int, int]) -> Iterator[Problem]:
    """Yield the classes with too few samples, given how many each class value has."""
    for each in teachable(folder).classes:
        count = samples.get(each.value, 0)
        if count < LEAST_SAMPLES:
            number = "no samples" if not count else "1 sample" if count == 1 else f"{count} samples"
            yield warning(
                Kind.FEW,
                f"The class '{each.name}' has {number}. Label {LEAST_SAMPLES} at least, "
                "or leave the class out.",
            )


def labels_without_image(folder: ChipFolder) -> Iterator[Problem]:
    """Yield the label files that belong to no chip."""
    names = {chip.name for chip in folder.chips}
    for path in folder.reader.label_files():
        if path.stem not in names:
            yield warning(
                Kind.NO_IMAGE,
                f"The label '{_place(folder, path)}' has no image and is not used. "
                "Add the image or remove the label.",
            )


def odd_ones(
    folder: ChipFolder, kind: Kind, seen: Mapping[str, Sequence[Chip]]
) -> Iterator[Problem]:
    """Yield the chips whose size or data type is not that of most.

    Args:
        folder: of the chips.
        kind: :attr:`Kind.SIZE` or :attr:`Kind.DATA_TYPE`.
        seen: the chips by their size or data type, as text.
    """
    usual = max(seen, key=lambda text: len(seen[text]), default="")
    for text, chips in seen.items():
        for chip in chips if text != usual else ():
            yield warning(
                kind,
                f"'{_place(folder, chip.image)}' is {text}, but most chips are {usual}. "
                "Check where it comes from.",
            )


# Of a chip


def image_problems(
    folder: ChipFolder, chip: Chip, pixels: np.ndarray, valid: np.ndarray
) -> Iterator[Problem]:
    """Yield what is wrong with a chip's pixels ``(bands, rows, cols)``."""
    place = _place(folder, chip.image)
    if not valid.any():
        yield warning(
            Kind.BLANK, f"'{place}' has no data anywhere and teaches nothing. Remove the chip."
        )
    elif (pixels == pixels[:, :1, :1]).all():
        yield warning(
            Kind.BLANK,
            f"'{place}' has the same value everywhere and teaches nothing. Remove the chip.",
        )


def label_problems(
    folder: ChipFolder, chip: Chip, shape: tuple[int, int], label: Label
) -> Iterator[Problem]:
    """Yield what is wrong with a readable label of a chip of ``shape`` (rows, columns)."""
    place = _place(folder, chip.image)
    try:
        check_fit(chip, shape, label)
    except TrainingDataError as error:
        yield fatal(Kind.SIZE, str(error))
        return
    said = folder.reader.labelled_size(chip)
    if said not in (None, shape):
        yield warning(
            Kind.SIZE,
            f"'{place}' is {shape[1]} by {shape[0]} pixels, but an image of {said[1]} by {said[0]} "
            "was labelled: the objects lie elsewhere. Use the image that was labelled.",
        )
    if isinstance(label, PanopticLabel):
        yield from _mask_problems(folder, place, label.mask)
        if label.mask.values.any():
            yield from _box_problems(place, shape, label.instances.boxes)
    elif isinstance(label, MaskLabel):
        yield from _mask_problems(folder, place, label)
    elif isinstance(label, (BoxLabel, InstanceLabel)):
        if not len(label.values):
            yield _empty(place, "objects")
        yield from _box_problems(place, shape, label.boxes)


def partner_problems(folder: ChipFolder, chip: Chip, expected: bool) -> Iterator[Problem]:
    """Yield that a chip lacks the second image that is ``expected``."""
    if expected and chip.second is None:
        yield fatal(
            Kind.NO_PARTNER,
            f"'{_place(folder, chip.image)}' has no second image. Add it or remove the chip.",
        )


def duplicate(folder: ChipFolder, chip: Chip, first: Chip, same_label: bool) -> Problem:
    """Return the problem of a chip that has the same pixels as another one."""
    label = "the same label" if same_label else "another label"
    harm = (
        "Remove one: it counts twice, and may validate what it trained."
        if same_label
        else "Remove one: they contradict each other."
    )
    return warning(
        Kind.DUPLICATE,
        f"'{_place(folder, chip.image)}' has the same pixels as "
        f"'{_place(folder, first.image)}', with {label}. {harm}",
    )


def _mask_problems(folder: ChipFolder, place: str, label: MaskLabel) -> Iterator[Problem]:
    if not label.values.any():
        yield _empty(place, "pixels with a class")
    unknown = [value for value in label.classes if folder.schema.by_value(value) is None]
    if unknown:
        shown = ", ".join(map(str, unknown[:5])) + (" …" if len(unknown) > 5 else "")
        yield warning(
            Kind.UNKNOWN_CLASS,
            f"The label of '{place}' has pixels with the values {shown}, which the folder does "
            f"not know: they are not learnt. Its classes are: {folder.schema}.",
        )


def _box_problems(place: str, shape: tuple[int, int], boxes: np.ndarray) -> Iterator[Problem]:
    rows, cols = shape
    sides = boxes[:, 2:] - boxes[:, :2]
    flat = ~(sides > 0).all(axis=1)  # not-a-number is flat, too
    reach = np.concatenate([-boxes[:, :2], boxes[:, 2:] - [cols, rows]], axis=1)
    beyond = reach.max(axis=1, initial=-np.inf)[~flat]
    outside = beyond > _SLACK
    if outside.any():
        yield warning(
            Kind.OUTSIDE,
            f"'{place}' has {_boxes(int(outside.sum()))} outside of its {cols} by {rows} pixels, "
            f"by up to {beyond.max():.4g} pixels. What lies outside is cut off.",
        )
    if flat.any():
        yield warning(
            Kind.NO_AREA,
            f"'{place}' has {_boxes(int(flat.sum()))} without area, to be removed or redrawn.",
        )


def _empty(place: str, what: str) -> Problem:
    return warning(Kind.EMPTY, f"'{place}' has no {what}: it teaches what background looks like.")


def _boxes(count: int) -> str:
    return "1 box" if count == 1 else f"{count} boxes"


def _place(folder: ChipFolder, path: Path) -> str:
    return (
        path.relative_to(folder.path).as_posix()
        if path.is_relative_to(folder.path)
        else path.as_posix()
    )
