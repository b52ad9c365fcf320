"""The last look at the validation chips: judged right, and only a few are kept."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from geodl_plugin.core.chips.labels import BoxLabel, ClassLabel, MaskLabel
from geodl_plugin.core.learning.batches import make_datasets
from geodl_plugin.core.learning.examination import (
    KEPT,
    Calibration,
    _Answer,
    _Extremes,
    all_examples,
    examine,
)
from geodl_plugin.core.learning.hardware import Hardware
from geodl_plugin.core.learning.module import PixelModule
from geodl_plugin.core.learning.options import TrainingOptions
from geodl_plugin.core.learning.pictures import _results
from geodl_plugin.core.learning.preparation import Preparation, prepare
from geodl_plugin.core.learning.views import Looks
from geodl_plugin.core.progress import Phase, Progress
from geodl_plugin.core.samples.schema import Schema

CPU = Hardware(torch.device("cpu"), "float32")


def look(network: nn.Module, preparation: Preparation) -> Any:
    return examine(network, preparation, CPU, Phase(Progress(), "Examining", 1, "chips"))


def prepared(folder: Any, name: str, **more: Any) -> Preparation:
    options = TrainingOptions(
        str(folder), "out", model_type=name, backbone="timm:test_resnet", weights="none",
        validation_percentage=50.0, learning_rate="1e-3", **more,
    )  # fmt: skip
    return prepare(options, Phase(Progress(), "Reading", 1, "chips"))


class Background(nn.Module):
    """Sees background everywhere, and is sure of it."""

    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1))
        self.chances = torch.tensor([0.9] + [0.1 / (outputs - 1)] * (outputs - 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = self.chances.log().reshape(1, -1, 1, 1)
        return logits.expand(len(images), -1, *images.shape[-2:]) + self.shift


def test_a_background_that_is_not_learned_is_not_told(make_folder):
    """Labels are incomplete: to the scores, too, each pixel is of a class."""
    folder = make_folder("Classified_Tiles", count=16, side=32, values=(1, 2))
    preparation = prepared(folder, "UNET", ignore_classes="0")
    examined = look(Background(3), preparation)
    best = examined.best[0]
    assert set(np.unique(best.told.values)) == {1}
    share = (best.truth.values == 1).sum() / (best.truth.values > 0).sum()
    assert best.score == pytest.approx(share / 2) and share > 0
    assert examined.calibration.curve()[0].tolist() == pytest.approx([0.5])
    module = PixelModule(Background(3), ["a", "b"], (1e-3, 1e-3))
    module.background = False
    module.collector = module.make_collector()
    module.collect(
        torch.zeros(1, 3, 2, 2), Background(3)(torch.zeros(1, 3, 2, 2)), torch.ones(1, 2, 2)
    )
    assert module.collector.matrix.tolist() == [[0, 0, 0], [0, 4, 0], [0, 0, 0]]


def test_pixels_are_judged_by_the_classes_that_occur(make_folder):
    preparation = prepared(make_folder("Classified_Tiles", count=16, side=32), "UNET")
    found = look(Background(), preparation)
    _, validation = make_datasets(preparation)
    shares = sorted(float((mask == 0).float().mean()) for _, mask in validation)
    assert len(found.best) == len(found.worst) == KEPT
    # The background's IoU is its share, that of the class is 0.
    np.testing.assert_allclose([each.score for each in found.worst], np.array(shares[:KEPT]) / 2)
    np.testing.assert_allclose(
        [each.score for each in found.best], np.array(shares[::-1][:KEPT]) / 2
    )
    example = found.worst[0]
    assert isinstance(example.truth, MaskLabel) and example.truth.values.max() == 1
    assert example.told.values.max() == 0
    # The pixels are those of the file again.
    assert example.pixels.max() > 100 and abs(np.median(example.pixels) - 60) < 5
    sure, right = found.calibration.curve()
    assert sure.tolist() == pytest.approx([0.9])
    assert right.tolist() == pytest.approx([np.mean(shares)])
    assert found.calibration.error == pytest.approx(abs(0.9 - np.mean(shares)))


class LastClass(Background):
    """Sees the last of 300 classes everywhere."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        chances = torch.eye(301)[300].reshape(1, -1, 1, 1) + self.shift
        return chances.expand(len(images), 301, *images.shape[-2:])


def test_more_classes_than_a_byte_counts_are_shown(make_folder):
    preparation = prepared(make_folder("Classified_Tiles", count=4, side=32), "UNET")
    many = Schema.from_text(";".join(f"{value}:Class {value}" for value in range(1, 301)))
    found = look(LastClass(), dataclasses.replace(preparation, schema=many))
    assert np.unique(found.best[0].told.values).tolist() == [300]


class Remembers(nn.Module):
    """Finds what it was told for the first image, and what is not there in the others."""

    def __init__(self, truth: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.truth = truth
        self.shift = nn.Parameter(torch.zeros(1))
        self.seen = 0

    def forward(self, images: torch.Tensor) -> int:
        return len(images)

    def detect(self, answer: int, size: tuple[int, int], threshold: float) -> list[dict]:
        found = []
        for _ in range(answer):
            right = self.seen == 0
            boxes = self.truth["boxes"] if right else torch.tensor([[0.0, 0.0, 3.0, 3.0]])
            found.append(
                {
                    "boxes": boxes,
                    "scores": torch.full((len(boxes),), 0.85 if right else 0.65),
                    "labels": self.truth["labels"] if right else torch.zeros(1, dtype=torch.long),
                }
            )
            self.seen += 1
        return found


def test_detections_are_judged_and_drawn(make_folder):
    preparation = prepared(make_folder("PASCAL_VOC_rectangles", count=16), "SSD")
    _, validation = make_datasets(preparation)
    found = look(Remembers(validation[0][1]), preparation)
    assert [each.score for each in found.best] == [1.0, 0.0, 0.0]
    assert all(each.score == 0 for each in found.worst)
    assert not {each.name for each in found.best} & {each.name for each in found.worst}
    assert isinstance(found.best[0].told, BoxLabel)
    np.testing.assert_array_equal(found.best[0].told.boxes, found.best[0].truth.boxes)
    curve = found.curves["class 1"]
    assert curve.precision[0] == 1 and curve.recall[-1] == pytest.approx(1 / len(validation))
    sure, right = found.calibration.curve()
    assert sure.tolist() == pytest.approx([0.65, 0.85]) and right.tolist() == [0, 1]
    looks = Looks.at(preparation.folder, preparation.bands, all_examples(found))
    assert _results(preparation.schema, found, looks).startswith(b"\x89PNG")


class Bright(nn.Module):
    """Takes every chip for the second class with a probability of 0.6."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[0.4, 0.6]]).log().expand(len(images), 2) + self.shift


def test_objects_are_judged_by_the_probability_of_the_truth(make_folder):
    folder = make_folder("Labeled_Tiles", count=16, side=32, values=(7, 42))
    found = look(Bright(), prepared(folder, "FEATURE_CLASSIFIER"))
    assert {round(each.score, 3) for each in found.best} == {0.6}
    assert {round(each.score, 3) for each in found.worst} == {0.4}
    assert found.worst[0].told == ClassLabel((42,)) and found.worst[0].truth == ClassLabel((7,))


def test_few_chips_are_shown_once_each():
    extremes = _Extremes()
    for place, score in enumerate((0.5, 0.9)):
        extremes.add(place, _Answer(score, None))
    best, worst = extremes.chosen()
    assert [place for place, _ in best] == [1] and [place for place, _ in worst] == [0]
    extremes.add(2, _Answer(0.1, None))
    best, worst = extremes.chosen()
    assert [place for place, _ in best] == [1, 0] and [place for place, _ in worst] == [2]
    extremes.add(3, _Answer(0.2, None))
    best, worst = extremes.chosen()
    assert [place for place, _ in best] == [1, 0] and [place for place, _ in worst] == [2, 3]
    extremes = _Extremes()
    for place, score in enumerate((0.5, 0.9)):
        extremes.add(place, _Answer(score, None))
    for place in range(2, 100):
        extremes.add(place, _Answer(0.7, None, tie=float(place == 50)))
    best, worst = extremes.chosen()
    assert [place for place, _ in best] == [1, 50, 2]
    assert [place for place, _ in worst] == [0, 99, 98]


def test_calibration_counts_every_answer():
    calibration = Calibration()
    calibration.update(np.array([0.0, 1.0, 0.55, 0.55]), np.array([False, True, True, False]))
    sure, right = calibration.curve()
    assert sure.tolist() == pytest.approx([0, 0.55, 1]) and right.tolist() == [0, 0.5, 1]
    assert calibration.error == pytest.approx(0.1 / 4)
    assert Calibration().error == 0 and len(Calibration().curve()[0]) == 0
