"""Instances by segment, border and inner."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.models.networks.unet_id import separate, truth_of
from geodl_plugin.core.models.registry import NetworkSpec, build_network, model_type

TINY = "timm:test_resnet"


def network_of(bands: int = 3, classes: int = 2):
    return build_network(NetworkSpec("UNET_ID", TINY, {"border_width": 2}, bands, classes, 64))


def discs(side: int, *places: tuple[int, int, int]) -> torch.Tensor:
    rows, cols = np.mgrid[:side, :side]
    masks = [(rows - row) ** 2 + (cols - col) ** 2 <= radius**2 for row, col, radius in places]
    return torch.from_numpy(np.stack(masks))


def as_outputs(target: dict[str, torch.Tensor], classes: int, width: int) -> dict:
    """Return the logits of a network that has learnt a target by heart."""
    segment, border, inner = truth_of(target, target["masks"].shape[-2:], width)
    hot = torch.nn.functional.one_hot(segment, classes + 1).movedim(-1, 0)
    return {
        "segment": hot[None] * 12.0,
        "border": (border[None, None] - 0.5) * 12,
        "inner": (inner[None, None] - 0.5) * 12,
    }


@pytest.mark.parametrize("bands", [1, 3, 8])
def test_three_parts_of_every_tile(bands):
    network = network_of(bands).eval()
    assert network.tile_step == 32 and network.fixed_tile is None
    for rows, cols in ((32, 64), (96, 32)):
        with torch.no_grad():
            answer = network(torch.rand(1, bands, rows, cols))
        assert {name: each.shape[1:] for name, each in answer.items()} == {
            "segment": (3, rows, cols),
            "border": (1, rows, cols),
            "inner": (1, rows, cols),
        }


def test_the_border_is_a_ring_inside_the_object():
    mask = torch.zeros(1, 20, 20, dtype=torch.bool)
    mask[0, 2:12, 2:12] = True
    segment, border, inner = truth_of({"masks": mask, "labels": torch.tensor([1])}, (20, 20), 3)
    assert inner.sum() == 16 and inner[5:9, 5:9].all()
    assert border.sum() == 100 - 16 and (segment[mask[0]] == 2).all()
    assert not (border.bool() & inner.bool()).any() and not segment[~mask[0]].any()


def test_small_objects_keep_an_inside_and_cut_ones_reach_the_rim():
    masks = torch.zeros(2, 20, 20, dtype=torch.bool)
    masks[0, 10:12, 10:12] = True
    masks[1, 0:8, 0:8] = True
    labels = torch.tensor([0, 0])
    _, _, inner = truth_of({"masks": masks, "labels": labels}, (20, 20), 3)
    assert inner[10:12, 10:12].all()
    assert inner[0, 0] == 1 and inner[:5, :5].all() and inner[:8, :8].sum() == 25


def test_objects_that_touch_stay_apart():
    """Three discs in a row, each touching or overlapping the next, of two classes."""
    masks = discs(64, (30, 12, 9), (30, 29, 9), (30, 47, 9))
    target = {"masks": masks, "labels": torch.tensor([0, 0, 1])}
    found = network_of().detect(as_outputs(target, 2, 2), (64, 64), 0.5)[0]
    assert len(found["scores"]) == 3 and found["boxes"].dtype == torch.float32
    order = found["boxes"][:, 0].argsort()
    assert found["labels"][order].tolist() == [0, 0, 1]
    for place, wanted in zip(order.tolist(), masks.numpy()):
        col, row, width, height = found["windows"][place]
        assert found["boxes"][place].tolist() == [col, row, col + width, row + height]
        whole = np.zeros((64, 64), bool)
        whole[row : row + height, col : col + width] = found["masks"][place]
        shared = (whole & wanted).sum() / (whole | wanted).sum()
        assert shared > 0.9


def test_nothing_and_less_certain_things_are_not_found():
    target = {"masks": discs(32, (15, 15, 8)), "labels": torch.tensor([0])}
    outputs = as_outputs(target, 2, 2)
    network = network_of()
    assert len(network.detect(outputs, (32, 32), 0.5)[0]["scores"]) == 1
    weak = {**outputs, "segment": outputs["segment"] / 12}
    assert len(network.detect(weak, (32, 32), 0.9)[0]["scores"]) == 0
    empty = {name: torch.full_like(each, -9.0) for name, each in outputs.items()}
    empty["segment"][:, 0] = 9.0
    found = network.detect(empty, (32, 32), 0.0)[0]
    assert found["boxes"].shape == (0, 4) and found["windows"].shape == (0, 4)


def test_growth_stays_on_what_is_covered():
    covered = np.zeros((10, 20))
    covered[2:8, 2:18] = 0.9
    border, inner = np.zeros((10, 20)), np.zeros((10, 20))
    inner[4:6, 4:6] = inner[4:6, 14:16] = 0.9
    border[2:8, 9:11] = 0.8
    numbers = separate(covered, border, inner)
    assert set(np.unique(numbers)) == {0, 1, 2} and ((numbers > 0) == (covered > 0)).all()
    assert (numbers[2:8, 2:9] == 1).all() and (numbers[2:8, 11:18] == 2).all()


def test_the_loss_falls_in_a_few_steps_also_without_objects():
    torch.manual_seed(0)
    network = network_of(3, 1).train()
    masks = discs(64, (20, 20, 12), (44, 44, 10))
    images = torch.rand(2, 3, 64, 64)
    images[0, :, masks.any(0)] += 2
    nothing = torch.zeros(0, dtype=torch.long)
    targets = [
        {"masks": masks, "labels": torch.tensor([0, 0])},
        {"masks": masks[:0], "labels": nothing},
    ]
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    losses = []
    for _ in range(8):
        parts = network.loss(network(images), targets)
        loss = torch.stack(list(parts.values())).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert min(losses[-3:]) < 0.9 * losses[0]


def test_pixels_without_data_carry_no_loss():
    torch.manual_seed(3)
    network = network_of(3, 1)
    valid = torch.ones(32, 32, dtype=torch.bool)
    valid[:, 20:] = False
    target = {"masks": discs(32, (15, 18, 8)), "labels": torch.tensor([0]), "valid": valid}
    shapes = {"segment": 2, "border": 1, "inner": 1}
    outputs = {
        name: torch.randn(1, count, 32, 32, requires_grad=True) for name, count in shapes.items()
    }
    losses = network.loss(outputs, [target])
    torch.stack(list(losses.values())).sum().backward()
    for each in outputs.values():
        assert (each.grad[..., 20:] == 0).all() and (each.grad[..., :20] != 0).all()
    # What is left is judged as if there were no more.
    cut = {name: each.detach()[..., :20] for name, each in outputs.items()}
    segment, border, inner = (each[:, :20] for each in truth_of(target, (32, 32), 2))
    wanted = torch.nn.functional.cross_entropy(cut["segment"], segment[None])
    assert losses["segment"].item() == pytest.approx(wanted.item(), rel=1e-5)
    for name, truth in (("border", border), ("inner", inner)):
        logits = cut[name][0, 0]
        wanted = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth)
        assert losses[name].item() == pytest.approx(wanted.item(), rel=1e-5)
    nothing = network.loss(outputs, [{**target, "valid": valid & False}])
    assert all(torch.isfinite(each) for each in nothing.values())


@pytest.mark.parametrize("width", [0, 17])
def test_impossible_borders_are_one_sentence(width):
    with pytest.raises(InputError, match="must be between 1 and 16 pixels"):
        model_type("UNET_ID").complete({"border_width": width}, np.zeros((0, 2)), 64)
