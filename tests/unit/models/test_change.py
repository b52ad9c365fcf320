"""The network that tells change between two dates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.models.registry import (
    NetworkSpec,
    build_network,
    default_model_type,
    model_type,
)

TINY = "timm:test_resnet"


def network_of(bands: int = 3, classes: int = 2, attention: str = "none", backbone: str = TINY):
    arguments = {"attention": attention, "sigmoid": classes == 1}
    return build_network(
        NetworkSpec("CHANGEDETECTOR", backbone, arguments, bands, classes, 64, "none")
    )


@pytest.mark.parametrize(("bands", "attention"), [(1, "none"), (3, "channel"), (8, "spatial")])
def test_two_dates_give_one_answer(bands, attention):
    network = network_of(bands, attention=attention).eval()
    assert network.tile_step == 32 and network.fixed_tile is None
    assert network.sees_whole_tile == (attention == "channel")
    for rows, cols in ((32, 32), (64, 96)):
        with torch.no_grad():
            assert network(torch.rand(2, 2 * bands, rows, cols)).shape == (2, 3, rows, cols)


def test_the_same_image_twice_is_the_same_everywhere_whatever_it_shows():
    network = network_of().eval()
    image, other = torch.rand(2, 3, 64, 64)[:, None]
    with torch.no_grad():
        same = network(torch.cat([image, image], 1))
        alike = network(torch.cat([other, other], 1))
        there, back = network(torch.cat([image, other], 1)), network(torch.cat([other, image], 1))
    assert torch.allclose(same, alike, atol=1e-5)
    assert not torch.allclose(there, back, atol=1e-3)  # gain is no loss


@pytest.mark.parametrize("attention", ["none", "channel", "spatial"])
def test_the_loss_falls_in_a_few_steps(attention):
    torch.manual_seed(0)
    network = network_of(3, 1, attention).train()
    images = torch.rand(2, 6, 64, 64)
    images[:, 3:, :32] += 2
    targets = torch.zeros(2, 64, 64, dtype=torch.long)
    targets[:, :32] = 1
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    losses = []
    for _ in range(6):
        loss = functional.cross_entropy(network(images), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert min(losses[-3:]) < 0.9 * losses[0]


def test_encoders_without_maps_at_half_the_size_work_with_attention():
    network = network_of(attention="channel", backbone="timm:convnext_atto").eval()
    with torch.no_grad():
        assert network(torch.rand(1, 6, 64, 64)).shape == (1, 3, 64, 64)


def test_pairs_are_learnt_by_it_unless_told_otherwise():
    assert default_model_type("Classified_Tiles", pairs=True).name == "CHANGEDETECTOR"
    assert default_model_type("Classified_Tiles").name == "UNET"


def test_unknown_attention_is_one_sentence():
    with pytest.raises(InputError, match=r"no attention 'self'. Choose one of: none, channel"):
        model_type("CHANGEDETECTOR").complete({"attention": "self"}, np.zeros((0, 2)), 64)
