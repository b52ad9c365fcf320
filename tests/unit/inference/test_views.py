"""Test-time augmentation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from geodl_plugin.core.inference.views import MAP_VIEWS, PIXEL_VIEWS, Views


class Shift(nn.Module):
    """Answers with two classes of which the first is the image moved to the right."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([images.roll(1, -1), torch.zeros_like(images)], 1)


@pytest.mark.parametrize("views", [MAP_VIEWS, PIXEL_VIEWS])
def test_every_view_is_undone(views: list) -> None:
    images = torch.rand(2, 3, 4, 6)
    seen = {tuple(look(images).flatten().tolist()) for look, _ in views}
    assert len(seen) == len(views)
    for look, back in views:
        assert torch.equal(back(look(images)), images)


def test_the_answer_is_the_mean_probability() -> None:
    images = torch.rand(1, 1, 5, 5) * 4
    answer = Views(Shift(), True)(images).softmax(1)
    expected = torch.zeros(1, 2, 5, 5)
    for look, back in MAP_VIEWS:
        expected += back(Shift()(look(images)).softmax(1)) / 8
    assert torch.allclose(answer, expected, atol=1e-6)
    turned = Views(Shift(), True)(images.rot90(1, (-2, -1))).softmax(1)
    assert torch.allclose(turned, answer.rot90(1, (-2, -1)), atol=1e-6)


def test_photographs_keep_up_and_down() -> None:
    class Top(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.stack([images[:, 0, 0].sum(-1), images[:, 0, -1].sum(-1)], 1)

    images = torch.zeros(1, 1, 4, 4)
    images[0, 0, 0] = 1.0
    assert Views(Top(), False)(images).argmax(1).item() == 0
    chances = Views(Top(), True)(images).softmax(1)
    assert chances[0, 0].item() == pytest.approx(0.5)


def test_classes_that_do_not_exclude_each_other() -> None:
    class Same(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[2.0, -1.0, 3.0]]).expand(len(images), 3)

    answer = Views(Same(), True, several=True)(torch.rand(2, 1, 4, 4))
    assert torch.allclose(answer, torch.tensor([[2.0, -1.0, 3.0]]).expand(2, 3), atol=1e-5)
