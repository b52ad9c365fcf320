"""Bands by their names: looked up, never guessed."""

from __future__ import annotations

from typing import Any

import pytest

from geodl_plugin.core.errors import ModelError
from geodl_plugin.core.packages.band_names import BandNames
from geodl_plugin.core.packages.definition import ModelDefinition

WANTED = ("NIR", "Red", "Green")
TRAINED = ("Blue", "Green", "Red", "NIR")
PLAIN = ("Band_1", "Band_2", "Band_3", "Band_4")


@pytest.mark.parametrize(
    ("names", "known", "places"),
    [
        (("red", " green", "blue", "nir"), TRAINED, (3, 0, 1)),  # the raster's own names rule
        (PLAIN, TRAINED, (3, 2, 1)),
        (("Blue", "Band_2", "Red", "Band_4"), TRAINED, (3, 2, 1)),
        (("NIR", "Red", "Green"), (), (0, 1, 2)),
        (PLAIN, (), ()),
        (PLAIN[:3], TRAINED, ()),  # of four bands at training, which three are these?
        (("Red", "Green", "Blue", "Band_4"), TRAINED, ()),  # another order than at training
    ],
)
def test_names_are_looked_up(
    names: tuple[str, ...], known: tuple[str, ...], places: tuple[int, ...]
) -> None:
    bands = BandNames(WANTED, known)
    if places:
        assert bands.look_up(names, "m", "r.tif") == places
        return
    with pytest.raises(ModelError, match=r"takes the bands NIR, Red, Green, but 'r\.tif' has"):
        bands.look_up(names, "m", "r.tif")


@pytest.mark.parametrize(
    ("bands", "positions"), [(list(WANTED), (3, 2, 1)), (["2", 0], (2, 0)), ([2, 0], (2, 0))]
)
def test_a_definition_names_or_counts(bands: list[Any], positions: tuple[int, ...]) -> None:
    values = {"ExtractBands": bands, "InputRastersProps": {"bandnames": list(TRAINED)}}
    definition = ModelDefinition(values)
    assert definition.extract_bands == positions
    assert (definition.band_names is None) == (bands == [2, 0])
    assert definition.band_count == len(bands)
