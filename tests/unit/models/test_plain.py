"""The networks built block by block."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.learning.losses import LOSSES, make_loss
from geodl_plugin.core.learning.module import PixelModule
from geodl_plugin.core.models.networks.segmentation import beside_zero
from geodl_plugin.core.models.registry import NetworkSpec, build_network, model_type

NAMES = ("FCN", "UNET_PLAIN", "UNETPLUSPLUS_DS")


def spec_of(name: str, bands: int = 3, classes: int = 2, **arguments: object) -> NetworkSpec:
    defaults = dict(model_type(name).arguments, channels=[4, 6, 8, 10, 12])
    return NetworkSpec(name, "", {**defaults, **arguments}, bands, classes, 64)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bands", [1, 3, 8])
def test_any_side_comes_back_as_it_was(name, bands):
    network = build_network(spec_of(name, bands)).eval()
    assert network.tile_step == 16 and network.fixed_tile is None
    for height, width in ((16, 16), (64, 48), (33, 50), (7, 3)):
        with torch.no_grad():
            assert network(torch.rand(2, bands, height, width)).shape == (2, 3, height, width)


@pytest.mark.parametrize("name", NAMES)
def test_padding_does_not_reach_what_fits(name):
    """A smaller multiple of the step is no other image when its surroundings are empty."""
    network = build_network(spec_of(name)).eval()
    assert list(network.encoder.parameters())
    image = torch.rand(1, 3, 64, 64)
    image[..., 40:] = 0
    with torch.no_grad():
        padded = network(image[..., :40])
        assert torch.allclose(padded, network(image[..., :48])[..., :40], atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sigmoid", [False, True])
def test_the_loss_falls_in_a_few_steps(name, sigmoid):
    torch.manual_seed(1)
    network = build_network(spec_of(name, 1, 1, sigmoid=sigmoid)).train()
    images = torch.rand(4, 1, 32, 32)
    targets = (images[:, 0] > 0.5).long()
    module = PixelModule(network, ["class"], (1e-2, 1e-2))
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        loss = module.loss(network(images), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_it_answers_alike(name):
    one, other = build_network(spec_of(name)).eval(), build_network(spec_of(name)).eval()
    other.load_state_dict(one.state_dict())
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(one(image), other(image))


def test_fcn_equals_joining_all_maps_at_full_size():
    network = build_network(spec_of("FCN")).eval()
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        maps = [
            functional.interpolate(each, size=(32, 32), mode="bilinear", align_corners=False)
            for each in network.encoder(image)
        ]
        weight = torch.cat([head.weight for head in network.heads], 1)
        bias = sum(head.bias for head in network.heads)
        joined = functional.conv2d(torch.cat(maps, 1), weight, bias)
        assert torch.allclose(network(image), joined, atol=1e-5)


def test_tiles_of_an_fcn_equal_the_whole():
    """With a rim as wide as the receptive field, the middle of a tile is that of the whole."""
    network = build_network(spec_of("FCN", channels=[4, 6, 8])).eval()
    image = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        whole, tile = network(image), network(image[..., 16:80, 16:80])
    assert torch.allclose(whole[..., 40:56, 40:56], tile[..., 24:40, 24:40], atol=1e-5)


def test_without_batch_norm_and_with_dropout_layers_are_as_told():
    network = build_network(spec_of("UNET_PLAIN", batch_norm=False, dropout=0.25))
    kinds = [type(each) for each in network.modules()]
    assert torch.nn.BatchNorm2d not in kinds
    assert kinds.count(torch.nn.Dropout2d) == 9  # five blocks down, four up
    assert all(each.p == 0.25 for each in network.modules() if isinstance(each, torch.nn.Dropout2d))


def test_a_pruned_branch_leaves_out_what_lies_to_its_right():
    whole = build_network(spec_of("UNETPLUSPLUS_DS")).eval()
    image = torch.rand(1, 3, 64, 64)
    assert len(whole.train()(image.repeat(2, 1, 1, 1))) == 4
    flops, answers = [], []
    for prune in (1, 2, 3, 4, 0):
        network = build_network(spec_of("UNETPLUSPLUS_DS", prune=prune)).eval()
        network.load_state_dict(whole.state_dict())
        called: list[str] = []
        for name, node in network.nodes.items():
            node.register_forward_hook(lambda *_, name=name, to=called: to.append(name))
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            answers.append(network(image))
        flops.append(counter.get_total_flops())
        last = prune or 4
        wanted = {f"{i}_{j}" for j in range(1, last + 1) for i in range(last - j + 1)}
        assert set(called) == wanted and len(called) == len(wanted)
    assert flops == sorted(flops) and flops[0] < flops[1] < flops[2] < flops[3] < flops[4]
    assert torch.allclose(answers[-1], torch.stack(answers[:-1]).mean(0), atol=1e-5)


def test_deep_supervision_is_the_mean_of_the_heads_losses():
    network = build_network(spec_of("UNETPLUSPLUS_DS"))
    module = PixelModule(network, ["a", "b"], (1e-3, 1e-3))
    heads = [torch.rand(1, 3, 8, 8) for _ in range(4)]
    targets = torch.randint(0, 3, (1, 8, 8))
    single = torch.stack([functional.cross_entropy(each, targets) for each in heads])
    assert torch.allclose(module.loss(heads, targets), single.mean())


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("FCN", {"channels": [4]}, "two whole numbers at least"),
        ("FCN", {"channels": [4, 0.5]}, "two whole numbers at least"),
        ("UNET_PLAIN", {"channels": [4] * 8}, "halve the chips 7 times"),
        ("UNET_PLAIN", {"dropout": 1.0}, "dropout=1.0"),
        ("UNETPLUSPLUS_DS", {"prune": 5}, "one of the branches 1 to 4"),
    ],
)
def test_wrong_arguments_are_one_sentence(name, arguments, sentence):
    kind = model_type(name)
    with pytest.raises(InputError, match=sentence):
        kind.complete({**kind.arguments, **arguments}, np.zeros((0, 2)), 64)


def test_sigmoid_is_for_one_class():
    with pytest.raises(InputError, match="there are 2 classes"):
        build_network(spec_of("FCN", sigmoid=True))
    network = build_network(dataclasses.replace(spec_of("FCN", sigmoid=True), class_count=1))
    answer = network(torch.rand(2, 3, 32, 32))
    assert answer.shape == (2, 2, 32, 32) and not answer[:, 0].any()
    chance = answer.softmax(1)[:, 1]
    assert torch.allclose(chance, answer[:, 1].sigmoid(), atol=1e-6)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss_takes_one_output_as_well_as_two(name):
    logit = torch.randn(2, 1, 8, 8, requires_grad=True)
    targets = torch.randint(-1, 2, (2, 8, 8))
    loss = make_loss(name)(beside_zero(logit), targets)
    loss.backward()
    assert torch.isfinite(loss) and logit.grad.abs().sum() > 0
    assert not logit.grad[:, 0][targets < 0].any()  # unlabelled pixels teach nothing
    two = torch.cat([-logit / 2, logit / 2], 1)  # the same probabilities
    assert torch.allclose(loss, make_loss(name)(two, targets), atol=1e-5)


def test_cross_entropy_of_one_output_is_that_of_its_sigmoid():
    logit, targets = torch.randn(2, 1, 8, 8), torch.randint(0, 2, (2, 8, 8))
    wanted = functional.binary_cross_entropy_with_logits(logit[:, 0], targets.float())
    assert torch.allclose(LOSSES["cross_entropy"](beside_zero(logit), targets), wanted)
