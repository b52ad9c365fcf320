"""What a model is, at a glance."""

from __future__ import annotations

from typing import Any

import pytest

from geodl_plugin.core.errors import ModelError
from geodl_plugin.core.packages.definition import ModelDefinition
from geodl_plugin.core.packages.summary import (
    facts,
    fixed_arguments,
    suggested_arguments,
    summary,
)


def define(**values: Any) -> ModelDefinition:
    """Return a detector's definition with other values."""
    usual = {
        "ModelType": "ObjectDetection",
        "ImageWidth": 400,
        "ImageHeight": 400,
        "ExtractBands": [0, 1, 2],
        "Classes": [{"Value": 1, "Name": "Tree"}],
        "GeoDL": {"architecture": "SSD", "backbone": "resnet34", "cell_size": [0.1, 0.1]},
    }
    return ModelDefinition({**usual, **values}, "trees.dlpk")


def test_the_line_says_task_classes_network_and_bands() -> None:
    assert summary(define()) == "Detects objects: Tree · SSD, resnet34 · 3 bands"


def test_many_classes_are_cut_short() -> None:
    classes = [{"Value": value, "Name": f"c{value}"} for value in range(1, 8)]
    assert "c1, c2, c3, c4 and 3 more" in summary(define(Classes=classes))
    assert "c7" in facts(define(Classes=classes))["Classes"]


def test_what_is_not_known_is_left_out() -> None:
    """The models of others have no object of ours, and a configuration of their own kind."""
    others = define(GeoDL=None, ModelConfiguration={"Architecture": "x"}, ExtractBands=[0])
    assert summary(others) == "Detects objects: Tree · 1 band"
    found = facts(others)
    assert found["Chips"] == "400 × 400 pixels"
    assert not {"Network", "Trained", "Cell size"} & set(found)


def test_the_bands_are_those_that_the_network_takes() -> None:
    """The images of the training may have had more, in another order."""
    own = {"band_names": ["blue", "green", "red", "nir"]}
    assert facts(define(GeoDL=own, ExtractBands=[3, 2]))["Bands"] == "nir, red"
    assert facts(define(GeoDL=own, ExtractBands=None))["Bands"] == "blue, green, red, nir"
    assert facts(define(GeoDL=own, ExtractBands=[4]))["Bands"] == "1 band"


def test_a_network_of_one_size_decides_the_tile() -> None:
    assert fixed_arguments(define(SupportsVariableTileSize=False)) == {"tile_size": 400}
    assert fixed_arguments(define(SupportsVariableTileSize=True)) == {}
    assert fixed_arguments(define()) == {}


def test_what_a_definition_fixes_is_not_suggested_otherwise() -> None:
    """A network for Deepness tells an overlap, from which a padding follows."""
    network = {"overlap": 10, "threshold": 0.3}
    assert suggested_arguments(define(Network=network)) == {"threshold": 0.3, "padding": 20}
    told = define(Network=network, ModelPadding=32, BatchSize=4)
    assert suggested_arguments(told) == {"threshold": 0.3}
    assert fixed_arguments(told) == {"padding": 32, "batch_size": 4}
    function = define(ModelPadding=32, BatchSize="e.g. 4", InferenceFunction="Finder.py")
    assert fixed_arguments(function) == {}


def test_a_definition_without_a_task_is_refused() -> None:
    with pytest.raises(ModelError, match="has the model type ''"):
        summary(define(ModelType=""))
