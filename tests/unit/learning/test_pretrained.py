"""Going on from a trained model, with other classes and bands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file
from torch import nn

from geodl_plugin.core.chips.folder import open_folder
from geodl_plugin.core.errors import GeoDLError
from geodl_plugin.core.inference.loading import load_network
from geodl_plugin.core.inference.model import read_model
from geodl_plugin.core.learning.building import build_module
from geodl_plugin.core.learning.network_choice import choose_network
from geodl_plugin.core.learning.preparation import prepare
from geodl_plugin.core.learning.pretrained import (
    Pretrained,
    _rows,
    _weights_of,
    read_pretrained,
)
from geodl_plugin.core.learning.train import train
from geodl_plugin.core.models.networks.backbones import build_pyramid
from geodl_plugin.core.models.networks.weights import first_convolution
from geodl_plugin.core.models.registry import Task, model_type
from geodl_plugin.core.packages.archive import open_package, write_package
from geodl_plugin.core.packages.definition import ModelDefinition
from geodl_plugin.core.progress import Phase, Progress

from .test_train import Recorder, options, weights_of

TINY = {"backbone": "timm:test_resnet", "max_epochs": 1}
MAPS = Path("/proc/self/maps")
# Nothing moves: what a training starts from is what it ends with.
RESTING = {"max_epochs": 1, "learning_rate": "1e-12", "freeze": "true"}


def test_rows_follow_their_classes():
    old = torch.arange(8.0)[:, None]  # background, a, b, c of two anchors
    new = torch.full((6, 1), -1.0)  # background, c, x of two anchors
    rows = _rows(old, new, 2, ("a", "b", "c"), ("c", "x"), "head.weight")
    assert rows[:, 0].tolist() == [0, 3, -1, 4, 7, -1]
    boxes = _rows(
        torch.arange(8.0), torch.full((12,), -1.0), 4, ("a",), ("x", "a"), "bbox_pred.bias"
    )
    assert boxes.tolist() == [0, 1, 2, 3, -1, -1, -1, -1, 4, 5, 6, 7]
    with_box = torch.arange(7.0)  # background, a, b and a box
    found = _rows(with_box, torch.full((6,), -1.0), 1, ("a", "b"), ("b",), "head.bias")
    assert found.tolist() == [0, 2, 3, 4, 5, 6]
    assert _rows(torch.zeros(5, 1), torch.zeros(6, 1), 2, ("a",), ("b",), "x") is None


@pytest.mark.skipif(not MAPS.exists(), reason="nobody tells what is mapped")
def test_no_file_of_a_closed_package_stays_mapped(tmp_path):
    """On Windows it could not be removed: the temporary folder would keep all weights."""
    definition = ModelDefinition(
        {
            "Framework": "GeoDL",
            "ModelType": "ImageClassification",
            "ModelFile": "first.safetensors",
            "Classes": [{"Value": 1, "Name": "a", "Color": [0, 0, 0]}],
            "GeoDL": {"architecture": "UNET", "chip_size": 64},
        },
        "first",
    )
    content = save({"layer.weight": torch.ones(300, 300)})
    path = write_package(tmp_path / "first.dlpk", definition, {"first.safetensors": content})
    weights = _weights_of(read_pretrained(str(path)))
    assert float(weights["layer.weight"].sum()) == 300 * 300
    assert "first.safetensors" not in MAPS.read_text(encoding="utf-8")


def trained(make_folder, tmp_path, data_format, **more):
    folder = make_folder(data_format, values=(1, 2, 3), count=4, name="first")
    return train(options(folder, tmp_path / "first_model", **{**TINY, **more}), Progress())


@pytest.mark.parametrize("data_format", ["Classified_Tiles", "Labeled_Tiles"])
def test_known_classes_keep_their_rows_and_new_ones_start_anew(make_folder, tmp_path, data_format):
    first = trained(make_folder, tmp_path, data_format)
    folder = make_folder(data_format, values=(2, 5), count=4, name="second")
    progress = Recorder()
    more = {"pretrained_model": first["model"], "backbone": "resnet34", **RESTING}
    second = train(options(folder, tmp_path / "second_model", **more), progress)
    assert any("WEIGHTS=none is not used" in note for note in progress.notes)
    report = Path(second["report"]).read_text(encoding="utf-8")
    for text in ("going on from first_model.dlpk", "<td>rested</td>"):
        assert text in report
    assert any("classes it knows: class 2; new: class 5" in note for note in progress.notes)
    old, new = (
        weights_of(first["model"], tmp_path / "o"),
        weights_of(second["model"], tmp_path / "n"),
    )
    head = next(name for name in old if old[name].shape != new[name].shape and old[name].dim() == 1)
    start = int(data_format == "Classified_Tiles")
    assert torch.allclose(new[head][start], old[head][start + 1], atol=1e-6)
    if start:
        assert torch.allclose(new[head][0], old[head][0], atol=1e-6)
    with open_package(second["model"]) as package:
        own = package.definition.geodl
        assert f"3: {', '.join(own['band_names'])} (uint8)" in report
        assert own["backbone"] == TINY["backbone"] and own["class_count"] == 2
        assert own["training"]["pretrained_model"] == "first_model.dlpk"


def test_other_bands_are_adapted(make_folder, tmp_path):
    first = trained(make_folder, tmp_path, "PASCAL_VOC_rectangles")
    folder = make_folder("PASCAL_VOC_rectangles", values=(1, 2, 3), bands=4, name="second", count=4)
    more = {"pretrained_model": first["model"], "backbone": "resnet34", **RESTING}
    second = train(options(folder, tmp_path / "second_model", **more), Progress())
    old, new = (
        weights_of(first["model"], tmp_path / "o"),
        weights_of(second["model"], tmp_path / "n"),
    )
    name = next(name for name in old if old[name].shape != new[name].shape)
    assert torch.allclose(new[name][:, 3], old[name][:, 0] * 3 / 4, atol=1e-5)


def named(folder, names):
    """Return a folder whose bands have names."""
    file = folder / "esri_model_definition.emd"
    content = json.loads(file.read_text(encoding="utf-8"))
    content["InputRastersProps"] = {"BandNames": list(names)}
    file.write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize(
    ("names", "sources", "told"),
    [
        (("Blue", "GREEN", "Red"), (2, 1, 0), "keep their weights: Blue, Red."),
        (("NIR", "Red", "Green", "Blue"), (0, 0, 1, 2), "keep their weights: Red, Green, Blue."),
        (("Blue", "Green"), (2, 1), "keep their weights: Blue."),
        (("NIR", "Red", "Green"), (0, 0, 1), "keep their weights: Red, Green."),
        (("Band_3", "Band_2", "Band_1"), (0, 1, 2), ""),
    ],
)
def test_bands_keep_their_weights_by_their_names(make_folder, tmp_path, names, sources, told):
    first = named(
        make_folder("Labeled_Tiles", values=(1, 2), name="first"), ("red", "green", "blue")
    )
    model = train(options(first, tmp_path / "first_model", **TINY), Progress())["model"]
    more = {"bands": len(names), "name": "second", "values": (1, 2)}
    second = named(make_folder("Labeled_Tiles", **more), names)
    module, said = begun(second, tmp_path / "x", pretrained_model=model)
    old = next(v for n, v in weights_of(model, tmp_path / "o").items() if "conv1.0.weight" in n)
    new = first_convolution(module.network.encoder).weight
    assert torch.allclose(new, old[:, list(sources)] * 3 / len(names))
    assert bool(module.restless) == ("NIR" in names)
    assert any(text.endswith(told or "new: none.") for text in said if "goes on from" in text)


def begun(folder, output, **more):
    """Return the module that a training starts from, and what was said."""
    wanted, progress = (
        options(folder, output, **{**TINY, "backbone": "resnet34", **more}),
        Recorder(),
    )
    preparation = prepare(wanted, Phase(progress, "Reading", 1, "chips"))
    return build_module(wanted, preparation, True, progress), [*preparation.notes, *progress.notes]


def test_a_sigmoid_gets_a_new_class_or_makes_room_for_more(make_folder, tmp_path):
    folder = make_folder("Classified_Tiles", values=(1,), count=4, name="first")
    more = {**TINY, "model_arguments": "sigmoid=true"}
    first = train(options(folder, tmp_path / "first_model", **more), Progress())["model"]
    old = weights_of(first, tmp_path / "o")
    head = "network.segmentation_head.0.weight"
    module, _ = begun(folder, tmp_path / "x", pretrained_model=first)
    assert torch.equal(module.network.state_dict()[head], old[head])
    other = make_folder("Classified_Tiles", values=(5,), count=4, name="other")
    module, notes = begun(other, tmp_path / "x", pretrained_model=first)
    assert any("new: class 5" in note for note in notes)
    new = module.network.state_dict()
    assert new[head].shape == old[head].shape and not torch.equal(new[head], old[head])
    assert sum(torch.equal(new[name], old[name]) for name in old) >= len(old) - 2
    two = make_folder("Classified_Tiles", values=(1, 5), count=4, name="two")
    module, notes = begun(two, tmp_path / "x", pretrained_model=first)
    assert any("for 2 classes the last layer starts anew" in note for note in notes)
    assert len(module.network.state_dict()[head]) == 3


def test_a_model_goes_on_at_another_size_inside(make_folder, tmp_path):
    first = trained(make_folder, tmp_path, "Labeled_Tiles", resize_to=96)["model"]
    old = weights_of(first, tmp_path / "o")
    larger = make_folder("Labeled_Tiles", values=(1, 2, 3), count=4, side=96, name="larger")
    module, _ = begun(larger, tmp_path / "x", pretrained_model=first)
    new = module.network.state_dict()
    assert all(torch.equal(new[name[len("network.") :]], old[name]) for name in old)
    plain = train(options(tmp_path / "first", tmp_path / "plain", **TINY), Progress())["model"]
    old = weights_of(plain, tmp_path / "p")
    module, _ = begun(larger, tmp_path / "x", pretrained_model=plain, resize_to=64)
    new = module.network.state_dict()
    assert all(torch.equal(new[f"network.{name}"], old[name]) for name in old)


@pytest.mark.parametrize("grids", [[1], [2, 1]])
def test_a_grid_keeps_a_cell_on_smaller_chips(make_folder, tmp_path, grids):
    wanted = {"model_type": "SSD", "model_arguments": f"grids={grids};zooms=[1.0];ratios=[[1,1]]"}
    first = trained(make_folder, tmp_path, "PASCAL_VOC_rectangles", **wanted)["model"]
    smaller = make_folder("PASCAL_VOC_rectangles", count=4, side=32, name="smaller")
    module, _ = begun(smaller, tmp_path / "x", pretrained_model=first)
    answer = module.network.eval()(torch.zeros(1, 3, 32, 32))
    assert answer["scores"].shape[1] == len(grids)


@pytest.mark.parametrize(
    ("before", "side", "resize_to", "grid"), [(64, 32, 0, 4), (0, 64, 128, 8), (64, 64, 128, 8)]
)
def test_a_cell_is_as_large_inside_as_it_was(make_folder, tmp_path, before, side, resize_to, grid):
    wanted = {"model_type": "SSD", "model_arguments": "grids=[4]", "resize_to": before}
    first = trained(make_folder, tmp_path, "PASCAL_VOC_rectangles", **wanted)["model"]
    old = weights_of(first, tmp_path / "o")
    other = make_folder("PASCAL_VOC_rectangles", count=4, side=side, values=(1, 2, 3), name="other")
    more = {"pretrained_model": first, "resize_to": resize_to}
    module, _ = begun(other, tmp_path / "x", **more)
    inner = getattr(module.network, "network", module.network)
    assert inner.grids == [grid] and inner.strides == [16]
    assert all(torch.equal(value, old[name]) for name, value in inner.state_dict().items())


def test_weights_for_four_bands_start_a_network_of_four(make_folder, tmp_path):
    made = build_pyramid(TINY["backbone"], 4, 64, "none").network
    path = tmp_path / "four.safetensors"
    save_file(made.state_dict(), path)
    folder = make_folder("PASCAL_VOC_rectangles", bands=4, count=4)
    module, _ = begun(folder, tmp_path / "x", backbone=TINY["backbone"], weights=str(path))
    first = next(each for each in module.network.encoder.modules() if isinstance(each, nn.Conv2d))
    assert torch.equal(first.weight, made.state_dict()["conv1.0.weight"])


def test_habits_of_the_training_are_not_those_of_the_model(make_folder, tmp_path):
    folder = make_folder("Labeled_Tiles", values=(1, 2), count=4)
    first = Pretrained(
        "a.dlpk", "a.dlpk", model_type("FEATURE_CLASSIFIER"), TINY["backbone"],
        {"mixup": True, "oversample": False}, ("class 1", "class 2"), 64,
    )  # fmt: skip
    opened = open_folder(folder)
    for text, wanted in (("", (False, False)), ("oversample=true", (False, True))):
        chosen = options(folder, tmp_path / "x", backbone="resnet34", model_arguments=text)
        spec, _ = choose_network(
            chosen, opened, first.kind, first, 3, 2, np.zeros((0, 2)), [(64, 64)]
        )
        assert (spec.arguments["mixup"], spec.arguments["oversample"]) == wanted


def test_what_does_not_fit_the_model_is_one_sentence(make_folder, tmp_path):
    first = trained(make_folder, tmp_path, "Classified_Tiles")["model"]
    folder = tmp_path / "first"
    cases = {
        "PRETRAINED_MODEL 'first_model.dlpk' has UNET": {"model_type": "FPN"},
        "BACKBONE=resnet50, but PRETRAINED_MODEL": {"backbone": "resnet50"},
        "There is no model 'nothing.dlpk'": {"pretrained_model": "nothing.dlpk"},
        "but 'boxes' holds PASCAL_VOC_rectangles": {
            "input": str(make_folder("PASCAL_VOC_rectangles", name="boxes"))
        },
    }
    for sentence, more in cases.items():
        values = {"pretrained_model": first, "backbone": "resnet34", **more}
        source = values.pop("input", folder)
        with pytest.raises(GeoDLError) as caught:
            train(options(source, tmp_path / "never", **values), Progress())
        assert sentence in str(caught.value)


@pytest.mark.parametrize(
    "odd", [{"arguments": [1, 2]}, {"chip_size": "large"}, {"arguments": {"decoder_dropout": "x"}}]
)
def test_an_odd_definition_is_one_sentence(make_folder, tmp_path, odd):
    """They were tracebacks."""
    definition = ModelDefinition(
        {
            "Framework": "PyTorch",
            "ModelType": "ImageClassification",
            "ModelFile": "a.safetensors",
            "Classes": [{"Value": 1, "Name": "class 1"}],
            "ImageWidth": 64,
            "GeoDL": {"architecture": "FPN", "backbone": "timm:test_resnet", **odd},
        },
        "a",
    )
    model = write_package(tmp_path / "a.dlpk", definition, {"a.safetensors": b""})
    folder = make_folder("Classified_Tiles")
    wanted = options(folder, tmp_path / "x", pretrained_model=str(model), backbone="resnet34")
    with pytest.raises(GeoDLError, match="has a definition that cannot be understood"):
        prepare(wanted, Phase(Progress(), "Reading", 1, "chips"))


@pytest.mark.parametrize(
    ("data_format", "task"),
    [("Classified_Tiles", Task.PIXELS), ("PASCAL_VOC_rectangles", Task.DETECTION)],
)
def test_chips_are_resized_inside_the_network(make_folder, tmp_path, data_format, task):
    folder = make_folder(data_format, side=48, values=(1, 2), count=4)
    more = {**TINY, "resize_to": 96}
    result = train(options(folder, tmp_path / "resized", **more), Progress())
    with open_package(result["model"]) as package:
        model = read_model(package.definition, task)
        network = load_network(model, package).eval()
    assert model.chip_size == 48 and network.fixed_tile == 48
    report = Path(result["report"]).read_text(encoding="utf-8")
    assert "48 pixels, scaled to 96 for the network" in report
    with torch.no_grad():
        answer = network(torch.zeros(1, 3, 48, 48))
    if task is Task.PIXELS:
        assert answer.shape == (1, 3, 48, 48)
    else:
        boxes = network.detect(answer, (48, 48), 0.0)[0]["boxes"]
        assert 24 < boxes.max() <= 48
