"""Inspecting training data: what is wrong, what there is, what it looks like."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import pages
from ..errors import InputError, TrainingDataError
from ..geo.raster import Block
from ..progress import Phase, Progress
from .contact_sheet import COLUMNS, Look, choose, contact_sheet
from .folder import ChipFolder, open_folder
from .formats import Chip
from .inspection_report import inspection_page
from .labels import Label, NoLabel
from .survey import Survey, survey

_SURVEYED = 0.9  # share of the work


@dataclass(frozen=True)
class InspectionOptions:
    """What to inspect.

    Attributes:
        folder: with training data.
        report: the HTML file to write; "" for none.
        rows: of the contact sheet, four chips each.
        seed: chooses the chips that are shown.
        augment: show the chips as a network sees them.
        augmentation: ``DEFAULT``, ``NONE`` or ``CUSTOM``, as in a training.
        augmentation_parameters: what a custom one changes, ``name=value;…``.
    """

    folder: str
    report: str = ""
    rows: int = 4
    seed: int = 42
    augment: bool = False
    augmentation: str = "DEFAULT"
    augmentation_parameters: str = ""


def inspect(options: InspectionOptions, progress: Progress) -> dict[str, Any]:
    """Inspect training data as it is stored, write the report and return the counts.

    Raises:
        InputError: when an augmentation is chosen but none is to be shown.
        TrainingDataError: when the folder cannot be opened.
    """
    if options.augmentation != "DEFAULT" or options.augmentation_parameters.strip():
        raise InputError(
            f"AUGMENTATION={options.augmentation} is for chips as a network sees them. Set AUGMENT "
            "too, or leave the augmentation out."
        )
    folder = open_folder(options.folder)
    found = survey_of(folder, progress)
    return finish(options, found, as_stored(folder), "As they are stored.", progress)


def survey_of(folder: ChipFolder, progress: Progress) -> Survey:
    """Look at every chip and tell what stops training."""
    found = survey(folder, Phase(progress, "Inspecting", 1, "chips", 0.0, _SURVEYED))
    for problem in found.fatal[:10]:
        progress.warn(problem.sentence)
    return found


def finish(
    options: InspectionOptions, found: Survey, look: Look, how: str, progress: Progress
) -> dict[str, Any]:
    """Draw the chips, write the report and return the counts.

    Args:
        options: of the inspection.
        found: what the folder holds.
        look: reads a chip as it is to be shown.
        how: a sentence that says how that is.
        progress: of the work.
    """
    if options.rows < 0:
        raise InputError(f"{options.rows} is no number of rows. Give 0 or more.")
    if options.report:
        chosen = choose(found.classes, options.rows * COLUMNS, options.seed)
        phase = Phase(progress, "Drawing", len(chosen), "chips", _SURVEYED, 1.0)
        sheet = contact_sheet(found.folder, chosen, look, phase)
        page = inspection_page(found, sheet, chosen, how)
        pages.write(Path(options.report), page)
    return {"chips": len(found.folder.chips), "problems": len(found.problems)}


def as_stored(folder: ChipFolder) -> Look:
    """Return a function that reads the pixels and the label of a chip."""

    def look(position: int) -> tuple[Block, Label]:
        chip = folder.chips[position]
        return _pixels(folder, chip), folder.read_label(chip)

    return look


def _pixels(folder: ChipFolder, chip: Chip) -> Block:
    """Read what is shown of a chip: both images, unless the second is of another kind."""
    if chip.second is not None:
        try:
            return folder.read_dates(chip)
        except TrainingDataError:
            if folder.reader.label is not NoLabel:
                raise
    return folder.read_image(chip)
