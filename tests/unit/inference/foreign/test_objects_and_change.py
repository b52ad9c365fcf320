"""Networks of other makers classify objects and tell change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from osgeo import gdal

from geodl_plugin.core.inference.change import run as detect_change
from geodl_plugin.core.inference.objects import run as classify_objects
from geodl_plugin.core.inference.options import ChangeOptions, ObjectOptions
from geodl_plugin.core.progress import Progress

from ..support import read_features, write_polygons, write_raster
from .graphs import level_weights, save_onnx


def write_scene(folder: Path) -> tuple[str, str]:
    """Write an image whose right half is brighter, and a point on each half; return their paths."""
    pixels = np.full((1, 40, 80), 10, np.uint8)
    pixels[:, :, 40:] = 20
    source = write_raster(folder / "image.tif", pixels)
    points = ["POINT(500005 4099990)", "POINT(500035 4099990)"]
    return source, write_polygons(folder / "in.gpkg", points, 32616, Name=["a", "b"])


@pytest.mark.parametrize("softmax", [True, False])
def test_objects(softmax: bool, tmp_path: Path) -> None:
    """The mean of the first band tells the class."""
    weights, bias = level_weights(1, 255.0, (10.0, 20.0))
    nodes = [
        helper.make_node("Conv", ["images", "weights", "bias"], ["all"]),
        helper.make_node("GlobalAveragePool", ["all"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Softmax" if softmax else "Identity", ["flat"], ["out"]),
    ]
    values = {"weights": weights, "bias": bias}
    names = {"class_names": ["Tree", "Car"], "model_type": "Classifier", "tiles_size": 16}
    shape: list[Any] = ["b", 1, "h", "w"]
    model = save_onnx(tmp_path / "net.onnx", nodes, values, shape, {"out": ["b", 2]}, **names)
    source, features = write_scene(tmp_path)
    output = str(tmp_path / "out.gpkg")
    options = ObjectOptions([source], model, output, device="cpu", features=[features, "in"])
    classify_objects(options, Progress())
    assert [each["ClassLabel"] for each in read_features(output)] == ["Tree", "Car"]


@pytest.mark.parametrize("answer", ["Sigmoid", "Identity", "Softmax", "two"])
def test_the_only_class_may_not_be_there(answer: str, tmp_path: Path) -> None:
    """The brighter the object, the surer is its class; with two answers the other one is not it."""
    weights, bias = np.array([[[[0.0]]], [[[255 / 5]]]], np.float32), np.array([0, -3], np.float32)
    first = 0 if answer in ("Softmax", "two") else 1
    nodes = [
        helper.make_node("Conv", ["images", "weights", "bias"], ["all"]),
        helper.make_node("GlobalAveragePool", ["all"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Identity" if answer == "two" else answer, ["flat"], ["out"]),
    ]
    values = {"weights": weights[first:], "bias": bias[first:]}
    shape: list[Any] = ["b", 1, "h", "w"]
    outputs = {"out": ["b", 2 - first]}
    names = {"class_names": ["Tree"], "model_type": "Classifier", "tiles_size": 16}
    model = save_onnx(tmp_path / "net.onnx", nodes, values, shape, outputs, **names)
    source, features = write_scene(tmp_path)
    output = str(tmp_path / "out.gpkg")
    told = {"features": [features, "in"], "arguments": {"answer": "logits"}}
    told = told if answer in ("Identity", "two") else {**told, "arguments": {}}
    chances = [100 / (1 + np.exp(-logit)) for logit in (-1, 1)]
    for threshold, labels in ((0.5, ["", "Tree"]), (0.2, ["Tree", "Tree"])):
        options = ObjectOptions(
            [source], model, output, device="cpu", score_threshold=threshold, **told
        )
        classify_objects(options, Progress())
        found = read_features(output)
        assert [each["ClassLabel"] for each in found] == labels
        assert np.allclose([each["Confidence"] for each in found], chances, atol=0.01)


def test_change(tmp_path: Path) -> None:
    """The second date's band less the first one's tells the class."""
    weights = np.zeros((2, 2, 1, 1), np.float32)
    weights[1, :, 0, 0] = (-100, 100)
    bias = np.array([0, -100 * 5 / 255], np.float32)
    node = helper.make_node("Conv", ["images", "weights", "bias"], ["out"])
    names = {"class_names": {0: "background", 1: "New"}}
    outputs = {"out": ["b", 2, "h", "w"]}
    values = {"weights": weights, "bias": bias}
    shape: list[Any] = ["b", 2, "h", "w"]
    model = save_onnx(tmp_path / "net.onnx", [node], values, shape, outputs, **names)
    before = np.full((1, 50, 60), 10, np.uint8)
    after = before.copy()
    after[:, 10:20, 30:45] = 30
    first = write_raster(tmp_path / "a.tif", before)
    second = write_raster(tmp_path / "b.tif", after)
    output = str(tmp_path / "change.tif")
    detect_change(ChangeOptions([first], model, output, device="cpu", second=[second]), Progress())
    assert (gdal.Open(output).ReadAsArray() == (after[0] == 30)).all()
