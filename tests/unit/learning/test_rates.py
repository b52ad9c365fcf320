"""The learning-rate finder."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.learning.module import ObjectModule
from geodl_plugin.core.learning.rates import HIGHEST, LOWEST, find_rate, suggest
from geodl_plugin.core.progress import Phase, Progress


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(1, 4, 3)
        self.head = nn.Linear(4, 2)

    def forward(self, images):
        return self.head(self.encoder(images).relu().mean((2, 3)))


def test_the_suggestion_lies_two_thirds_along_the_fall():
    rates = np.geomspace(LOWEST, HIGHEST, 100)
    losses = np.r_[np.linspace(1.0, 1.01, 30), np.linspace(1.0, 0.2, 46), np.linspace(0.3, 2, 24)]
    suggestion, steepest = suggest(rates.tolist(), losses.tolist())
    assert suggestion == pytest.approx(rates[29 + round(46 * 2 / 3)], rel=0.2)
    assert rates[29] <= steepest <= rates[76]


def test_nothing_that_falls_is_refused():
    rates = np.geomspace(LOWEST, HIGHEST, 50).tolist()
    with pytest.raises(InputError, match="Give LEARNING_RATE"):
        suggest(rates, np.linspace(1, 2, 50).tolist())


def test_the_network_is_as_it_was():
    torch.manual_seed(0)
    images = torch.randn(8, 1, 8, 8)
    labels = (images.mean((1, 2, 3)) > 0).long()
    module = ObjectModule(Tiny(), ["a", "b"], (1e-3, 1e-3), frozen_until=0)
    before = {name: value.clone() for name, value in module.network.state_dict().items()}
    phase = Phase(Progress(), "Finding", 60, "batches")
    curve = find_rate(module, [(images, labels)], torch.device("cpu"), "float32", phase)
    after = module.network.state_dict()
    assert all(each.requires_grad for each in module.parameters())
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert LOWEST < curve.suggestion < HIGHEST and len(curve.rates) == len(curve.losses)
