"""Which classes are learned, and how much each weighs."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
import torch
from osgeo import gdal

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.learning.building import build_module
from geodl_plugin.core.learning.classes import balanced, check_weights, learned, weights_of
from geodl_plugin.core.learning.losses import IGNORED, LOSSES, labels_loss, make_loss
from geodl_plugin.core.learning.preparation import output_names, prepare
from geodl_plugin.core.learning.split import split_chips
from geodl_plugin.core.learning.train import train
from geodl_plugin.core.models.registry import Task
from geodl_plugin.core.progress import Phase, Progress
from geodl_plugin.core.samples.schema import Schema

from .test_train import Recorder, options

SCHEMA = Schema.from_text("3:Road;7:Tree;9:Car")


def test_classes_are_ignored_by_name_or_value():
    assert learned(SCHEMA, "", Task.PIXELS) == (SCHEMA, False)
    left, background = learned(SCHEMA, "Tree; 9", Task.PIXELS)
    assert left.names == ("Road",) and not background
    assert learned(SCHEMA, "background;Car", Task.PIXELS)[1]
    assert learned(SCHEMA, "0", Task.PIXELS)[0] == SCHEMA
    commas = Schema.from_text("1:Trees, tall;2:Trees;3:tall")
    assert learned(commas, "trees, tall", Task.PIXELS)[0].values == (2, 3)
    assert learned(commas, "Trees,3", Task.PIXELS)[0].values == (1,)
    numbers = Schema.from_text("1:2;2:3;3:4")
    assert learned(numbers, "3", Task.PIXELS)[0].values == (1, 3)
    assert learned(numbers, "1", Task.PIXELS)[0].values == (2, 3)
    commas = Schema.from_text("1:Road;2:Road, paved;3:Tree")
    assert learned(commas, "road, paved", Task.PIXELS)[0].values == (1, 3)
    assert learned(commas, "Road, Tree", Task.PIXELS)[0].values == (2,)


def test_a_class_may_be_called_background():
    schema = Schema.from_text("1:Background;2:Road;3:Tree")
    left, background = learned(schema, "background", Task.PIXELS)
    assert left.names == ("Road", "Tree") and not background
    left, background = learned(schema, "0;background", Task.PIXELS)
    assert left.names == ("Road", "Tree") and background
    assert output_names(schema, Task.PIXELS) == ["no class", "Background", "Road", "Tree"]
    assert output_names(left, Task.PIXELS)[0] == "background"
    assert output_names(schema, Task.OBJECTS) == ["Background", "Road", "Tree"]


@pytest.mark.parametrize(
    ("text", "task", "sentence"),
    [
        ("Boat", Task.PIXELS, "names 'Boat', but there is no such class. The classes are: 3 Road"),
        ("0", Task.DETECTION, "names '0'"),
        ("3;7;9", Task.DETECTION, "leaves no class"),
        ("0;3;7", Task.PIXELS, "leaves 1 class to tell apart"),
        ("Road,Tree", Task.OBJECTS, "leaves 1 class to tell apart"),
    ],
)
def test_what_cannot_be_ignored_is_one_sentence(text, task, sentence):
    with pytest.raises(InputError) as caught:
        learned(SCHEMA, text, task)
    assert sentence in str(caught.value)


def test_balanced_weights_are_one_over_the_frequency_with_mean_one():
    weights = balanced(np.array([900, 90, 0, 10]))
    assert weights[1] == pytest.approx(10 * weights[0])
    assert weights[3] == pytest.approx(90 * weights[0]) and weights[2] == 1
    assert np.mean([weights[0], weights[1], weights[3]]) == pytest.approx(1)


def test_weights_may_leave_the_background_out():
    counts, names = np.ones(3), ["background", "Road", "Tree"]
    assert weights_of("none", counts, names, Task.PIXELS) is None
    assert weights_of("2, 3", counts, names, Task.PIXELS) == (1, 2, 3)
    assert weights_of("[0.5,2,3]", counts, names, Task.CHANGE) == (0.5, 2, 3)
    with pytest.raises(InputError, match=r"has 2 numbers, but 3 are needed: of background, Road"):
        weights_of("2,3", counts, names, Task.OBJECTS)
    with pytest.raises(InputError, match="for models that classify pixels or chips"):
        weights_of("balanced", counts, names, Task.DETECTION)


@pytest.mark.parametrize("text", ["some", "1,x", "-1,2", "0,0", "1,inf", "nan"])
def test_what_is_no_weight_is_one_sentence(text):
    with pytest.raises(InputError, match="must be none, balanced, or one number a class"):
        check_weights(text)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_equal_weights_change_no_loss_and_a_class_of_no_weight_carries_none(name):
    torch.manual_seed(1)
    logits, targets = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    targets[0, 0, 0] = IGNORED
    plain = make_loss(name)(logits, targets)
    assert torch.allclose(make_loss(name, (1, 1, 1))(logits, targets), plain)
    weighed = make_loss(name, (1, 5, 1))(logits, targets)
    assert not torch.allclose(weighed, plain)
    only = make_loss(name, (1, 1, 0))
    other = torch.where(targets == 2, torch.tensor(IGNORED), targets)
    if name in ("cross_entropy", "focal"):
        assert torch.allclose(only(logits, targets), make_loss(name)(logits, other))


def test_weighted_cross_entropy_is_that_of_torch():
    torch.manual_seed(1)
    logits, targets = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    weights = torch.tensor([0.2, 2.0, 0.8])
    expected = torch.nn.functional.cross_entropy(logits, targets, weights)
    assert torch.allclose(make_loss("cross_entropy", weights.tolist())(logits, targets), expected)


def test_the_loss_of_several_labels_is_that_of_torch():
    torch.manual_seed(1)
    logits, truth = torch.randn(5, 3), (torch.rand(5, 3) > 0.5).float()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth)
    assert torch.allclose(labels_loss("cross_entropy")(logits, truth), expected)
    assert labels_loss("focal")(logits, truth) < expected
    assert torch.allclose(labels_loss("cross_entropy", (2, 2, 2))(logits, truth), 2 * expected)


def prepared(folder, **more):
    return prepare(options(folder, "out", **more), Phase(Progress(), "Reading", 1, "chips"))


def test_ignored_pixels_carry_no_label(make_folder):
    folder = make_folder("Classified_Tiles", values=(7, 42, 50))
    found = prepared(folder, ignore_classes="42;0", class_weights="balanced")
    assert found.schema.values == (7, 50) and found.spec.class_count == 2
    masks = [found.store[place].mask for place in found.split.training]
    assert set(np.unique(masks)) == {IGNORED, 1, 2}
    assert len(found.class_weights) == 3
    assert any(note.startswith("Class weights: background 1, class 7 ") for note in found.notes)


@pytest.mark.parametrize("ignored", ["42", "42;0"])
def test_an_ignored_background_enters_no_mean(make_folder, ignored):
    folder = make_folder("Classified_Tiles", values=(7, 42, 50), count=4)
    chosen = options(folder, "out", ignore_classes=ignored)
    found = prepare(chosen, Phase(Progress(), "Reading", 1, "chips"))
    collector = build_module(chosen, found, True, Progress()).make_collector()
    assert collector.names[0] == "background" and collector.first == int("0" in ignored)


def test_chips_without_a_label_that_is_learned_have_no_side(make_folder):
    """By a chip that carries no loss the first epoch was the best one."""
    folder = make_folder("Classified_Tiles", values=(7, 42), count=8)
    for place in (0, 1, 2, 4, 6):
        label = gdal.Open(str(folder / "labels" / f"{place:09d}.tif"), gdal.GA_Update)
        label.GetRasterBand(1).WriteArray(np.zeros((64, 64), np.uint8))
        label = None
    split = prepared(folder, ignore_classes="0").split
    assert sorted(split.training + split.validation) == [3, 5, 7] and split.unseen
    split = prepared(folder).split
    assert sorted(split.training + split.validation) == list(range(8))


def test_chips_of_ignored_classes_have_no_side_and_are_told(make_folder):
    folder = make_folder("Labeled_Tiles", values=(1, 2, 3), count=12)
    found = prepared(folder, ignore_classes="class 2")
    split = found.split
    used = sorted(split.training + split.validation + split.dropped)
    assert used == [place for place in range(12) if place % 3 != 1]
    assert any(note.startswith("4 chips show nothing that is learned") for note in found.notes)


def test_classes_that_a_side_lacks_are_told(make_folder):
    folder = make_folder("Labeled_Tiles", values=(1, 2, 3), count=4)
    (folder / "validation").mkdir()
    for part in ("images", "labels"):
        (folder / "validation" / part).mkdir()
        (folder / part / f"{2:09d}.{'tif' if part == 'images' else 'xml'}").rename(
            folder / "validation" / part / f"{2:09d}.{'tif' if part == 'images' else 'xml'}"
        )
    (folder / "validation" / "esri_model_definition.emd").write_bytes(
        (folder / "esri_model_definition.emd").read_bytes()
    )
    notes = prepared(folder).notes
    assert any(each.startswith("No training chip shows 'class 3', which") for each in notes)
    assert any(each.startswith("No validation chip shows 'class 1', 'class 2', ") for each in notes)
    assert not any("nothing that is learned" in each for each in notes)
    alike = prepared(make_folder("Labeled_Tiles", values=(1, 2), name="alike", count=30)).notes
    assert not any("chip shows" in each or "chips show" in each for each in alike)


def test_boxes_of_ignored_classes_are_left_out(make_folder):
    folder = make_folder("PASCAL_VOC_rectangles", values=(1, 2))
    assert set(prepared(folder, ignore_classes="1").store[0].labels) == {0}


def test_a_model_of_weights_and_ignored_classes_knows_the_rest(make_folder, tmp_path):
    folder = make_folder("Classified_Tiles", values=(7, 42, 50), count=4)
    more = {"ignore_classes": "42", "class_weights": "1,3", "loss": "focal+dice", "max_epochs": 1}
    progress = Recorder()
    result = train(options(folder, tmp_path / "some", **more), progress)
    with zipfile.ZipFile(result["model"]) as archive:
        definition = json.loads(archive.read("some.emd"))
    assert [each["Value"] for each in definition["Classes"]] == [7, 50]
    assert definition["GeoDL"]["training"]["class_weights"] == [1, 1, 3]
    assert definition["GeoDL"]["training"]["ignore_classes"] == "42"


@pytest.mark.parametrize(
    ("data_format", "more", "sentence"),
    [
        ("Labeled_Tiles", {"loss": "dice"}, "Use cross_entropy or focal"),
        ("PASCAL_VOC_rectangles", {"loss": "focal"}, "which have losses of their own"),
        ("PASCAL_VOC_rectangles", {"loss": "2*cross_entropy"}, "which have losses of their own"),
        ("PASCAL_VOC_rectangles", {"class_weights": "balanced"}, "CLASS_WEIGHTS=balanced is for"),
        ("Classified_Tiles", {"class_weights": "many"}, "CLASS_WEIGHTS=many must be none"),
    ],
)
def test_wrong_input_is_one_sentence(make_folder, tmp_path, data_format, more, sentence):
    folder = make_folder(data_format, values=(1, 2), count=4)
    with pytest.raises(InputError) as caught:
        train(options(folder, tmp_path / "never", **more), Progress())
    assert sentence in str(caught.value)


def test_the_validation_block_holds_what_the_whole_does():
    """Objects lie in one corner only: a block without any would tell nothing."""
    bounds = np.array(
        [[c * 10, r * 10, c * 10 + 10, r * 10 + 10] for r in range(12) for c in range(12)]
    )
    contents = np.zeros((144, 2))
    contents[:, 0] = 100
    corner = [r * 12 + c for r in range(4) for c in range(4)]
    contents[corner, 1] = 5
    for seed in range(5):
        split = split_chips(bounds, 10, seed, contents)
        own, whole = contents[list(split.validation)].mean(0), contents.mean(0)
        assert 0.4 * whole[1] < own[1] < 1.7 * whole[1]
    assert "hold about as much of each class" in split.describe()
