"""Detectors of two stages are converted with all that they do behind their maps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
import pytest
import torch

from geodl_plugin.core.conversion.convert import run
from geodl_plugin.core.conversion.exportable import Exportable
from geodl_plugin.core.conversion.matching import Objects, match
from geodl_plugin.core.conversion.onnx_file import export
from geodl_plugin.core.conversion.options import ConversionOptions
from geodl_plugin.core.conversion.proof import compare
from geodl_plugin.core.errors import ModelError
from geodl_plugin.core.inference.loading import load_network
from geodl_plugin.core.inference.model import read_model
from geodl_plugin.core.models.networks.paste import paste_masks
from geodl_plugin.core.models.registry import Task
from geodl_plugin.core.packages.archive import open_package
from geodl_plugin.core.progress import Progress

from .two_stage_models import write_detector

pytestmark = pytest.mark.usefixtures("narrow_heads")
SIDE = 64
NAMES = ("FASTERRCNN", "MASKRCNN")


def exportable_of(path: str) -> Exportable:
    with open_package(path) as package:
        model = read_model(package.definition, Task(package.definition.task))
        return Exportable(load_network(model, package), model).eval()


def images(count: int) -> torch.Tensor:
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("FASTERRCNN", {}),
        ("FASTERRCNN", {"anchor_sizes": [12.0, 24.0, 48.0]}),
        ("FASTERRCNN", {"resize_to": 96}),
        ("FASTERRCNN", {"rpn_score_thresh": 0.5, "rpn_post_nms_top_n_test": 30}),
        ("MASKRCNN", {}),
        ("MASKRCNN", {"anchor_sizes": [12.0, 24.0]}),
    ],
)
def test_all_images_together_are_each_by_itself(name: str, given: dict[str, Any], tmp_path: Path):
    """The answer for a batch is that of torchvision's loops, image by image."""
    network = exportable_of(write_detector(tmp_path / "a.dlpk", name, **given))
    batch = images(3)
    with torch.no_grad():
        answer = network(batch)
        found = network.network.detect(network.network(batch), (SIDE, SIDE), 0.05)
    for place, wanted in enumerate(found):
        if name == "MASKRCNN":
            one = {key: value[place] for key, value in answer.items()}
            kept = one["scores"] > 0.05
            one = {key: value[kept] for key, value in one.items()}
            assert set(one["labels"].tolist()) <= {3, 7}
            got = paste_masks({**one, "masks": one["masks"][:, None]}, (SIDE, SIDE))
            assert len(got["masks"]) > 2
            np.testing.assert_array_equal(got["windows"], wanted["windows"])
            for mask, other in zip(got["masks"], wanted["masks"]):
                np.testing.assert_array_equal(mask, other)
            boxes, scores = got["boxes"], got["scores"]
            labels = (got["labels"] == 7).long()
        else:
            rows = answer[place].T
            scores, labels = rows[:, 4:].max(1)
            kept = scores > 0.05
            scores, labels, rows = scores[kept], labels[kept], rows[kept]
            halves = rows[:, 2:4] / 2
            boxes = torch.cat([rows[:, :2] - halves, rows[:, :2] + halves], 1)
        assert len(wanted["scores"]) > 2
        torch.testing.assert_close(boxes, wanted["boxes"], atol=1e-4, rtol=0)
        torch.testing.assert_close(scores, wanted["scores"], atol=1e-6, rtol=0)
        assert labels.tolist() == wanted["labels"].tolist()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("kind", "suffix"), [("onnx", ".onnx"), ("openvino", ".xml")])
def test_graphs_answer_alike_for_any_batch(name: str, kind: str, suffix: str, tmp_path: Path):
    model = write_detector(tmp_path / "a.dlpk", name)
    output = str(tmp_path / f"a{suffix}")
    result = run(ConversionOptions(model, kind, output), Progress())
    assert result["chance"] < 1e-4 and result["shift"] < 1e-2
    network, core = exportable_of(model), openvino.Core()
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(output), "CPU", exact)
    for count in (1, 4):
        with torch.no_grad():
            wanted = network(images(count))
        found = compiled(images(count).numpy())
        if name == "FASTERRCNN":
            wanted = {"probabilities": wanted}
        for port in compiled.outputs:
            each = wanted[min(port.names, key=len)].numpy()
            np.testing.assert_allclose(found[port], each, atol=2e-3)
    if kind == "onnx":
        told = {each.key: json.loads(each.value) for each in onnx.load(output).metadata_props}
        masks = name == "MASKRCNN"
        assert told["model_type"] == ("InstanceDetection" if masks else "Detector")
        assert told["det_type"] == ("boxes" if masks else "YOLO_Ultralytics")
        values = {"3": "Tree", "7": "Car"} if masks else {"0": "Tree", "1": "Car"}
        assert told["class_names"] == values and told["tile_size"] == SIDE
        shape = onnx.load(output).graph.input[0].type.tensor_type.shape.dim
        assert [each.dim_param or each.dim_value for each in shape] == ["batch", 3, SIDE, SIDE]


def test_exporting_leaves_no_marks(tmp_path: Path):
    network = exportable_of(write_detector(tmp_path / "a.dlpk", "MASKRCNN"))
    before = {name: vars(each).keys() for name, each in network.named_modules()}
    with torch.no_grad():
        answer = network(images(2))
        export(network)
        again = network(images(2))
    assert {name: vars(each).keys() for name, each in network.named_modules()} == before
    for name, each in answer.items():
        assert type(again[name]) is torch.Tensor and torch.equal(again[name], each)


def test_lists_are_the_same_in_any_order_but_not_with_others(tmp_path: Path):
    network = exportable_of(write_detector(tmp_path / "a.dlpk", "MASKRCNN"))
    batch = [images(1)]
    with torch.no_grad():
        answer = {name: each.numpy() for name, each in network(batch[0]).items()}
    turned = {name: each[:, ::-1] for name, each in answer.items()}
    found = compare(network, batch, lambda _: turned)
    assert found.chance == found.shift == found.share == 0
    for name, by in (("boxes", 1.0), ("scores", 0.01), ("labels", 1), ("masks", 0.1)):
        other = {**answer, name: answer[name] + by}
        with pytest.raises(ModelError, match=r"100\.0% of the boxes"):
            compare(network, batch, lambda _, other=other: other)
    fewer = {name: each[:, 1:] for name, each in answer.items()}
    with pytest.raises(ModelError, match="answers differently"):
        compare(network, batch, lambda _: fewer)
    nothing = {**answer, "scores": answer["scores"] * np.nan}
    with pytest.raises(ModelError, match="answers differently"):
        compare(network, batch, lambda _: nothing)
    with pytest.raises(ModelError, match="under other names"):
        compare(network, batch, lambda _: answer["boxes"])
    with pytest.raises(ModelError, match="in another shape"):
        compare(network, batch, lambda _: {**answer, "masks": answer["masks"][..., 1:]})


def test_an_object_has_one_partner():
    def of(*lefts: float) -> Objects:
        count = len(lefts)
        boxes = np.array([[left, 0, left + 9, 9] for left in lefts])
        return Objects(boxes, np.full(count, 0.5), np.zeros(count), np.zeros((count, 0)))

    found = match(of(0, 0, 5), of(0.01, 5, 20), 0.05, 1e-3)
    assert (found.missing, found.count) == (2, 6) and found.shift == pytest.approx(0.01)
