"""One or several folders of training data as one, and chips that are set apart to validate."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..chips.checks import is_reordered
from ..chips.folder import ChipFolder, open_folder
from ..chips.formats import Chip, ChipFormat, recognise
from ..chips.formats import folders as subfolders
from ..chips.labels import ClassLabel, Label
from ..errors import InputError, TrainingDataError
from ..packages.definition import CaselessDict
from ..places import unquoted
from ..samples.schema import ClassDefinition, Schema

VALIDATION = "validation"
# Folders inside the sets of other programs, Roboflow's and COCO's own for example.
_VALIDATES = re.compile(r"val(id(ation)?)?(\d{4})?")
_TESTS = re.compile(r"test(ing)?(\d{4})?")
# What a definition tells of the pixels of its own chips.
_OF_ONE = ("alltilesstats", "alltilesstats2", "mincellsize", "maxcellsize")


@dataclass(frozen=True)
class Collection:
    """The chips of a training.

    Attributes:
        folder: all chips, those of several folders as if they lay in one.
        validation: positions of the chips that were set apart by the user.
        sources: the folder of each chip; one's validation folder is a part of it.
        notes: sentences for the user about chips that take no part.
    """

    folder: ChipFolder
    sources: tuple[Path, ...]
    validation: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


class JoinedReader:
    """Reads each chip's label by the reader of the folder that it comes from."""

    second_image = ""

    def __init__(self, folders: Sequence[ChipFolder]) -> None:
        self.label = folders[0].reader.label
        self._readers: dict[Path, ChipFormat] = {
            chip.image: folder.reader for folder in folders for chip in folder.chips
        }

    def read(self, chip: Chip) -> Label:
        """Read the label of a chip."""
        return self._readers[chip.image].read(chip)


def open_collection(text: str) -> Collection:
    """Open training data.

    Args:
        text: a folder, or several with ``;`` between. One called ``validation`` among them,
            or in one of them, holds the chips that validate. So do ``valid`` and ``val`` inside
            of sets of other programs, where ``test`` takes no part.

    Raises:
        InputError: when the folders do not fit each other.
        TrainingDataError: when one cannot be used.
    """
    parts = filter(None, map(unquoted, text.split(";")))
    paths, notes = _once([Path(part).expanduser() for part in parts])
    training = [path for path in paths if path.name.lower() != VALIDATION or len(paths) == 1]
    apart = [path for path in paths if path not in training]
    inside = {path: _inside(path) for path in training}
    known = {path.resolve() for path in apart}
    apart += [path for path in inside.values() if path and path.resolve() not in known]
    if not training:
        raise InputError("No folder of training data is given. Choose one.")
    folders = []
    for path in (*training, *apart):
        folder = open_folder(path, inside.get(path))
        folders.append(_without_tests(folder))
        left = len(folder.chips) - len(folders[-1].chips)
        if left:
            notes.append(f"Chips in the folder 'test' of '{path}' take no part: {left}.")
    sources = tuple(_source(folder.path) for folder in folders for _ in folder.chips)
    joined = folders[0] if len(folders) == 1 else _join(folders)
    validates = [
        folder.path in apart or _side(folder, chip, _VALIDATES)
        for folder in folders
        for chip in folder.chips
    ]
    if all(validates) and not apart:  # none would be left to train on
        validates = []
    chosen = tuple(place for place, each in enumerate(validates) if each)
    return Collection(joined, sources, chosen, tuple(notes))


def _once(paths: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Return each folder once, and sentences about those that are given again."""
    known: dict[Path, Path] = {}
    notes = []
    for path in paths:
        if known.setdefault(path.resolve(), path) is not path:
            notes.append(f"'{path}' is given twice and taken once.")
    return list(known.values()), notes


def _without_tests(folder: ChipFolder) -> ChipFolder:
    """Return a folder without the chips that its maker has set apart to test, unless all are."""
    chips = tuple(chip for chip in folder.chips if not _side(folder, chip, _TESTS))
    return dataclasses.replace(folder, chips=chips) if chips else folder


def _side(folder: ChipFolder, chip: Chip, names: re.Pattern[str]) -> bool:
    """Return whether a chip lies in a folder of such a name, in a set of another program.

    Folders of ArcGIS and GeoDL have a definition, and those of classes are called as these are.
    """
    if folder.definition or folder.reader.label is ClassLabel:
        return False
    outside = folder.path not in chip.image.parents
    place = chip.image.parent
    inside = (place.name,) if outside else place.relative_to(folder.path).parts
    return any(names.fullmatch(part.lower()) for part in inside)


def _inside(path: Path) -> Path | None:
    """Return the folder inside of another that holds the chips that validate."""
    for each in subfolders(path):
        if each.name.lower() == VALIDATION and _holds_chips(each):
            return each
    return None


def _holds_chips(path: Path) -> bool:
    return (path / "images").is_dir() or recognise(path) is not None


def _source(path: Path) -> Path:
    """Return the folder to which the chips of a folder belong."""
    return path.parent if path.name.lower() == VALIDATION else path


def _join(folders: Sequence[ChipFolder]) -> ChipFolder:
    first = folders[0]
    for other in folders[1:]:
        for what, one, two in (
            ("the format", first.format, other.format),
            ("as bands", first.band_count, other.band_count),
            ("the data type", first.dtype, other.dtype),
            *_declared(first, other),
        ):
            if one != two:
                raise InputError(
                    f"'{first.path}' has {what} {one}, but '{other.path}' has {two}. Export them "
                    "alike, or train on one of them."
                )
    names = ", ".join(folder.path.name for folder in folders)
    return dataclasses.replace(
        first,
        path=Path(names),
        schema=_join_schemas(folders),
        chips=tuple(chip for folder in folders for chip in folder.chips),
        width=min(folder.width for folder in folders),
        height=min(folder.height for folder in folders),
        definition=_shared_definition(folders),
        reader=JoinedReader(folders),
    )


def _shared_definition(folders: Sequence[ChipFolder]) -> CaselessDict:
    """Return what the first folder declares, without what holds for its chips alone."""
    first, *others = (folder.definition for folder in folders)
    return CaselessDict(
        {
            key: value
            for key, value in first.items()
            if key.lower() not in _OF_ONE or all(each.get(key) == value for each in others)
        }
    )


def _declared(one: ChipFolder, other: ChipFolder) -> Iterator[tuple[str, str, str]]:
    """Yield what both folders tell of their chips and their pixels do not show."""
    names = [each.band_names for each in (one, other)]
    if is_reordered(*names):  # bands of other names may be the same ones
        yield "the bands", ", ".join(names[0]), ", ".join(names[1])
    # Pictures that have an up are not turned, and found objects are placed another way.
    for key in ("CropTileMode", "BlackenAroundFeature", "ImageSpaceUsed"):
        told = [each.definition.get(key) for each in (one, other)]
        if None not in told:
            yield key, str(told[0]), str(told[1])


def _join_schemas(folders: Sequence[ChipFolder]) -> Schema:
    """Return all classes; raise :class:`TrainingDataError` where two folders contradict."""
    known: dict[int, tuple[ClassDefinition, ChipFolder]] = {}
    for folder in folders:
        for each in folder.schema.classes:
            for other, where in known.values():
                if (each.value == other.value) != (each.name == other.name):
                    raise TrainingDataError(
                        f"The class {each.value} '{each.name}' of '{folder.path}' contradicts "
                        f"{other.value} '{other.name}' of '{where.path}'. Export both with the "
                        "same values and names."
                    )
            known.setdefault(each.value, (each, folder))
    return Schema.of(each for each, _ in known.values())
