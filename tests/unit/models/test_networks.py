"""Encoders, their weights, and the networks of pixels and objects."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.models.networks.backbones import build_pyramid
from geodl_plugin.core.models.networks.weights import fetch, repeat_bands
from geodl_plugin.core.models.registry import NetworkSpec, build_network


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
