"""Training from a folder to a package, with tiny networks."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from osgeo import gdal
from safetensors.torch import load_file

from geodl_plugin.core.errors import CancelledError, GeoDLError
from geodl_plugin.core.geo.crs import spatial_reference
from geodl_plugin.core.inference.loading import load_network
from geodl_plugin.core.inference.model import read_model
from geodl_plugin.core.learning.options import TrainingOptions
from geodl_plugin.core.learning.train import train
from geodl_plugin.core.models.registry import Task
from geodl_plugin.core.packages.archive import open_package
from geodl_plugin.core.progress import Progress

FEET = spatial_reference("EPSG:2263").ExportToWkt()
FORMATS = {
    "SSD": ("PASCAL_VOC_rectangles", Task.DETECTION),
    "UNET": ("Classified_Tiles", Task.PIXELS),
    "FEATURE_CLASSIFIER": ("Labeled_Tiles", Task.OBJECTS),
}


class Recorder(Progress):
    """Keeps what it is told; cancels at the start of an epoch if told so."""

    def __init__(self, cancel_after: int | None = None) -> None:
        self.records: list[dict] = []
        self.notes: list[str] = []
        self.warned: list[str] = []
        self.fractions: list[float] = []
        self.cancel_after = cancel_after

    def update(self, fraction: float, message: str = "") -> None:
        self.fractions.append(fraction)

    def epoch(self, record: dict) -> None:
        self.records.append(record)

    def info(self, message: str) -> None:
        self.notes.append(message)

    def warn(self, message: str) -> None:
        self.warned.append(message)

    def cancelled(self) -> bool:
        return self.cancel_after is not None and len(self.records) >= self.cancel_after


def options(folder: Path, output: Path, **more: object) -> TrainingOptions:
    values: dict = {
        "backbone": "timm:test_resnet",
        "weights": "none",
        "max_epochs": 2,
        "batch_size": 4,
        "learning_rate": "1e-3",
        "device": "cpu",
        "precision": "float32",
    }
    values.update(more)
    return TrainingOptions(input=str(folder), output=str(output), **values)


@pytest.mark.parametrize(
    ("name", "bands", "dtype", "invalid"),
    [
        ("SSD", 3, "uint8", False),
        ("UNET", 8, "uint16", False),
        ("FEATURE_CLASSIFIER", 1, "float32", True),
    ],
)
def test_package_and_report_of_each_task(make_folder, tmp_path, name, bands, dtype, invalid):
    folder = make_folder(
        FORMATS[name][0], bands=bands, dtype=dtype, values=(7, 42), invalid=invalid
    )
    progress = Recorder()
    result = train(options(folder, tmp_path / "models" / "tiny"), progress)
    output = tmp_path / "models" / "tiny"
    assert sorted(each.name for each in output.iterdir()) == ["model_metrics.html", "tiny.dlpk"]
    assert result["epochs"] == 2 and 0 <= result["best_score"] <= 1
    assert [record["epoch"] for record in progress.records] == [1, 2]
    assert all(np.isfinite(record["train_loss"]) for record in progress.records)
    assert all(np.isfinite(record["valid_loss"]) for record in progress.records)
    assert progress.fractions == sorted(progress.fractions) and progress.fractions[-1] == 1
    report = Path(result["report"]).read_text(encoding="utf-8")
    assert "data:image/png;base64," in report and "http" not in report.split("</head>")[1]
    for part in ("Best validation chips", "Calibration", "by epoch"):
        assert f"<h2>{part}" in report or f"{part}</h2>" in report
    with zipfile.ZipFile(result["model"]) as archive:
        pictures = {each for each in archive.namelist() if each.startswith("ModelChar")}
    wanted = {"loss_graph.png", "show_results.png"}
    if name != "SSD":
        wanted.add("confusion_matrix.png")
    assert pictures == {f"ModelCharacteristics/{each}" for each in wanted}
    with open_package(result["model"]) as package:
        model = read_model(package.definition, FORMATS[name][1])
        assert model.schema.values == (7, 42)
        network = load_network(model, package).eval()
        images = torch.zeros(2, bands, 64, 64)
        with torch.no_grad():
            answer = network(images)
    outputs = {"SSD": 3, "UNET": 3, "FEATURE_CLASSIFIER": 2}[name]
    scores = answer["scores"] if name == "SSD" else answer
    assert scores.shape[-1 if name != "UNET" else 1] == outputs


def weights_of(package: str, folder: Path) -> dict[str, torch.Tensor]:
    with zipfile.ZipFile(package) as archive:
        name = next(each for each in archive.namelist() if each.endswith(".safetensors"))
        return load_file(archive.extract(name, folder))


def test_same_seed_gives_the_same_weights(make_folder, tmp_path):
    folder = make_folder("PASCAL_VOC_rectangles", side=96)
    results = [
        train(options(folder, tmp_path / name, seed=seed, max_epochs=1, chip_size=64), Progress())
        for name, seed in (("one", 3), ("two", 3), ("three", 4))
    ]
    one, two, three = (
        weights_of(result["model"], tmp_path / f"w{index}") for index, result in enumerate(results)
    )
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], three[name]) for name in one)


def test_cancel_in_the_first_epoch_leaves_nothing(make_folder, tmp_path):
    folder = make_folder("PASCAL_VOC_rectangles")
    with pytest.raises(CancelledError):
        train(options(folder, tmp_path / "cancelled", max_epochs=5), Recorder(cancel_after=0))
    assert not (tmp_path / "cancelled").exists()


def test_rate_is_found_when_none_is_given(make_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("geodl_plugin.core.learning.fitting.BATCHES", 40)
    folder = make_folder("Labeled_Tiles", values=(1, 2), count=8, side=32)
    progress = Recorder()
    result = train(options(folder, tmp_path / "found", learning_rate=""), progress)
    assert any("Learning rate found" in note for note in progress.notes)
    with open_package(result["model"]) as package:
        rate = package.definition.values["LearningRate"]
    assert 1e-7 < rate < 10
    assert "Finding the learning rate" in Path(result["report"]).read_text(encoding="utf-8")


def test_definition_speaks_to_arcgis_and_to_us(make_folder, tmp_path):
    folder = make_folder("PASCAL_VOC_rectangles")
    for chip in (folder / "images").glob("*.tif"):
        gdal.Open(str(chip), gdal.GA_Update).SetProjection(FEET)
    result = train(
        options(folder, tmp_path / "trees", model_arguments="grids=[4];zooms=[1.0,1.5]"), Progress()
    )
    with open_package(result["model"]) as package:
        values = json.loads(package.definition.to_json())
    assert values["Framework"] == "PyTorch" and values["ModelType"] == "ObjectDetection"
    assert values["Grids"] == [4] and values["Zooms"] == [1.0, 1.5]
    assert values["ImageHeight"] == values["ImageWidth"] == 64
    assert values["ExtractBands"] == [0, 1, 2]
    own = values["GeoDL"]
    assert own["cell_size"] == [0.5, 0.5] and own["dtype"] == "uint8" and own["seed"] == 42
    assert own["cell_size_metres"] == pytest.approx(0.5 * 1200 / 3937)
    assert own["training"]["epochs"] == 2 and len(own["training"]["records"]) == 2


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"model_type": "UNETT"}, "There is no model type 'UNETT'. Choose one of: "),
        ({"model_type": "UNET"}, "UNET learns from Classified_Tiles or"),
        ({"backbone": "resnet7"}, "There is no backbone 'resnet7'"),
        ({"learning_rate": "fast"}, "'fast' is no learning rate"),
        ({"learning_rate": "1e-3,1,2"}, "no learning rate"),
        ({"max_epochs": 0}, "MAX_EPOCHS=0"),
        ({"chip_size": 16}, "CHIP_SIZE=16"),
        ({"monitor": "MIOU"}, "MONITOR=MIOU says nothing about this model type"),
        ({"device": "cuda:99"}, "device"),
        ({"precision": "half"}, "There is no PRECISION 'half'"),
        ({"freeze": "maybe"}, "FREEZE=maybe"),
        ({"freeze": "²"}, "FREEZE=² must be true, false, or"),
        ({"extract_bands": "²"}, "EXTRACT_BANDS names '²'"),
        ({"weights": "/nowhere/weights.pth"}, "There is no file '/nowhere/weights.pth'"),
        ({"model_arguments": "grid=[4]"}, "There is no argument 'grid'"),
        ({"model_arguments": "grids=[400]"}, "A grid of 400 cells is too fine"),
        ({"model_arguments": "grids=[Infinity]"}, "grids=[inf] must be a list of positive"),
        ({"model_arguments": "ratios=[1,2]"}, "ratios=[1, 2] must be pairs"),
        ({"augmentation": "WILD"}, "There is no AUGMENTATION 'WILD'"),
        ({"validation_percentage": 100.0}, "VALIDATION_PERCENTAGE=100"),
    ],
)
def test_wrong_input_is_one_sentence(make_folder, tmp_path, more, sentence):
    folder = make_folder("PASCAL_VOC_rectangles", count=4)
    with pytest.raises(GeoDLError) as caught:
        train(options(folder, tmp_path / "never", **more), Progress())
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize("known", ["trees/trees.dlpk", "trees/../trees/trees.dlpk", "link.dlpk"])
def test_the_model_to_go_on_from_is_not_replaced(make_folder, tmp_path, known):
    (tmp_path / "trees").mkdir()
    (tmp_path / "trees" / "trees.dlpk").write_bytes(b"a model")
    (tmp_path / "link.dlpk").symlink_to(tmp_path / "trees" / "trees.dlpk")
    folder = make_folder("PASCAL_VOC_rectangles", count=4)
    chosen = options(folder, tmp_path / "trees", pretrained_model=str(tmp_path / known))
    with pytest.raises(GeoDLError, match=r"'trees\.dlpk' would be replaced .* another OUTPUT"):
        train(chosen, Progress())
    assert (tmp_path / "trees" / "trees.dlpk").read_bytes() == b"a model"


def test_wrong_folders_are_one_sentence(make_folder, tmp_path):
    (tmp_path / "empty").mkdir()
    cases = {
        tmp_path / "empty": "holds no training data",
        tmp_path / "absent": "There is no folder",
        make_folder("Labeled_Tiles", side=24, values=(1, 2)): "Networks need 32 at least",
        make_folder("Labeled_Tiles", name="single", values=(1,)): "needs two at least",
    }
    for folder, sentence in cases.items():
        with pytest.raises(GeoDLError, match=sentence):
            train(options(folder, tmp_path / "never"), Progress())


def test_batches_of_one_chip_work_or_are_one_sentence(make_folder, tmp_path):
    one = make_folder("Classified_Tiles", count=1, name="one")
    train(options(one, tmp_path / "single", max_epochs=1), Progress())
    folder = make_folder("Labeled_Tiles", values=(1, 2), side=32)
    with pytest.raises(GeoDLError, match="Set BATCH_SIZE to 2 or more"):
        train(options(folder, tmp_path / "never", batch_size=1), Progress())


@pytest.mark.parametrize(
    ("training", "sentence"),
    [
        (True, "The loss is no number any more in epoch 1"),
        (False, "The validation loss was no number in any epoch"),
    ],
)
def test_a_loss_that_explodes_is_one_sentence(
    make_folder, tmp_path, monkeypatch, training, sentence
):
    def explode(self, answer, targets):
        return answer.sum() * (float("nan") if self.training == training else 1.0)

    monkeypatch.setattr("geodl_plugin.core.learning.module.ObjectModule.loss", explode)
    folder = make_folder("Labeled_Tiles", values=(1, 2), side=32)
    with pytest.raises(GeoDLError, match=sentence):
        train(options(folder, tmp_path / "never"), Progress())
    assert not (tmp_path / "never").exists()


def test_four_overlapping_chips_train_and_say_so(make_folder, tmp_path):
    folder = make_folder("Classified_Tiles", count=4, stride=8)
    progress = Recorder()
    train(options(folder, tmp_path / "small", max_epochs=1), progress)
    assert any("network has seen" in note for note in progress.notes)
