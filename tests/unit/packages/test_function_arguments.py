"""What a function's author says of its parameters becomes arguments, whatever it is."""

from __future__ import annotations

from typing import Any

import pytest

from geodl_plugin.core.arguments import Argument, arguments_of
from geodl_plugin.core.inference.options import DETECTION_ARGUMENTS, DetectionOptions
from geodl_plugin.core.packages.function_arguments import (
    LONGEST_HELP,
    MOST_ARGUMENTS,
    MOST_CHOICES,
    arguments_of_function,
    shared_arguments,
)


def one(**parameter: Any) -> Argument:
    """Return the argument of a parameter."""
    (found,) = arguments_of_function([{"name": "x", **parameter}])
    return found


@pytest.mark.parametrize(
    ("kind", "value", "wanted"),
    [
        ("numeric", 50, ("number", 50.0)),
        ("Numeric", "0.25", ("number", 0.25)),
        ("double", None, ("number", None)),
        ("numeric", float("nan"), ("number", None)),
        ("numeric", "much", ("number", None)),
        ("numeric", 10**400, ("number", None)),
        ("boolean", True, ("bool", True)),
        ("boolean", "False", ("bool", False)),
        ("boolean", None, ("bool", False)),
        ("string", "box ", ("str", "box")),
        ("string", None, ("str", "")),
        ("string", {"a": 1}, ("str", "{'a': 1}")),
        (None, 5, ("str", "5")),
        ("table", [1], ("str", "[1]")),
    ],
)
def test_kinds(kind: Any, value: Any, wanted: tuple[str, Any]) -> None:
    found = one(dataType=kind, value=value)
    assert (found.kind, found.default) == wanted


def test_names_and_descriptions_are_the_help() -> None:
    assert one(displayName="Least size", description="In pixels.").help == "Least size. In pixels"
    assert one(displayName="x", description=None).help == ""
    assert len(one(description="long " * 1000).help) == LONGEST_HELP


def test_what_no_text_of_arguments_can_hold_is_left_out() -> None:
    names = ["a;b", "x=y", "", None, " z", "a\nb", "größe", 5, "mode", "MODE"]
    found = arguments_of_function([{"name": name} for name in names] + ["no parameter", None])
    assert [each.name for each in found] == ["größe", "5", "mode"]
    many = arguments_of_function({"name": f"p{index}"} for index in range(1000))
    assert len(many) == MOST_ARGUMENTS


def test_a_domain_is_a_list_of_choices() -> None:
    domain = ("box", "turned", "a;b", "box", "")
    found = one(dataType="string", value="BOX", domain=domain)
    assert (found.choices, found.default) == (("box", "turned"), "box")
    for told in (None, [], "abc", 5, {"a": 1}, [str(n) for n in range(MOST_CHOICES + 1)]):
        assert one(dataType="string", domain=told).choices == ()
    assert one(dataType="numeric", value=1, domain=(1, 2)).choices == ()


def test_only_without_a_default_is_it_required() -> None:
    assert one(dataType="numeric", required=True).required
    assert not one(dataType="numeric", required=True, value=0).required


def test_shared_arguments_start_from_the_function() -> None:
    own = arguments_of(DetectionOptions, DETECTION_ARGUMENTS)
    told = arguments_of_function(
        [
            {"name": "Padding", "dataType": "numeric", "value": 64},
            {"name": "threshold", "dataType": "numeric", "value": 0.35, "description": "Least."},
            {"name": "nms_overlap", "dataType": "numeric", "value": 20},
            {"name": "batch_size", "dataType": "string", "value": "4"},
            {"name": "tile_size", "dataType": "numeric", "value": 0.5},
            {"name": "exclude_pad_detections", "value": "False", "domain": ("True", "False")},
            {"name": "skip_unreadable", "value": "perhaps"},
            {"name": "mode", "value": "box"},
        ]
    )
    shared = shared_arguments(own, told)
    assert {name: each.default for name, each in shared.items()} == {
        "padding": 64,
        "threshold": 0.35,
        "nms_overlap": 0.1,  # 20 is no share
        "batch_size": 4,
        "tile_size": 0,
        "exclude_pad_detections": False,
        "skip_unreadable": False,
    }
    assert all(shared[each.name].kind == each.kind for each in own if each.name in shared)
    assert isinstance(shared["padding"].default, int)
    assert not shared["padding"].is_automatic
    assert shared["threshold"].help.endswith("0 to 1. Least")
