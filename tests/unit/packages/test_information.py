"""What is told of a model: our own, others', and what is none."""

from __future__ import annotations

import json

import pytest

from geodl_plugin.core.errors import ModelError
from geodl_plugin.core.inference.options import TASK_ARGUMENTS
from geodl_plugin.core.models.registry import Task
from geodl_plugin.core.packages.information import information, page
from tests.unit.inference.support import write_model


def test_our_own_model_tells_everything(tmp_path):
    training = {"date": "2026-05-01T10:00:00", "epochs": 9, "records": [1], "loss": "dice"}
    metrics = {"miou": 0.75, "classes": [{"class": "Tree", "iou": 0.7}]}
    path = write_model(
        tmp_path / "canopy.dlpk", "TEST_PIXELS", training=training, metrics=metrics,
        cell_size=[0.5, 0.5], dtype="uint16",
    )  # fmt: skip
    found = information(path)
    assert found["usable"] is True and "problem" not in found
    assert found["classes"][0] == {"value": 3, "name": "Tree", "color": [34, 170, 68]}
    assert found["input"]["bands"] == 1 and found["input"]["width"] == 64
    assert found["input"]["cell_size"] == [0.5, 0.5] and found["input"]["data_type"] == "uint16"
    assert found["arguments"]["predict_background"] is True
    assert found["training"] == {"date": "2026-05-01T10:00:00", "epochs": 9, "loss": "dice"}
    assert found["metrics"]["miou"] == 0.75
    assert set(found["files"]) == {"canopy.emd", "weights.safetensors"}
    json.dumps(found, allow_nan=False)
    text = page(found)
    for words in ("Classifies pixels: Tree, Car", "uint16", "0.75", "dice", "weights.safetensors"):
        assert words in text
    assert "records" not in text and "http" not in text


@pytest.mark.parametrize("task", list(Task))
def test_the_arguments_of_every_kind_of_model_are_told(tmp_path, task):
    emd = tmp_path / "model.emd"
    values = {"ModelType": task.value, "ModelFile": "m.onnx", "ImageWidth": 64, "Classes": []}
    emd.write_text(json.dumps(values))
    assert set(information(str(emd))["arguments"]) == set(TASK_ARGUMENTS[task])


def test_a_foreign_definition_tells_what_it_says(tmp_path):
    emd = tmp_path / "theirs.emd"
    values = {
        "Framework": "arcgis.learn.models._inferencing",
        "ModelConfiguration": "_MaskRCNN",
        "ModelFile": "theirs.pth",
        "ModelType": "InstanceDetection",
        "InferenceFunction": "ArcGISInstanceDetector.py",
        "ImageWidth": 400,
        "ExtractBands": [0, 1, 2],
        "MinCellSize": {"x": 0.1, "y": 0.1},
        "MaxCellSize": {"x": 0.3, "y": 0.3},
        "average_precision_score": {"House<b>": 0.81},
        "Classes": [{"Value": 1, "Name": "House<b>", "Color": [1, 2, 3]}],
    }
    emd.write_text(json.dumps(values))
    found = information(str(emd))
    assert found["usable"] is False and found["problem"]
    assert found["runs_code"] is True
    assert found["input"]["cell_size"] == [0.1, 0.3]
    assert found["metrics"] == {"average_precision_score": {"House<b>": 0.81}}
    assert found["definition"]["ModelConfiguration"] == "_MaskRCNN"
    text = page(found)
    assert "House&lt;b&gt;" in text and "House<b>" not in text
    assert "runs only with your consent" in text


def test_what_is_no_number_is_left_out():
    """Training writes NaN where nothing was found, which is no JSON."""
    values = {"ModelType": "ObjectDetection", "average_precision_score": {"Tree": float("nan")}}
    found = information(json.dumps({**values, "GeoDL": {"arguments": 5, "training": [1]}}))
    assert found["metrics"] == {"average_precision_score": {"Tree": None}}
    json.dumps(found, allow_nan=False)
    assert "Tree" in page(found)


@pytest.mark.parametrize("kind", ["CycleGAN", "Poem", ""])
def test_a_model_that_no_tool_applies_still_tells_the_rest(kind):
    found = information(json.dumps({"ModelType": kind, "ImageWidth": 256, "Framework": "Keras"}))
    assert found["usable"] is False
    assert found["input"]["width"] == 256
    assert "Keras" in page(found)


@pytest.mark.parametrize(
    "values",
    [{"Classes": 7}, {"Classes": [{"Value": float("inf")}]}, {"GeoDL": {"band_count": "x"}}],
)
def test_a_definition_of_strange_values_is_a_sentence(values):
    with pytest.raises(ModelError):
        information(json.dumps({"ModelType": "ObjectDetection", **values}))


def test_weights_alone_are_a_sentence(tmp_path):
    path = tmp_path / "weights.pt"
    path.write_bytes(b"x")
    with pytest.raises(ModelError, match="holds weights alone"):
        information(str(path))
