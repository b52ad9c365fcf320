"""Which bands of the chips a network takes, and which of them are red, green and blue."""

from __future__ import annotations

from collections.abc import Sequence

from ..arguments import names_in
from ..errors import InputError

WEIGHT_INIT_SCHEMES = ("RANDOM", "RED_BAND", "ALL_RANDOM")
_COLOURS = ("red", "green", "blue")


def chosen_bands(text: str, names: Sequence[str]) -> tuple[int, ...]:
    """Return the positions, from 0, of the bands that a text names; all when it names none.

    Args:
        text: positions from 0, or names, with ``;`` or ``,`` between.
        names: of all bands.

    Raises:
        InputError: when there is no such band, or one is named twice.
    """
    lowered = [name.strip().lower() for name in names]
    found = []
    for entry in names_in(text, lambda entry: entry.lower() in lowered):
        if entry.lower() in lowered:
            found.append(lowered.index(entry.lower()))
        elif entry.isdecimal() and int(entry) < len(names):
            found.append(int(entry))
        else:
            known = ", ".join(f"{place} {name}" for place, name in enumerate(names))
            raise InputError(
                f"EXTRACT_BANDS names '{entry}', but there is no such band. The bands are: {known}."
            )
    if len(set(found)) < len(found):
        raise InputError(f"EXTRACT_BANDS={text} names a band twice. Name each once.")
    return tuple(found) or tuple(range(len(names)))


def colour_bands(names: Sequence[str]) -> tuple[int, int, int]:
    """Return the positions of the red, green and blue band by their names, else the first three."""
    lowered = [name.strip().lower() for name in names]
    found = [
        next((place for place, name in enumerate(lowered) if _is(name, colour)), -1)
        for colour in _COLOURS
    ]
    return (found[0], found[1], found[2]) if min(found) >= 0 else (0, 1, 2)


def _is(name: str, colour: str) -> bool:
    """Return whether a band's name says its colour; 'near infrared' and 'red edge' are none."""
    return name in (colour, colour[0], f"{colour} band", f"band {colour}")
