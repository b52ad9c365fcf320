"""Scores that tell how well a box fits its object."""

from __future__ import annotations

import pytest
import torch
from torchvision.ops import sigmoid_focal_loss

from geodl_plugin.core.models.networks.quality import quality_focal_loss, shares_of_best


def test_the_nearest_box_of_each_object_is_to_tell_all_of_it():
    wanted = torch.tensor([[0.0, 0, 10, 10]] * 3 + [[50.0, 50, 60, 60]] * 2)
    boxes = wanted + torch.tensor([0.0, 2.0, 40.0, 5.0, 20.0])[:, None] * torch.tensor([1, 0, 1, 0])
    objects = torch.tensor([0, 0, 0, 2, 2])  # the second object has no anchor
    found = shares_of_best(boxes, wanted, objects, 3)
    assert found.tolist() == pytest.approx([1.0, 2 / 3, 0, 1.0, 0], abs=0.04)
    # Where none is near all are taught.
    assert shares_of_best(boxes[2:3], wanted[:1], objects[:1], 1).tolist() == [1.0]
    assert not len(shares_of_best(boxes[:0], wanted[:0], objects[:0], 0))


def test_focal_loss_of_yes_and_no_is_that_of_torchvision():
    scores = torch.linspace(-4, 4, 9)
    for truth in (torch.zeros(9), torch.ones(9)):
        assert torch.allclose(
            quality_focal_loss(scores, truth), sigmoid_focal_loss(scores, truth), atol=1e-6
        )
