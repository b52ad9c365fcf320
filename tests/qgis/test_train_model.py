"""The tool 'Train model' in QGIS, through the real worker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsProcessingException, QgsProcessingFeedback

from geodl_plugin.core.learning.options import TrainingOptions


@pytest.fixture
def chips(tmp_path: Path) -> Path:
    """A folder of eight labelled chips of 32 × 32 pixels, dark and bright."""
    folder = tmp_path / "chips"
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    random = np.random.default_rng(1)
    for number in range(8):
        value = 1 + number % 2
        name = f"{number:09d}"
        path = str(folder / "images" / f"{name}.tif")
        dataset = gdal.GetDriverByName("GTiff").Create(path, 32, 32, 3)
        dataset.SetGeoTransform((528000 + 32 * number, 1, 0, 4978000, 0, -1))
        dataset.WriteArray(random.integers(0, 60, (3, 32, 32), np.uint8) + np.uint8(90 * value))
        dataset = None
        label = f"<annotation><object><name>{value}</name></object></annotation>"
        (folder / "labels" / f"{name}.xml").write_text(label)
    definition = {
        "MetaDataMode": "Labeled_Tiles",
        "Classes": [{"Value": 1, "Name": "Dark"}, {"Value": 2, "Name": "Bright"}],
    }
    (folder / "esri_model_definition.emd").write_text(json.dumps(definition))
    return folder


class Feedback(QgsProcessingFeedback):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def pushInfo(self, info: str) -> None:
        self.lines.append(info)


def test_the_dialog_offers_what_works_with_the_defaults_of_the_core(provider: Any) -> None:
    tool = provider.algorithm("trainmodel")
    names = [each.name() for each in tool.parameterDefinitions()]
    assert names[:3] == ["INPUT", "MODEL_TYPE", "BACKBONE"] and names[-1] == "OUTPUT"
    fields = TrainingOptions.__dataclass_fields__
    assert {name.lower() for name in names} == set(fields)
    for each in tool.parameterDefinitions():
        assert each.help()
        if each.name() not in ("INPUT", "OUTPUT"):
            assert (each.defaultValue() or "") == (fields[each.name().lower()].default or "")
    outputs = {each.name() for each in tool.outputDefinitions()}
    assert outputs >= {"OUTPUT_MODEL", "OUTPUT_REPORT", "EPOCHS", "BEST_SCORE"}


def test_a_model_is_trained(run: Any, chips: Path, tmp_path: Path) -> None:
    feedback = Feedback()
    result = run(
        "trainmodel",
        feedback,
        INPUT=str(chips),
        BACKBONE="timm:test_resnet",
        WEIGHTS="none",
        MAX_EPOCHS=2,
        LEARNING_RATE="1e-3",
        DEVICE="cpu",
        OUTPUT=str(tmp_path / "models" / "light"),
    )
    assert Path(result["OUTPUT_MODEL"]).name == "light.dlpk"
    assert Path(result["OUTPUT_REPORT"]).is_file()
    assert result["EPOCHS"] == 2 and 0 <= result["BEST_SCORE"] <= 1
    assert any("chips train and" in line for line in feedback.lines)
    assert any(line.startswith("Epoch 2 of 2") for line in feedback.lines)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"LEARNING_RATE": "fast"}, "'fast' is no learning rate"),
        ({"MODEL_TYPE": "UNET"}, "UNET learns from Classified_Tiles"),
        ({"BACKBONE": "resnot"}, "There is no backbone 'resnot'"),
    ],
)
def test_wrong_input_is_one_sentence(
    run: Any, chips: Path, tmp_path: Path, more: dict[str, Any], sentence: str
) -> None:
    output = tmp_path / "never"
    with pytest.raises(QgsProcessingException, match=sentence):
        run("trainmodel", INPUT=str(chips), WEIGHTS="none", OUTPUT=str(output), **more)
    assert not list(output.glob("*"))


def test_a_learning_rate_is_found(run: Any, provider: Any, chips: Path, tmp_path: Path) -> None:
    result = run(
        "findlearningrate",
        INPUT=str(chips),
        BACKBONE="timm:test_resnet",
        WEIGHTS="none",
        DEVICE="cpu",
        OUTPUT=str(tmp_path / "rate.html"),
    )
    assert 1e-7 < result["LEARNING_RATE"] < 10
    assert "data:image/png" in Path(result["OUTPUT"]).read_text(encoding="utf-8")
    tool = provider.algorithm("findlearningrate")
    assert all(each.help() for each in tool.parameterDefinitions())
    with pytest.raises(QgsProcessingException, match="There is no backbone 'resnot'"):
        run(
            "findlearningrate",
            INPUT=str(chips),
            BACKBONE="resnot",
            WEIGHTS="none",
            DEVICE="cpu",
            OUTPUT=str(tmp_path / "never.html"),
        )
