"""Arguments as text, and what the form in a dialog knows of them."""

from __future__ import annotations

import pytest

from geodl_plugin.core.arguments import arguments_of, compose, entries, names_in, parse
from geodl_plugin.core.errors import InputError
from geodl_plugin.core.inference.options import (
    DETECTION_ARGUMENTS,
    OBJECT_ARGUMENTS,
    PIXEL_ARGUMENTS,
    DetectionOptions,
    ObjectOptions,
    PixelOptions,
    argument_defaults,
)

TOOLS = [
    (DetectionOptions, DETECTION_ARGUMENTS),
    (PixelOptions, PIXEL_ARGUMENTS),
    (ObjectOptions, OBJECT_ARGUMENTS),
]


@pytest.mark.parametrize(("options", "names"), TOOLS)
def test_the_form_knows_what_the_tool_knows(options: type, names: tuple[str, ...]) -> None:
    """Names, order and defaults are those by which the tool reads the text."""
    arguments = arguments_of(options, names)
    assert {each.name: each.default for each in arguments} == argument_defaults(options, names)
    assert [each.name for each in arguments] == list(names)


@pytest.mark.parametrize(("options", "names"), TOOLS)
def test_every_argument_is_explained(options: type, names: tuple[str, ...]) -> None:
    """The options' documentation has a sentence for each, inherited ones too."""
    for each in arguments_of(options, names):
        assert each.help[0].isupper(), each.name
        assert each.help.endswith("."), each.name
        assert each.kind in {"int", "float", "bool", "str"}, each.name


def test_numbers_left_to_the_tool_are_told_apart() -> None:
    """``None`` and 0 leave a number to the tool; a threshold is a share."""
    found = {each.name: each for each in arguments_of(DetectionOptions, DETECTION_ARGUMENTS)}
    automatic = {name for name, each in found.items() if each.is_automatic}
    assert automatic >= {"padding", "batch_size", "tile_size"}
    assert not automatic & {"threshold", "nms_overlap", "exclude_pad_detections"}
    assert found["threshold"].is_share
    assert not found["batch_size"].is_share


def test_what_is_composed_is_read_again() -> None:
    """Numbers, booleans, words and lists survive."""
    defaults = {"a": 1, "b": 0.5, "c": True, "d": "crop", "e": [1.0], "f": None}
    values = {"a": 3, "b": 0.25, "c": False, "d": "gaussian", "e": [1.0, 0.8], "f": 64}
    text = compose(values)
    assert text == "a=3;b=0.25;c=false;d=gaussian;e=[1.0, 0.8];f=64"
    assert parse(text, defaults) == values
    assert entries(" a=3; ;b=0.25;") == ["a=3", "b=0.25"]


@pytest.mark.parametrize(
    ("default", "text", "way_out"),
    [
        (None, "16,8", "Write a number, or a list in brackets like [16,8]."),
        ([1.0], "1,2", "Write it like [1.0]."),
        (0.5, "half", "Write it like 0.5."),
        (True, "maybe", "Write it like true."),
    ],
)
def test_a_wrong_value_is_told_with_the_form_of_a_right_one(
    default: object, text: str, way_out: str
) -> None:
    with pytest.raises(InputError) as caught:
        parse(f"a={text}", {"a": default})
    assert str(caught.value) == f"'{text}' is no value for 'a'. {way_out}"


def test_names_may_have_commas_in_them() -> None:
    known = {"Road", "Road, paved"}
    assert names_in("Road, paved; 3,Tree ;", known.__contains__) == ["Road, paved", "3", "Tree"]
    assert names_in(" ; ,", known.__contains__) == []
