"""Networks written as ONNX and for OpenVINO answer as before, and say what they are."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import onnx
import openvino
import pytest
import torch
from torch import nn

from geodl_plugin.core.conversion import proof
from geodl_plugin.core.conversion.convert import run
from geodl_plugin.core.conversion.exportable import Exportable, trial_images
from geodl_plugin.core.conversion.onnx_file import describe_file, export
from geodl_plugin.core.conversion.openvino_file import open_runner
from geodl_plugin.core.conversion.options import ConversionOptions
from geodl_plugin.core.errors import InputError, ModelError
from geodl_plugin.core.models.registry import NetworkSpec, Task, build_network, model_type
from geodl_plugin.core.packages.information import page
from geodl_plugin.core.progress import Progress
from tests.qgis.models import write_untrained
from tests.unit.inference.foreign.graphs import pixel_onnx
from tests.unit.inference.support import Brightest, SmallPixels, make_model, write_model

UTM = 'PROJCS["UTM 16N",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925]],PROJECTION["Transverse_Mercator"],PARAMETER["central_meridian",-87],PARAMETER["scale_factor",0.9996],PARAMETER["false_easting",500000],UNIT["metre",1]]'  # noqa: E501


def metadata_of(path: str) -> dict:
    """Return the metadata as Deepness reads it: each value is JSON."""
    return {each.key: json.loads(each.value) for each in onnx.load(path).metadata_props}


def infer(path: str, images: np.ndarray) -> np.ndarray:
    core = openvino.Core()
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    return core.compile_model(core.read_model(path), "CPU", exact)(images)[0]


def test_pixels_as_onnx(tmp_path):
    model = write_model(
        tmp_path / "canopy.dlpk", "TEST_PIXELS", cell_size=[0.5, 0.5], crs=UTM,
        normalization={"mean": [102.0], "std": [51.0]},
    )  # fmt: skip
    output = str(tmp_path / "neu ü" / "canopy.onnx")
    result = run(ConversionOptions(model, "onnx", output), Progress())
    assert result == {"output": output, "chance": pytest.approx(0, abs=1e-5), "shift": 0}
    found = metadata_of(output)
    assert found["model_type"] == "Segmentor"
    assert found["class_names"] == {"0": "background", "1": "Tree", "2": "Car"}
    assert found["resolution"] == 50
    assert found["tile_size"] == found["tiles_size"] == 64 and found["tiles_overlap"] == 25
    # Deepness: (pixel / 255 − mean) / std is what the network was trained with.
    pixels = np.array([0.0, 102.0, 255.0])
    mean, std = found["standardization_mean"][0], found["standardization_std"][0]
    np.testing.assert_allclose((pixels / 255 - mean) / std, (pixels - 102) / 51)
    assert found["geodl_definition"]["ModelType"] == "ImageClassification"
    images = np.random.default_rng(0).normal(10, 10, (3, 1, 64, 64)).astype(np.float32)
    answer = infer(output, images)
    assert answer.shape == (3, 3, 64, 64)
    np.testing.assert_allclose(answer.sum(1), 1, atol=1e-5)
    np.testing.assert_array_equal(
        answer.argmax(1), np.abs(images - [[[[0]], [[10]], [[20]]]]).argmin(1)
    )
    shape = onnx.load(output).graph.input[0].type.tensor_type.shape.dim
    assert [each.dim_param or each.dim_value for each in shape] == ["batch", 1, 64, 64]
    told = describe_file({"model": output}, Progress())
    assert told["classes"][1]["name"] == "Car" and told["summary"].startswith("Classifies pixels")
    assert told["inputs"] == [{"name": "images", "shape": "batch × 1 × 64 × 64", "type": "float"}]
    assert "Segmentor" in page(told) and "geodl_definition" not in page(told)


def test_a_detector_as_onnx_answers_as_yolo(tmp_path):
    model = write_untrained(tmp_path / "trees.dlpk", "SSD")
    output = str(tmp_path / "trees.onnx")
    assert run(ConversionOptions(model, "onnx", output), Progress())["shift"] < 1e-3
    found = metadata_of(output)
    assert found["model_type"] == "Detector" and found["det_type"] == "YOLO_Ultralytics"
    assert found["class_names"] == {"0": "Tree", "1": "Car"}
    assert found["det_conf"] == 0.5 and found["det_remove_overlap"] is True
    answer = infer(output, np.zeros((2, 3, 64, 64), np.float32))
    assert answer.shape == (2, 4 + 2, 16)
    assert (answer[:, 2:4] > 0).all() and (answer[:, 4:] < 1).all()


def test_objects_for_openvino_in_any_size(tmp_path):
    model = write_model(tmp_path / "species.dlpk", "TEST_OBJECTS")
    output = str(tmp_path / "new" / "species.xml")
    run(ConversionOptions(model, "openvino", output), Progress())
    assert sorted(each.name for each in (tmp_path / "new").iterdir()) == [
        "species.bin", "species.xml",
    ]  # fmt: skip
    images = np.full((2, 1, 96, 160), 10, np.float32)
    assert infer(output, images).argmax(1).tolist() == [1, 1]
    read = openvino.Core().read_model(output)
    assert json.loads(read.get_rt_info(["geodl", "class_names"]).astype(str)) == {
        "0": "Tree", "1": "Car",
    }  # fmt: skip


def test_a_transformer_is_compared_at_sizes_that_it_takes(tmp_path):
    """One side was a pixel larger, which is no multiple of its patches: a traceback."""
    model = write_untrained(tmp_path / "a.dlpk", "FEATURE_CLASSIFIER", backbone="timm:test_vit")
    output = str(tmp_path / "a.xml")
    assert run(ConversionOptions(model, "openvino", output), Progress())["chance"] < 1e-3


def test_change_for_openvino_in_any_size_and_batch(tmp_path):
    model = write_untrained(tmp_path / "change.dlpk", "CHANGEDETECTOR", bands=1)
    output = str(tmp_path / "change.xml")
    run(ConversionOptions(model, "openvino", output), Progress())
    for count, rows in ((1, 64), (3, 96)):
        images = np.zeros((count, 2, rows, 64), np.float32)
        assert infer(output, images).shape == (count, 3, rows, 64)


class Halves(SmallPixels):
    """Cuts its batch, whose size the exporter then takes for a rule."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first, _ = torch.cat([images, images]).chunk(2)
        return super().forward(first)


def test_a_network_of_one_size_of_batches_is_one_sentence():
    network = Exportable(Halves(1, 2), make_model("TEST_PIXELS"))
    with pytest.raises(ModelError, match="as ONNX: it takes batches of one size only"):
        export(network)


class Fixed(SmallPixels):
    """Takes one size only."""

    fixed_tile = 64


def test_a_network_of_one_size_keeps_it():
    network = Exportable(Fixed(1, 2), make_model("TEST_PIXELS", chip_size=96))
    assert network.side == 64 and not network.any_size
    assert Exportable(SmallPixels(1, 2), make_model("TEST_PIXELS", chip_size=90)).side == 96


def test_what_answers_otherwise_is_not_kept():
    network = Exportable(SmallPixels(1, 2), make_model("TEST_PIXELS"))
    images = [torch.zeros(1, 1, 32, 32)]
    for answer in (np.ones((1, 3, 32, 32)) * 2, np.full((1, 3, 32, 32), np.nan), np.ones((1, 2))):
        with pytest.raises(ModelError, match="The converted model answers"):
            proof.compare(network, images, lambda _, answer=answer: answer)
    found = proof.compare(network, images, lambda batch: network(torch.from_numpy(batch)).detach())
    assert found.chance == 0 and str(found) == "0.0e+00 in probability"
    assert network.task is Task.PIXELS


@pytest.mark.parametrize(
    ("name", "width"), [("PSPNET", "psp_out_channels"), ("UPERNET", "decoder_channels")]
)
def test_what_pools_into_cells_is_written_for_one_size(tmp_path, name, width):
    """The places of the cells were those of another size: no such network could be converted."""
    kind = model_type(name)
    torch.manual_seed(0)
    arguments = kind.complete({**kind.arguments, width: 16}, np.zeros((0, 2)), 64)
    inner = build_network(NetworkSpec(name, "timm:test_resnet", arguments, 3, 2, 64))
    inner.train()(torch.randn(4, 3, 64, 64))
    for each in inner.modules():
        if isinstance(each, nn.Conv2d):
            each.weight.data *= 2  # so that the pooled maps matter
    network = Exportable(inner, make_model(name, bands=3))
    assert not network.any_size
    path = tmp_path / "a.onnx"
    path.write_bytes(export(network).SerializeToString())
    for images in trial_images(3, [(1, 64, 64), (3, 64, 64)]):
        np.testing.assert_allclose(
            infer(str(path), images.numpy()), network(images).detach(), atol=1e-4
        )


@pytest.mark.parametrize(
    ("backbone", "free"), [("timm:swin_tiny_patch4_window7_224", False), ("timm:test_vit", True)]
)
def test_transformers_that_look_through_windows_are_written_for_one_size(backbone, free):
    """For any size the exporter came to no end."""
    spec = NetworkSpec("FEATURE_CLASSIFIER", backbone, {}, 3, 2, 96)
    assert Exportable(build_network(spec), make_model(spec.model_type, bands=3)).any_size is free


@pytest.mark.parametrize("name", ["UNET_PLAIN", "FEATURE_CLASSIFIER", "SSD", "FASTERRCNN"])
def test_images_are_shrunk_inside_as_before(tmp_path, name, narrow_heads):
    """No model with a RESIZE_TO below the size of its chips could be converted."""
    kind = model_type(name)
    torch.manual_seed(0)
    changes = {"channels": [4, 8]} if name == "UNET_PLAIN" else {}
    arguments = {**kind.arguments, **changes}
    if kind.complete is not None:
        arguments = kind.complete(arguments, np.array([[16.0, 16.0]]), 64)
    spec = NetworkSpec(name, "timm:test_resnet", arguments, 3, 2, 96, resize_to=64)
    inner = build_network(spec).eval()
    images = trial_images(3, [(2, 96, 96)])[0]
    model = dataclasses.replace(make_model(name, bands=3), spec=spec)
    seen = []
    hook = inner.network.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    inner(images)
    network = Exportable(inner, model)
    inner(images)
    hook.remove()
    assert torch.allclose(seen[0], seen[-1], atol=1e-5)
    path = tmp_path / "a.onnx"
    path.write_bytes(export(network).SerializeToString())
    assert proof.compare(network, [images], open_runner(path)).share < 0.02


@pytest.mark.parametrize("name", ["SSD", "RETINANET", "FCOS"])
def test_candidates_are_what_is_detected(name):
    kind = model_type(name)
    arguments = kind.complete(dict(kind.arguments), np.array([[16.0, 16.0]]), 64)
    torch.manual_seed(0)
    network = build_network(NetworkSpec(name, "timm:test_resnet", arguments, 3, 2, 64)).eval()
    with torch.no_grad():
        answer = network(torch.randn(2, 3, 64, 96))
        boxes, chances = network.candidates(answer)
        found = network.detect(answer, (64, 96), 0.0)
    limits = torch.tensor([96.0, 64.0, 96.0, 64.0])
    for each, box, chance in zip(found, boxes, chances):
        assert len(each["scores"]) > 10
        clipped = torch.minimum(box.clamp(min=0), limits)
        for place in range(10):
            near = (clipped - each["boxes"][place]).abs().sum(1) < 1e-3
            scores = chance[near, each["labels"][place]]
            assert torch.isclose(scores, each["scores"][place], atol=1e-5).any()


def test_several_labels_are_told_each_by_itself():
    model = make_model("TEST_OBJECTS", several_labels=True)
    network = Exportable(Brightest(2, pixels=False), model)
    told = network(torch.full((1, 1, 32, 32), 10.0))
    np.testing.assert_allclose(told.numpy(), [[1 / (1 + np.e**100), 0.5]], atol=1e-6)


class Wild(nn.Module):
    """Has an answer whose form depends on what it sees."""

    tile_step = 32
    fixed_tile = None

    def forward(self, images):
        return images[images > float(images.mean())]


def test_what_cannot_be_converted_is_a_sentence(tmp_path, monkeypatch):
    model = write_model(tmp_path / "trees.dlpk", "TEST_NUMBERS")
    with pytest.raises(ModelError, match="whose answer has no fixed form"):
        run(ConversionOptions(model, "onnx", str(tmp_path / "a.onnx")), Progress())
    pixels = write_model(tmp_path / "pixels.dlpk", "TEST_PIXELS")
    monkeypatch.setattr(
        "geodl_plugin.core.conversion.convert.load_network", lambda model, package: Wild()
    )
    for name, suffix in (("onnx", ".onnx"), ("arcgis", ".dlpk")):
        output = str(tmp_path / f"a{suffix}")
        with pytest.raises(ModelError, match=r"cannot be written as|cannot read") as caught:
            run(ConversionOptions(pixels, name, output), Progress())
        assert "\n" not in str(caught.value)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["pixels.dlpk", "trees.dlpk"]


@pytest.mark.parametrize(
    ("name", "output", "sentence"),
    [
        ("tflite", "a.tflite", "There is no FORMAT 'tflite'. Choose one of: onnx, openvino, arc"),
        ("onnx", "a.pt", "'a.pt' is no name for the format onnx. Give it the extension .onnx"),
    ],
)
def test_wrong_options_are_a_sentence(name, output, sentence):
    with pytest.raises(InputError) as caught:
        ConversionOptions("trees.dlpk", name, output).check()
    assert sentence in str(caught.value)


@pytest.mark.parametrize("kind", ["CycleGAN", "ImageClassification"])
def test_what_others_have_made_is_not_converted(kind, tmp_path):
    model = json.dumps({"ModelType": kind, "ModelFile": str(tmp_path / "net.pt")})
    with pytest.raises(ModelError, match="'model' was not trained with GeoDL"):
        run(ConversionOptions(model, "onnx", str(tmp_path / "a.onnx")), Progress())


@pytest.mark.parametrize("external", [False, True])
def test_a_network_of_others_tells_what_its_metadata_say(external, tmp_path):
    path = pixel_onnx(tmp_path / "net.onnx", 3, model_type="Segmentor", class_names=["bg", "Tree"])
    if external:
        beside = {"save_as_external_data": True, "location": "net.data", "size_threshold": 0}
        onnx.save(onnx.load(path), path, **beside)
    told = describe_file({"model": path}, Progress())
    assert told["summary"] == "Classifies pixels: Tree · 3 bands" and told["usable"] is True
    assert [each["name"] for each in told["classes"]] == ["Tree"]
    assert "padding" in told["arguments"] and "Tree" in page(told)


@pytest.mark.parametrize("content", [b"", b"no network", None])
def test_what_is_no_onnx_is_a_sentence(tmp_path, content):
    path = tmp_path / "a.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"'a.onnx' is no ONNX network|There is no file") as caught:
        describe_file({"model": str(path)}, Progress())
    assert "\n" not in str(caught.value)


def test_the_weights_of_a_definition_are_not_replaced(tmp_path):
    weights = tmp_path / "net.xml"
    weights.write_bytes(b"weights")
    (tmp_path / "net.emd").write_text('{"ModelFile": "net.xml"}')
    with pytest.raises(InputError, match=r"'net\.xml' is an input"):
        run(ConversionOptions(str(tmp_path / "net.emd"), "openvino", str(weights)), Progress())
    assert weights.read_bytes() == b"weights"
