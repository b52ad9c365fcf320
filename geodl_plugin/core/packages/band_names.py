"""Bands that a model definition names instead of counting them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import ModelError


@dataclass(frozen=True)
class BandNames:
    """The bands that a network takes, by their names; cases do not matter.

    Attributes:
        wanted: what ``ExtractBands`` names, in the order of the network's input.
        known: of all bands of the rasters that the model was trained on.
        found: positions of the wanted ones in a raster, 0-based, once they are looked up.
    """

    wanted: tuple[str, ...]
    known: tuple[str, ...] = ()
    found: tuple[int, ...] = ()

    def trained(self) -> tuple[int, ...]:
        """Return the positions in the rasters of the training, else in the order of the names."""
        places = _places(self.wanted, self.known)
        return tuple(range(len(places))) if -1 in places else places

    def look_up(self, names: Sequence[str], model: str, raster: str) -> tuple[int, ...]:
        """Return the positions of the wanted bands in a raster, 0-based.

        Its own names rule; where they say nothing, it has the order of the training's rasters.

        Args:
            names: of the raster's bands.
            model: name of the model, for the error.
            raster: name of the raster, for the error.

        Raises:
            ModelError: when nothing tells which bands are meant.
        """
        own, trained = _places(self.wanted, names), _places(self.wanted, self.known)
        if -1 not in own:
            return own
        agree = all(here in (-1, there) for here, there in zip(own, trained))
        if agree and -1 not in trained and len(self.known) == len(names):
            return trained
        raise ModelError(
            f"'{model}' takes the bands {', '.join(self.wanted)}, but '{raster}' has "
            f"{', '.join(names)}. Name the raster's bands so, or write their positions, counted "
            "from 0, into ExtractBands of the definition."
        )

    def place(self, band: str | int) -> int:
        """Return the position of a band that a Python function names or counts.

        Raises:
            ModelError: when it is neither a number nor one of the wanted names.
        """
        if not isinstance(band, str):
            return int(band)
        lowered, text = [each.strip().lower() for each in self.wanted], band.strip().lower()
        if text in lowered and self.found:
            return self.found[lowered.index(text)]
        if text.isdecimal():
            return int(text)
        raise ModelError(
            f"The Python function takes a band '{band}', which the definition does not name in "
            "ExtractBands. Add it there, or its position, counted from 0."
        )


def _places(wanted: Sequence[str], names: Sequence[str]) -> tuple[int, ...]:
    """Return the positions of bands by name or, written as text, number; -1 where there is none."""
    lowered = [each.strip().lower() for each in names]
    places = []
    for each in wanted:
        name = each.strip().lower()
        if name in lowered:
            places.append(lowered.index(name))
        else:
            places.append(int(name) if name.isdecimal() and int(name) < len(names) else -1)
    return tuple(places)
