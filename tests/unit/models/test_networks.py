"""Encoders, their weights, and the networks of pixels and objects."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.models.networks.backbones import build_pyramid, check_strides, choose_way
from geodl_plugin.core.models.networks.weights import fetch, repeat_bands
from geodl_plugin.core.models.registry import NetworkSpec, build_network
from geodl_plugin.core.models.registry import model_type as registered


@pytest.mark.parametrize(
    "name", ["resnet18", "timm:mobilenetv3_small_050", "timm:swin_s3_tiny_224"]
)
def test_pyramids_tell_their_strides_and_channels(name):
    if "swin" in name:
        side, bands = 224, 3
    else:
        side, bands = 64, 5
    pyramid = build_pyramid(name, bands, side, "none").eval()
    with torch.no_grad():
        maps = pyramid(torch.zeros(1, bands, side, side))
    assert [each.shape[1] for each in maps] == list(pyramid.channels)
    assert [side // each.shape[-1] for each in maps] == list(pyramid.strides)


@pytest.mark.parametrize(
    ("name", "side", "way", "free"),
    [
        ("resnet18", 64, {}, True),
        ("swin_tiny_patch4_window7_224", 256, {"strict_img_size": False}, True),
        ("swinv2_tiny_window8_256", 256, {"strict_img_size": False}, True),
        ("vit_tiny_patch16_224", 256, {"dynamic_img_size": True}, True),
        ("test_vit_relpos", 96, {"img_size": 96}, False),
        ("maxvit_pico_rw_256", 256, {}, False),
        # Not all can be built without memory.
        ("regnetx_002", 64, {}, True),
    ],
)
def test_networks_are_told_to_take_the_chips(name, side, way, free):
    told, takes_all, shape = choose_way(name, 4, side)
    assert (told, takes_all) == (way, free)
    assert shape[0] == 1 and len(shape) == 4


@pytest.mark.parametrize("model_type", ["FEATURE_CLASSIFIER", "SSD", "RETINANET", "FASTERRCNN"])
def test_transformers_of_one_side_say_so(model_type):
    """They were taken for networks of any side, and failed at tiles of another one."""
    arguments = {
        "SSD": {"grids": [2], "zooms": [1.0], "ratios": [[1.0, 1.0]], "drop": 0.0},
        "RETINANET": {"anchor_sizes": [32.0]},
        "FASTERRCNN": {"anchor_sizes": [32.0]},
    }
    kind = registered(model_type)
    given = {**kind.arguments, **arguments.get(model_type, {})}
    if kind.complete is not None:
        given = kind.complete(given, np.array([[24.0, 24.0]]), 64)
    spec = NetworkSpec(model_type, "timm:test_maxvit", given, 2, 1, 64)
    network = build_network(spec).eval()
    assert network.fixed_tile == 64
    with torch.no_grad():
        network(torch.zeros(1, 2, 64, 64))
    free = dataclasses.replace(spec, backbone="timm:test_resnet")
    assert build_network(free).fixed_tile is None


def test_backbones_that_do_not_fit_are_one_sentence():
    with pytest.raises(InputError) as caught:
        build_pyramid("timm:test_maxvit", 3, 100, "none")
    assert "'test_maxvit' cannot be used for chips of 100 pixels (" in str(caught.value)
    assert "Choose another backbone, resnet34" in str(caught.value)
    assert "\n" not in str(caught.value)
    fits = build_pyramid("timm:test_vit", 3, 64, "none")
    check_strides(fits, "timm:test_vit")
    fits.strides = (14, 14)
    with pytest.raises(InputError, match="maps of 14, 14 pixels a cell, but detectors need powers"):
        check_strides(fits, "timm:vit_small_patch14_dinov2")


def test_a_file_of_weights_fits_other_bands(tmp_path):
    source = build_pyramid("resnet18", 3, 64, "none")
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    torch.save({"state_dict": source.state_dict()}, tmp_path / "w.pth")
    for name in ("w.safetensors", "w.pth"):
        loaded = build_pyramid("resnet18", 4, 64, str(tmp_path / name))
        first = source.conv1.weight
        assert torch.allclose(loaded.conv1.weight[:, :3], first * 3 / 4)
        assert torch.allclose(loaded.conv1.weight[:, 3], first[:, 0] * 3 / 4)
        assert torch.equal(loaded.layer4[1].conv2.weight, source.layer4[1].conv2.weight)
    with pytest.raises(InputError, match="tensors of the backbone are in"):
        build_pyramid("resnet50", 3, 64, str(tmp_path / "w.pth"))
    (tmp_path / "no.pth").write_bytes(b"no weights")
    with pytest.raises(InputError, match="holds no weights that can be read safely"):
        build_pyramid("resnet18", 3, 64, str(tmp_path / "no.pth"))


def test_repeated_bands_keep_the_answer_to_grey():
    weight = torch.rand(4, 3, 7, 7)
    assert torch.allclose(repeat_bands(weight, 6).sum(1), weight.sum(1), atol=1e-5)


def test_offline_names_the_way_out():
    def offline():
        raise OSError("Name or service not known\nsecond line")

    with pytest.raises(InputError) as caught:
        fetch("resnet34", offline)
    assert "WEIGHTS=none" in str(caught.value) and "\n" not in str(caught.value)


def test_unet_answers_every_pixel_and_the_classifier_every_image():
    unet = build_network(NetworkSpec("UNET", "resnet18", {}, 4, 2, 64)).eval()
    classifier = build_network(NetworkSpec("FEATURE_CLASSIFIER", "resnet18", {}, 4, 2, 64)).eval()
    with torch.no_grad():
        assert unet(torch.zeros(2, 4, 64, 96)).shape == (2, 3, 64, 96)
        assert classifier(torch.zeros(2, 4, 40, 40)).shape == (2, 2)
    assert unet.tile_step == 32 and classifier.fixed_tile is None


def test_a_timm_encoder_serves_the_unet():
    spec = NetworkSpec("UNET", "timm:mobilenetv3_small_050", {}, 2, 1, 64)
    with torch.no_grad():
        assert build_network(spec).eval()(torch.zeros(1, 2, 64, 64)).shape == (1, 2, 64, 64)
