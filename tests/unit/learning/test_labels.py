"""Chips of several labels, mixtures of images, rare classes drawn more often, zoom."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from geodl_plugin.core.chips.labels import BoxLabel, ClassLabel, InstanceLabel, MaskLabel
from geodl_plugin.core.inference.loading import load_network
from geodl_plugin.core.inference.model import read_model
from geodl_plugin.core.inference.object_answers import best, several_above
from geodl_plugin.core.learning.augment import make_augmentation
from geodl_plugin.core.learning.augmentation_settings import settings_of
from geodl_plugin.core.learning.batches import make_loaders
from geodl_plugin.core.learning.chip_store import ChipFacts, make_sample
from geodl_plugin.core.learning.dataset import CropDataset
from geodl_plugin.core.learning.hardware import Hardware
from geodl_plugin.core.learning.losses import IGNORED
from geodl_plugin.core.learning.metrics import LabelScores
from geodl_plugin.core.learning.module import ObjectModule
from geodl_plugin.core.learning.normalization import Normalization
from geodl_plugin.core.learning.order import EpochOrder
from geodl_plugin.core.learning.preparation import prepare
from geodl_plugin.core.learning.train import train
from geodl_plugin.core.models.registry import Task
from geodl_plugin.core.packages.archive import open_package
from geodl_plugin.core.progress import Phase, Progress

from .test_train import options

TINY = {"backbone": "timm:test_resnet"}


@pytest.fixture
def several(make_folder):
    """Chips with the labels 1, 2, or both."""
    folder = make_folder("Labeled_Tiles", values=(1, 2), side=32, count=9)
    for number in range(9):
        name = ("1", "2", "1,2")[number % 3]
        label = f"<annotation><object><name>{name}</name></object></annotation>"
        (folder / "labels" / f"{number:09d}.xml").write_text(label)
    file = folder / "esri_model_definition.emd"
    definition = {**json.loads(file.read_text()), "MetaDataMode": "MultiLabeled_Tiles"}
    file.write_text(json.dumps(definition))
    return folder


def test_a_chip_may_have_several_labels(several, tmp_path):
    more = {**TINY, "class_weights": "balanced", "monitor": "F1_SCORE", "loss": "focal"}
    result = train(options(several, tmp_path / "labels", **more), Progress())
    with open_package(result["model"]) as package:
        model = read_model(package.definition, Task.OBJECTS)
        assert model.several_labels
        assert load_network(model, package).eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 2)
        rows = package.definition.geodl["metrics"]["classes"]
    assert {"precision", "recall", "f1_score", "accuracy"} <= set(rows[0])


def test_targets_are_one_number_a_label(several):
    found = prepare(options(several, "out", **TINY), Phase(Progress(), "Reading", 1, "chips"))
    loaders = make_loaders(found, 3, Hardware(torch.device("cpu"), "float32"), 1)
    seen = torch.cat([targets for _, targets in loaders[0]])
    assert seen.shape[1] == 2 and {tuple(each) for each in seen.tolist()} <= {
        (1, 0),
        (0, 1),
        (1, 1),
    }
    assert (seen.sum(1) == 2).any()


def test_label_scores_count_each_label():
    scores = LabelScores(["a", "b"])
    scores.update(np.array([[1, 0], [1, 1], [0, 0]]), np.array([[1, 1], [0, 1], [0, 0]]))
    found = scores.compute()
    assert found.classes[0]["precision"] == 0.5 and found.classes[0]["recall"] == 1
    assert found.classes[1]["recall"] == 0.5
    assert found.values["accuracy"] == pytest.approx(4 / 6)


def test_inference_tells_all_labels_above_the_threshold():
    logits = torch.tensor([[2.0, 1.0, -3.0], [-1.0, -2.0, -3.0]])
    both, none = several_above(0.5)(None, logits, None)
    assert both[0] == (0, 1) and none[0] == ()
    assert none[1] == pytest.approx(float(torch.tensor(-1.0).sigmoid()))
    assert best(None, logits, None)[0][0] == (0,)


def test_rare_classes_are_drawn_more_often(make_folder):
    folder = make_folder("Labeled_Tiles", values=(1, 2), side=32, count=24)
    for path in sorted((folder / "labels").iterdir())[6:]:
        path.write_text(path.read_text().replace("<name>2</name>", "<name>1</name>"))
    more = {**TINY, "model_arguments": "oversample=true"}
    found = prepare(options(folder, "out", **more), Phase(Progress(), "Reading", 1, "chips"))
    loader, _ = make_loaders(found, 4, Hardware(torch.device("cpu"), "float32"), 1)
    drawn = []
    for epoch in range(20):
        loader.sampler.set_epoch(epoch)
        drawn += [targets for _, targets in loader]
    assert 0.4 < torch.cat(drawn).float().mean() < 0.6


def test_mixtures_have_the_loss_of_both(make_folder, tmp_path, monkeypatch):
    calls: list[torch.Tensor] = []
    true_loss = ObjectModule.loss

    def spy(self, answer, targets):
        calls.append(targets.clone())
        return true_loss(self, answer, targets)

    monkeypatch.setattr(ObjectModule, "loss", spy)
    folder = make_folder("Labeled_Tiles", values=(1, 2), side=32, count=9)
    more = {**TINY, "model_arguments": "mixup=true", "max_epochs": 1, "batch_size": 8}
    train(options(folder, tmp_path / "mixed", **more), Progress())
    first, second = calls[:2]
    assert sorted(first.tolist()) == sorted(second.tolist())


def test_the_order_is_that_of_the_epoch_and_shared_by_processes():
    order = EpochOrder(10, 3)
    once = list(order)
    assert once == list(order) and sorted(place for place, _ in once) == list(range(10))
    order.set_epoch(1)
    assert list(order) != once
    parts = [list(EpochOrder(10, 3, rank=rank, ranks=3)) for rank in range(3)]
    assert [len(part) for part in parts] == [4, 4, 4]
    assert {place for part in parts for place, _ in part} == set(range(10))


class OneChip:
    """A store of one chip with a bright square that is its object and its class."""

    background = True

    def __init__(self, kind: str) -> None:
        pixels = np.zeros((2, 64, 64), np.float32)
        pixels[:, 24:40, 20:44] = 1
        boxes = BoxLabel(np.array([[20.0, 24, 44, 40]]), np.array([1]))
        labels = {
            "boxes": boxes,
            "mask": MaskLabel(pixels[0].astype(int)),
            "chip": ClassLabel((1,)),
        }
        self.sample = make_sample(pixels, np.ones((64, 64), bool), labels[kind], np.array([1]))

    def __getitem__(self, position):
        return self.sample

    def facts(self, position):
        return ChipFacts.of(self.sample)


@pytest.mark.parametrize("kind", ["boxes", "mask", "chip"])
def test_a_zoom_enlarges_image_and_label_alike(kind):
    plain = Normalization((0.0, 0.0), (1.0, 1.0))
    crops = CropDataset(
        OneChip(kind), [0], 64, plain, random=True, centred=kind == "chip", zoom=1.5
    )
    areas = []
    for seed in range(12):
        image, target = crops[(0, seed)]
        assert image.shape == (2, 64, 64)
        bright = image[0] > 0.5
        areas.append(int(bright.sum()))
        if kind == "mask":
            # Where four pixels meet in a corner the image is darker than half.
            assert (bright != (target == 1)).sum() <= 4
        elif kind == "boxes" and len(target["boxes"]):
            left, top, right, bottom = target["boxes"][0].round().int().tolist()
            assert abs((right - left) * (bottom - top) - areas[-1]) < 0.12 * areas[-1]
    assert max(areas) > 1.5 * 16 * 24
    assert torch.equal(crops[(0, 5)][0], crops[(0, 5)][0])


@pytest.mark.parametrize("width", [63, 57, 50, 43, 33, 24, 17])
@pytest.mark.parametrize("outlines", [False, True])
def test_the_edges_of_labels_lie_on_those_of_the_image_at_every_zoom(width, outlines):
    """The image tells where each of its pixels comes from, and so what its label must be."""
    place = np.arange(64, dtype=np.float32) + 0.5
    pixels = np.stack(np.broadcast_arrays(place[None], place[:, None])).copy()
    edges = [(5, 9), (8, 3), (11, 12), (2, 2), (14, 7)] if outlines else [(5, 9)]
    low = [(pixels[0] > col) & (pixels[1] > row) for col, row in edges]
    masks = np.stack([each & (pixels < 17).all(0) for each in low])
    values, valid = np.ones(len(edges), int), np.ones((64, 64), bool)
    label = InstanceLabel.of_masks(masks, values) if outlines else MaskLabel(masks[0].astype(int))
    sample = make_sample(pixels, valid, label, np.array([1]), outlines)
    crops = CropDataset(OneChip("mask"), [0], 64, Normalization((0.0, 0.0), (1.0, 1.0)))
    image, target = crops._cut(sample, 0, 0, width)
    found = target["masks"] if outlines else (target == 1)[None]
    assert found.shape == (len(edges), 64, 64)
    for (col, row), mask in zip(edges, found):
        wanted = (image[0] > col) & (image[1] > row) & (image < 17).all(0)
        assert torch.equal(mask, wanted)


LOOKS = "brightness=0.4;contrast=3;noise=1;blur=2;probability=1"


@pytest.mark.parametrize("kind", ["boxes", "mask", "chip"])
def test_light_and_noise_leave_what_has_no_data_at_zero(kind):
    store = OneChip(kind)
    store.sample.valid[:, :8] = False
    still = "mirror_x=false;mirror_y=false;turn=false"
    looks = make_augmentation(settings_of("CUSTOM", f"{LOOKS};{still}", "MAP_SPACE"))
    plain = Normalization((0.0, 0.0), (1.0, 1.0))
    crops = CropDataset(store, [0], 64, plain, augmentation=looks, centred=kind == "chip")
    image, _ = crops[(0, 1)]
    assert (image[:, :, :8] == 0).all() and (image[:, :, 8:] != 0).all()


@pytest.mark.parametrize("kind", ["boxes", "mask", "chip"])
def test_chips_that_have_data_everywhere_are_moved_with_their_labels(kind):
    moves = make_augmentation(settings_of("CUSTOM", "probability=0", "MAP_SPACE"))
    plain = Normalization((0.0, 0.0), (1.0, 1.0))
    crops = CropDataset(OneChip(kind), [0], 64, plain, augmentation=moves, centred=kind == "chip")
    seen = set()
    for seed in range(40):
        image, target = crops[(0, seed)]
        rows, cols = torch.nonzero(image[0] == 1, as_tuple=True)
        box = [int(each) for each in (cols.min(), rows.min(), cols.max() + 1, rows.max() + 1)]
        assert image.shape == (2, 64, 64) and len(rows) == 16 * 24
        if kind == "boxes":
            assert target["boxes"].tolist() == [box]
        elif kind == "mask":
            assert torch.equal(target == 1, image[0] == 1)
        seen.add(tuple(box))
    assert len(seen) == 2  # the object lies in the middle, and across after a turn


def test_no_data_moves_along_with_the_image():
    store = OneChip("mask")
    store.sample.valid[:20, :8] = False
    moves = make_augmentation(settings_of("CUSTOM", LOOKS, "MAP_SPACE"))
    plain = Normalization((0.0, 0.0), (1.0, 1.0))
    crops = CropDataset(store, [0], 64, plain, random=True, augmentation=moves, zoom=2.0)
    for seed in range(8):
        image, target = crops[(0, seed)]
        assert torch.equal(image[0] == 0, target == IGNORED)


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_some_chips_are_zoomed(probability):
    plain = Normalization((0.0, 0.0), (1.0, 1.0))
    crops = CropDataset(OneChip("mask"), [0], 64, plain, random=True, zoom=4.0, zoomed=probability)
    zoomed = sum(int((crops[(0, seed)][0][0] > 0.5).sum()) != 16 * 24 for seed in range(100))
    assert abs(zoomed - 100 * probability) <= 15 * (0 < probability < 1) + 3
