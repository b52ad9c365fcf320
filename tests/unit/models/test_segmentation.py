"""The architectures of segmentation-models-pytorch as model types."""

from __future__ import annotations

import dataclasses
import inspect

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from torch.nn import functional

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.models.registry import NetworkSpec, build_network, model_type
from geodl_plugin.core.models.segmentation import ARCHITECTURES, CHOICES

SMALL = {  # narrower decoders than the default ones: quick to compute
    "UNET": {"decoder_channels": [16, 16, 8, 8, 8]},
    "UNETPLUSPLUS": {"decoder_channels": [16, 16, 8, 8, 8]},
    "DEEPLAB": {"decoder_channels": 16, "decoder_aspp_dropout": 0.0},
    "FPN": {
        "decoder_pyramid_channels": 32,
        "decoder_segmentation_channels": 64,
        "decoder_dropout": 0.0,
    },
    "PSPNET": {"psp_out_channels": 16, "psp_dropout": 0.0},
    "LINKNET": {},
    "MANET": {"decoder_channels": [16, 16, 16, 16, 16], "decoder_pab_channels": 8},
    "PAN": {"decoder_channels": 8},
    "UPERNET": {"decoder_channels": 16},
    "SEGFORMER": {"decoder_segmentation_channels": 16},
}
STEPS = {"PAN": 128, "PSPNET": 8, "DEEPLAB": 16}  # others: 32
TINY = "timm:test_resnet"


def spec_of(
    name: str, bands: int = 3, classes: int = 2, backbone: str = TINY, **more: object
) -> NetworkSpec:
    arguments = {**model_type(name).arguments, **SMALL[name], **more}
    return NetworkSpec(name, backbone, arguments, bands, classes, 128)


def completed(name: str, chip_size: int = 128, **more: object) -> dict:
    kind = model_type(name)
    return kind.complete({**kind.arguments, **more}, np.zeros((0, 2)), chip_size)


@pytest.mark.parametrize(
    ("name", "bands"), [(name, (1, 3, 8)[place % 3]) for place, name in enumerate(ARCHITECTURES)]
)
def test_answers_are_as_large_as_tiles_of_any_step(name, bands):
    network = build_network(spec_of(name, bands)).eval()
    step = network.tile_step
    assert step == STEPS.get(name, 32) and network.fixed_tile is None
    assert list(network.encoder.parameters())
    for rows, cols in ((1, 1), (1, 2), (3, 1)):
        with torch.no_grad():
            answer = network(torch.rand(1, bands, rows * step, cols * step))
        assert answer.shape == (1, 3, rows * step, cols * step)
        assert answer.dtype == torch.float32


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_defaults_are_those_of_the_library(name):
    architecture = ARCHITECTURES[name]
    library = inspect.signature(getattr(smp, architecture.library_name).__init__).parameters
    for argument, value in architecture.arguments.items():
        if argument == "decoder_atrous_rates":
            continue  # follow from the stride
        default = library[argument].default
        default = list(default) if isinstance(default, tuple) else default
        assert value == ("none" if default is None else default), argument
    follows = {"decoder_atrous_rates": [6, 12, 18]} if name == "DEEPLAB" else {}
    assert completed(name) == {**architecture.arguments, "sigmoid": False, **follows}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_one_chip_trains_and_the_loss_falls(name):
    """A batch of one: maps that are pooled to one pixel have no spread there."""
    torch.manual_seed(2)
    network = build_network(spec_of(name, 3, 1, sigmoid=True)).train()
    side = 128 if name == "PAN" else 64
    images = torch.rand(1, 3, side, side)
    images[..., : side // 2] += 1
    targets = (images[:, 0] > 1).long()
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    losses = []
    for _ in range(6):
        answer = network(images)
        loss = functional.cross_entropy(answer, targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert answer.shape == (1, 2, side, side)
    assert min(losses[-3:]) < 0.9 * losses[0]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_choice_that_is_offered_works(name):
    """Nothing is computed on the device without memory, but everything is built and run."""
    architecture = ARCHITECTURES[name]
    for argument, default in architecture.arguments.items():
        offered = architecture.choices.get(argument) or CHOICES.get(argument, ())
        for value in {*offered, *((True, False) if isinstance(default, bool) else ())}:
            arguments = completed(name, 256, **{argument: value})
            with torch.device("meta"):
                network = build_network(NetworkSpec(name, "resnet18", arguments, 3, 2, 256))
                network.eval()
                side = max(network.tile_step, 64)
                assert network(torch.zeros(1, 3, side, side)).shape == (1, 3, side, side)


@pytest.mark.parametrize("name", ["DEEPLAB", "UPERNET"])
def test_saved_and_loaded_it_answers_alike(name):
    one, other = build_network(spec_of(name)).eval(), build_network(spec_of(name)).eval()
    other.load_state_dict(one.state_dict())
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        assert torch.equal(one(image), other(image))


@pytest.mark.parametrize(
    ("name", "depth"),
    [("UNET", 4), ("FPN", 3), ("FPN", 4), ("PSPNET", 5), ("DEEPLAB", 3), ("PAN", 4), ("MANET", 3)],
)
def test_shallow_encoders_answer_at_full_size(name, depth):
    more = {"encoder_depth": depth}
    if "decoder_channels" in SMALL[name] and name in ("UNET", "MANET"):
        more["decoder_channels"] = [16] * depth
    network = build_network(spec_of(name, **more)).eval()
    side = max(network.tile_step, 32)
    with torch.no_grad():
        assert network(torch.rand(1, 3, side, side)).shape[-2:] == (side, side)


def test_what_pools_over_the_tile_says_so():
    assert build_network(spec_of("DEEPLAB")).sees_whole_tile
    assert not build_network(spec_of("UNET")).sees_whole_tile
    attentive = {"decoder_attention_type": "scse", "decoder_channels": [16] * 5}
    assert build_network(spec_of("UNET", **attentive)).sees_whole_tile


def test_a_shallow_unet_gets_fitting_channels_by_itself():
    assert completed("UNET", encoder_depth=3)["decoder_channels"] == [64, 32, 16][-3:]


def test_atrous_rates_and_stride_are_those_asked_for():
    spec = spec_of("DEEPLAB", decoder_atrous_rates=[2, 4, 6], encoder_output_stride=8)
    network = build_network(spec)
    assert rates_of(network) == {1, 2, 4, 6} and network.tile_step == 8


def rates_of(network: torch.nn.Module) -> set[int]:
    layers = network.network.decoder.modules()
    return {each.dilation[0] for each in layers if isinstance(each, torch.nn.Conv2d)}


@pytest.mark.parametrize(("stride", "rates"), [(16, [6, 12, 18]), (8, [12, 24, 36])])
def test_atrous_rates_see_as_far_at_any_stride(stride, rates):
    """Chen et al. 2018 halve the rates where the maps are half as fine."""
    arguments = completed("DEEPLAB", encoder_output_stride=stride)
    assert arguments["decoder_atrous_rates"] == rates
    assert rates_of(build_network(spec_of("DEEPLAB", **arguments))) == {1, *rates}
    given = completed("DEEPLAB", decoder_atrous_rates=[12, 24, 36])
    assert given["decoder_atrous_rates"] == [12, 24, 36], "what is named stays"
    left = NetworkSpec("DEEPLAB", "resnet18", {"encoder_output_stride": stride}, 3, 1, 128)
    assert rates_of(build_network(left)) == {1, 12, 24, 36}, "as before rates were named"


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("UNET", {"encoder_depth": 6}, "encoder_depth=6 does not work with UNET"),
        ("UNET", {"decoder_channels": [16, 8]}, "as many whole numbers as encoder_depth=5"),
        ("UNET", {"decoder_attention_type": "cbam"}, "Choose one of: none, scse"),
        (
            "UNET",
            {"decoder_attention_type": "scse", "decoder_channels": [32, 16, 16, 16, 8]},
            "must be 16 at least for decoder_attention_type=scse",
        ),
        ("FPN", {"decoder_merge_policy": "sum"}, "Choose one of: add, cat"),
        ("FPN", {"decoder_pyramid_channels": 48}, "must be a multiple of 32"),
        ("FPN", {"decoder_dropout": 1.5}, "decoder_dropout=1.5 must be at least 0"),
        ("DEEPLAB", {"encoder_output_stride": 32}, "Choose one of: 8, 16"),
        ("DEEPLAB", {"decoder_atrous_rates": [6, 12]}, "three whole numbers"),
        ("PSPNET", {"decoder_use_norm": "instancenorm"}, "Choose one of: batchnorm, identity"),
        ("PSPNET", {"psp_out_channels": 0}, "psp_out_channels=0 must be 1 at least"),
    ],
)
def test_wrong_arguments_are_one_sentence(name, arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        completed(name, **arguments)


def test_chips_too_small_for_an_architecture_are_one_sentence():
    with pytest.raises(InputError, match="PAN needs chips of 128 pixels at least, but it gets 96"):
        completed("PAN", chip_size=96)
    with pytest.raises(InputError, match="256 pixels at least"):
        completed("PAN", chip_size=128, encoder_output_stride=32)


@pytest.mark.parametrize(
    ("name", "backbone"),
    [
        ("DEEPLAB", "densenet121"),
        ("LINKNET", "mit_b0"),
        ("DEEPLAB", "timm:swin_s3_tiny_224"),
        ("UNET", "timm:vit_tiny_patch16_224"),
    ],
)
def test_encoders_that_do_not_fit_are_one_sentence(name, backbone):
    with pytest.raises(InputError) as caught:
        build_network(spec_of(name, backbone=backbone))
    assert f"{name} cannot be built on the backbone '{backbone}'" in str(caught.value)
    assert "\n" not in str(caught.value) and "Choose another backbone" in str(caught.value)


def test_transformers_take_other_sides_than_their_own():
    network = build_network(spec_of("FPN", backbone="timm:swin_s3_tiny_224")).eval()
    assert network.fixed_tile is None
    with torch.no_grad():
        assert network(torch.rand(1, 3, 64, 96)).shape == (1, 3, 64, 96)


def test_transformers_of_one_side_keep_to_that_of_the_chips():
    spec = spec_of("FPN", backbone="timm:coat_lite_tiny")
    network = build_network(dataclasses.replace(spec, chip_size=64)).eval()
    assert network.fixed_tile == 64
    with torch.no_grad():
        assert network(torch.rand(1, 3, 64, 64)).shape == (1, 3, 64, 64)


def test_models_written_before_the_arguments_were_known_still_load():
    network = build_network(NetworkSpec("UNET", "resnet18", {}, 3, 1, 64))
    assert network.network.decoder.blocks[0].conv1[0].out_channels == 256
