"""Where the chips of a training lie, in one coordinate reference system for all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import VectorError
from ..geo.crs import (
    Bounds,
    bounds_through,
    crs_name,
    same_crs,
    transformation,
)
from .clashes import Clashes

# Known everywhere, so that chips of any two systems can be compared.
COMMON = "EPSG:4326"
GAP = 9.0  # between places that have nothing to do with each other, in sides of a chip
UNKNOWN = ""
VERSION = re.compile(r"\.rf\.\w+$")  # of a photo, as Roboflow names it


@dataclass(frozen=True)
class Places:
    """Where chips lie.

    Attributes:
        bounds: ``(n, 4)``, places that have nothing to do with each other side by side.
        clashes: which chips share ground.
        notes: sentences for the user about how the chips were compared.
    """

    bounds: np.ndarray
    clashes: Clashes
    notes: tuple[str, ...] = ()

    def of(self, positions: Sequence[int]) -> Places:
        """Return the places of some of the chips."""
        chosen = np.asarray(positions, int)
        return Places(self.bounds[chosen], self.clashes.of(chosen), self.notes)


def find_places(
    footprints: Sequence[Bounds],
    systems: Sequence[str],
    folders: Sequence[Path],
    placed: Sequence[bool] | None = None,
    names: Sequence[str] | None = None,
    corners: Sequence[np.ndarray] | None = None,
) -> Places:
    """Compare where chips lie.

    Chips of one coordinate reference system are compared as they are, others in a common one.
    Chips without a system share ground with those of the same folder only, and chips without a
    place, as photos are, with none.

    Args:
        footprints: bounds of the chips, each in its own system.
        systems: of the chips, as well-known text; empty where unknown.
        folders: of the chips.
        placed: whether they have a place; all have where not given.
        names: of the chips. Of those without a place, versions of one photo share its place.
        corners: of the chips ``(4, 2)``, by which turned ones of one system are compared; by
            their bounds where not given.
    """
    photos = _photos(names or [str(index) for index in range(len(footprints))])
    loose = np.zeros(len(footprints), bool) if placed is None else ~np.array(placed, bool)
    bounds = np.array(footprints, float).reshape(-1, 4)
    merged = _merge(systems)
    known = [text for text in dict.fromkeys(merged) if text]
    common, strange = _in_common(bounds, merged) if len(known) > 1 else (bounds, set())
    groups = _groups(merged, strange, folders)
    apart = [_without_place_apart(common[group], loose[group], photos[group]) for group in groups]
    pairs = [_pairs(group, each) for group, each in zip(groups, apart)]
    if len(known) > 1:
        # In another system neighbours would overlap a little: those of one are compared in it.
        names = np.array([known.index(text) if text else -1 for text in merged])
        mixed = [(names[one] != names[two]) | (names[one] < 0) for one, two in pairs]
        pairs = [(one[keep], two[keep]) for (one, two), keep in zip(pairs, mixed)]
        for own in (np.flatnonzero(names == index) for index in range(len(known))):
            pairs.append(_pairs(own, bounds[own]))
    ordered = np.empty_like(bounds)
    ordered[np.concatenate(groups)] = _side_by_side(apart)
    clashes = Clashes.of_pairs(len(bounds), pairs)
    if corners is not None:
        systems_of = np.unique(merged, return_inverse=True)[1]
        clashes = clashes.among(np.array(corners, float), np.where(loose, -1, systems_of))
    return Places(ordered, clashes, _notes(known, strange, merged, folders))


def _pairs(positions: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which of the chips at some positions share ground, in two arrays of positions."""
    one, two = Clashes.of_bounds(bounds).pairs()
    return positions[one], positions[two]


def _groups(systems: Sequence[str], strange: set[str], folders: Sequence[Path]) -> list[np.ndarray]:
    """Return the positions of the chips that can be compared with each other.

    What cannot be compared is a group of its own: a system that leads nowhere, or the chips of
    a folder that have none.
    """
    keys: list[str | Path] = []
    for text, folder in zip(systems, folders):
        if not text:
            keys.append(folder)
        else:
            keys.append(text if text in strange else COMMON)
    return [np.flatnonzero([key == each for key in keys]) for each in dict.fromkeys(keys)]


def _merge(systems: Sequence[str]) -> list[str]:
    """Return the systems, each of equal ones by the text of the first."""
    firsts: list[str] = []
    names: dict[str, str] = {UNKNOWN: UNKNOWN}
    for text in dict.fromkeys(systems):
        if text:
            names[text] = next((each for each in firsts if same_crs(each, text)), text)
            firsts += [text] * (names[text] == text)
    return [names[text] for text in systems]


def _in_common(bounds: np.ndarray, systems: Sequence[str]) -> tuple[np.ndarray, set[str]]:
    """Return bounds in the common system, and the systems that cannot be transformed to it."""
    common, strange = bounds.copy(), set()
    for text in dict.fromkeys(filter(None, systems)):
        own = np.flatnonzero([each == text for each in systems])
        try:
            way = transformation(text, COMMON)
            common[own] = [bounds_through(tuple(bounds[place]), way) for place in own]
        except VectorError:
            strange.add(text)
            common[own] = bounds[own]
    return common, strange


def _side_by_side(groups: Sequence[np.ndarray]) -> np.ndarray:
    """Return the bounds of all groups; several are measured in sides of their chips."""
    if len(groups) == 1:
        return groups[0]
    placed, right = [], 0.0
    for bounds in groups:
        side = np.median(bounds[:, 2:] - bounds[:, :2], axis=0)
        side = np.tile(np.where(side > 0, side, 1.0), 2)
        corner = np.tile(bounds[:, :2].min(axis=0), 2)
        own = (bounds - corner) / side + [right, 0.0, right, 0.0]
        right = own[:, 2].max() + GAP
        placed.append(own)
    return np.concatenate(placed)


def _photos(names: Sequence[str]) -> np.ndarray:
    """Return the number ``(n,)`` of the photo that each chip is.

    Roboflow makes several versions of a photo, lighter or turned, and tells them apart by a code.
    """
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(VERSION.sub("", name), len(numbers)) for name in names])


def _without_place_apart(
    footprints: np.ndarray, loose: np.ndarray, photos: np.ndarray
) -> np.ndarray:
    """Return footprints of which those without a place do not touch other photos nor the rest.

    Where all have the same upper left corner, none has a place.
    """
    if len(footprints) > 1 and np.ptp(footprints[:, [0, 3]], axis=0).max() == 0:
        loose = np.ones(len(footprints), bool)
    if not loose.any():
        return footprints
    own, rest = footprints[loose], footprints[~loose]
    step = (own[:, 2] - own[:, 0]).max() + 1
    first = rest[:, 2].max() + 1 if len(rest) else own[0, 0]
    places = np.unique(photos[loose], return_inverse=True)[1]
    moves = first + step * places - own[:, 0]
    result = footprints.copy()
    result[loose] = own + moves[:, None] * np.array([1.0, 0.0, 1.0, 0.0])
    return result


def _notes(
    known: Sequence[str], strange: set[str], systems: Sequence[str], folders: Sequence[Path]
) -> tuple[str, ...]:
    """Return what was compared how, where that is not plain."""
    notes = []
    shared = [text for text in known if text not in strange]
    if len(shared) > 1:
        names = ", ".join(f"'{crs_name(text)}'" for text in shared)
        notes.append(
            f"The chips are in {len(shared)} coordinate reference systems, {names}; where they "
            f"overlap was found in '{crs_name(COMMON)}'."
        )
    for text in known:
        if text in strange:
            notes.append(
                f"Chips in '{crs_name(text)}' cannot be placed among the others and count as a "
                "place of their own."
            )
    apart = dict.fromkeys(folder for folder, text in zip(folders, systems) if not text)
    if apart and (known or len(apart) > 1):
        names = ", ".join(f"'{folder.name}'" for folder in apart)
        each = "each of them counts" if len(apart) > 1 else "it counts"
        notes.append(
            f"Chips of {names} have no coordinate reference system: {each} as a place of its own."
        )
    return tuple(notes)
