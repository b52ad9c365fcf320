"""Grids, anchors, matching and loss of the single-shot detector."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torchvision.ops import generalized_box_iou_loss

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.models.networks import ssd_answers
from geodl_plugin.core.models.networks.anchors import (
    BACKGROUND,
    NEITHER,
    grid_anchors,
    join,
    match,
    reach,
)
from geodl_plugin.core.models.networks.backbones import build_pyramid
from geodl_plugin.core.models.networks.ssd import SingleShotDetector, _box_loss
from geodl_plugin.core.models.registry import model_type
from geodl_plugin.core.models.ssd import choose_grids, complete_arguments, stride_of_grid


class TinyPyramid(nn.Module):
    """Three maps from one convolution each."""

    strides = (8, 16, 32)
    channels = (8, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 9, stride=8, padding=4)
        self.second = nn.Conv2d(8, 8, 3, stride=2, padding=1)

    def forward(self, images):
        one = self.first(images).relu()
        two = self.second(one).relu()
        return [one, two, self.second(two).relu()]


def detector(grids, zooms=(1.0,), classes=2, focal=False, chip=64):
    torch.manual_seed(1)
    return SingleShotDetector(
        TinyPyramid(), classes, chip, list(grids), list(zooms), [[1.0, 1.0]], 0.0, focal
    )


def test_grids_follow_the_sizes_of_objects():
    # A cell of 32 pixels scales to 16–48: it suits objects of 28 pixels best.
    assert choose_grids(np.full((50, 2), 28.0), 256) == [8]
    sizes = np.r_[np.full((50, 2), 14.0), np.full((50, 2), 110.0)]
    assert choose_grids(sizes, 256) == [16, 2]
    assert choose_grids(np.zeros((0, 2)), 256) == [8]
    assert choose_grids(np.full((3, 2), 1000.0), 256) == [1]


@pytest.mark.parametrize(
    ("grid", "chip", "stride"), [(16, 256, 16), (9, 256, None), (4, 224, 64), (64, 256, 4)]
)
def test_grids_fit_strides_where_they_can(grid, chip, stride):
    assert stride_of_grid(grid, chip) == stride


def test_arguments_are_completed_and_checked():
    defaults = model_type("SSD").arguments
    sizes = np.full((9, 2), 28.0)
    assert complete_arguments(defaults, sizes, 256)["grids"] == [8]
    assert complete_arguments({**defaults, "grids": [9.0]}, sizes, 256)["grids"] == [9]
    wrongs = ({"zooms": []}, {"grids": [-1]}, {"ratios": [[1]]}, {"drop": 1.0})
    for wrong in (*wrongs, {"grids": [4.5]}, {"grids": ["4"]}, {"ratios": []}, {"grids": [200]}):
        with pytest.raises(InputError):
            complete_arguments({**defaults, **wrong}, sizes, 256)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.floats(4, 64), st.integers(0, 10**6))
def test_decoding_undoes_encoding(rows, cols, cell, seed):
    shapes = torch.tensor([[1.0, 1.0], [0.5, 2.0]])
    anchors = grid_anchors(rows, cols, (cell, cell), shapes, torch.device("cpu"))
    assert len(anchors.boxes) == rows * cols * 2
    answer = torch.rand(len(anchors.sizes), 4, generator=torch.Generator().manual_seed(seed))
    answer = answer * 2 - 1
    assert torch.allclose(anchors.encode(anchors.decode(answer)), answer, atol=1e-3)
    assert torch.allclose(anchors.decode(torch.zeros_like(answer)), anchors.boxes, atol=1e-3)


def test_anchors_stand_in_their_cells_and_reach_as_far_as_said():
    anchors = grid_anchors(2, 3, (10, 20), torch.tensor([[1.0, 1.0]]), torch.device("cpu"))
    assert anchors.boxes[0].tolist() == [0, 0, 10, 20]
    assert anchors.boxes[-1].tolist() == [20, 20, 30, 40]
    most = anchors.decode(torch.ones(6, 4))[0]
    # Half a cell on, and half as large again.
    assert most.tolist() == [2.5, 5.0, 17.5, 35.0]


def test_every_object_gets_an_anchor():
    anchors = grid_anchors(4, 4, (16, 16), torch.tensor([[1.0, 1.0]]), torch.device("cpu"))
    boxes = torch.tensor([[0.0, 0, 15, 15], [34, 34, 38, 38], [16, 44, 32, 68]])
    found = match(anchors, boxes, 0.45, 0.3)
    assert set(found.tolist()) == {BACKGROUND, NEITHER, 0, 1, 2}
    assert found[0] == 0 and found[10] == 1 and found[13] == 2
    assert found[9] == NEITHER, "it reaches the last object with an IoU of 0.4"
    assert (match(anchors, torch.zeros(0, 4), 0.45, 0.3) == BACKGROUND).all()


def test_objects_that_want_one_anchor_all_get_one():
    anchors = grid_anchors(2, 2, (16, 16), torch.tensor([[1.0, 1.0]]), torch.device("cpu"))
    box = [1.0, 1, 15, 15]
    better, worse = [0.0, 0, 16, 16], [2.0, 2, 12, 12]
    for boxes in ([better, worse], [worse, better]):
        found = match(anchors, torch.tensor(boxes), 0.95, 0.3).tolist()
        assert found[0] == boxes.index(better), "the one that fills it"
        assert boxes.index(worse) in found
    crowded = match(anchors, torch.tensor([box] * 6), 0.45, 0.3).tolist()
    assert len(set(crowded)) == 4 and min(crowded) >= 0


@settings(max_examples=50, deadline=None)
@given(st.floats(0.1, 63.9), st.floats(0.1, 63.9), st.floats(12, 20), st.floats(12, 20))
def test_the_anchor_of_an_object_is_that_of_its_cell(x, y, width, height):
    """Wherever an object lies, and though those of a coarser grid may overlap it more."""
    device, shape = torch.device("cpu"), torch.tensor([[1.0, 1.0]])
    grids = [grid_anchors(side, side, (64 / side,) * 2, shape, device) for side in (8, 4, 2)]
    anchors = join(grids)
    box = torch.tensor([[x - width / 2, y - height / 2, x + width / 2, y + height / 2]])
    near = reach(anchors, box)[:, 0]
    own = 64 + int(y // 16) * 4 + int(x // 16)
    assert near[own] >= near.max() - 1e-5
    assert near[own] == pytest.approx(
        min(width, 16) * min(height, 16) / (width * height + 256 - min(width, 16) * min(height, 16))
    )
    found = match(anchors, box, 0.45, 0.3)
    assert found[own] == 0
    # What it answers can be the object.
    answer = anchors.encode(box.expand(len(near), 4))
    assert (answer[own].abs() <= 1 + 1e-4).all()


def test_no_anchor_moves_further_than_it_can():
    anchors = grid_anchors(1, 4, (16, 16), torch.tensor([[1.0, 1.0]]), torch.device("cpu"))
    near = reach(anchors, torch.tensor([[36.0, 0, 52, 16]]))[:, 0]
    # The second from the left gets to 24–40, the third to 36–52, the last one to 40–56.
    assert near.tolist() == pytest.approx([0, 1 / 7, 1, 0.6])


def test_what_is_neither_has_no_loss():
    network = detector([8])
    scores = torch.zeros(1, 4, network.outputs)
    scores[0, :, 1] = torch.tensor([4.0, 0.0, 50.0, 0.0])
    labels = torch.tensor([[0, -1, NEITHER, -1]])
    shares = torch.ones(1, 4)
    with_it = network._class_loss(scores, labels, shares)
    assert float(with_it) < 5
    assert float(network._class_loss(scores, labels.clamp(min=-1), shares)) > 40


def test_dropout_leaves_a_part_of_every_map():
    torch.manual_seed(1)
    network = SingleShotDetector(TinyPyramid(), 2, 64, [8], [1.0], [[1.0, 1.0]], 0.3, False)
    (dropout,) = (
        each for each in network.modules() if isinstance(each, nn.modules.dropout._DropoutNd)
    )
    maps = dropout.train()(torch.ones(4, 128, 16, 16))
    assert (maps.amax((2, 3)) > 0).all()
    assert 0.25 < (maps == 0).float().mean() < 0.35


def test_dropout_is_for_the_classes_alone():
    torch.manual_seed(0)
    head = SingleShotDetector(TinyPyramid(), 2, 64, [8], [1.0], [[1.0, 1.0]], 0.5, False).heads[0]
    head.train()
    maps = torch.rand(2, 128, 8, 8)
    (classes, boxes), (other_classes, same_boxes) = head(maps), head(maps)
    assert torch.equal(boxes, same_boxes)
    assert not torch.equal(classes, other_classes)


def test_boxes_that_are_right_have_no_loss_and_wrong_ones_a_slope_towards_the_truth():
    anchors = grid_anchors(1, 1, (16, 16), torch.tensor([[1.0, 1.0]]), torch.device("cpu"))
    truth = anchors.decode(torch.tensor([[0.5, -0.25, 0.2, 0.4]]))
    right = anchors.encode(truth)
    assert float(_box_loss(anchors, right, truth)) == pytest.approx(0, abs=1e-5)
    answer = torch.zeros(1, 4, requires_grad=True)
    loss = _box_loss(anchors, answer, truth)
    loss.backward()
    assert (answer.grad.sign() == -right.sign()).all()
    overlap = generalized_box_iou_loss(anchors.boxes, truth, reduction="sum")
    apart = functional.smooth_l1_loss(answer.detach(), right, reduction="sum", beta=0.1)
    assert float(loss.detach()) == pytest.approx(float(overlap + apart))
    # Out of reach is as good as at the limit.
    far = anchors.boxes + 40.0
    limit = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    alone = generalized_box_iou_loss(anchors.decode(limit), far, reduction="sum")
    assert float(_box_loss(anchors, limit, far)) == pytest.approx(float(alone))


@pytest.mark.parametrize("focal", [False, True])
def test_the_better_of_two_boxes_gets_the_higher_score(focal):
    network = detector([8], focal=focal)
    scores = torch.zeros(1, 2, network.outputs, requires_grad=True)
    optimizer = torch.optim.Adam([scores], 0.05)
    for _ in range(400):
        loss = network._class_loss(scores, torch.tensor([[1, 1]]), torch.tensor([[1.0, 0.6]]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    chances = scores.sigmoid() if focal else scores.softmax(-1)
    better, worse = chances[0, :, -1].tolist()
    assert better > 0.9
    assert worse == pytest.approx(0.6, abs=0.02)


@pytest.mark.parametrize("focal", [False, True])
def test_loss_falls_and_objects_are_found(focal):
    network = detector([8, 4], focal=focal)
    images = torch.zeros(2, 3, 64, 64)
    images[0, 0, 8:24, 8:24] = 2.0
    images[1, 1, 32:60, 24:52] = 2.0
    targets = [
        {"boxes": torch.tensor([[8.0, 8, 24, 24]]), "labels": torch.tensor([0])},
        {"boxes": torch.tensor([[24.0, 32, 52, 60]]), "labels": torch.tensor([1])},
    ]
    optimizer = torch.optim.AdamW(network.parameters(), 5e-3)
    losses = []
    for _ in range(150):
        loss = sum(network.loss(network(images), targets).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.4 * losses[0]
    network.eval()
    found = network.detect(network(images), (64, 64), 0.3)
    assert found[0]["labels"][0] == 0 and found[1]["labels"][0] == 1
    assert torch.allclose(found[0]["boxes"][0], targets[0]["boxes"][0], atol=4)


def test_what_is_detected_are_the_best_candidates():
    torch.manual_seed(0)
    network = detector([8]).eval()
    with torch.no_grad():
        outputs = network(torch.rand(2, 3, 64, 64))
        boxes, chances = network.candidates(outputs)
        threshold = float(chances.median())
        found = network.detect(outputs, (64, 64), threshold)
    for box, chance, each in zip(boxes, chances, found):
        anchor, label = (chance >= threshold).nonzero(as_tuple=True)
        order = chance[anchor, label].argsort(descending=True, stable=True)
        assert len(order) > 9
        assert torch.equal(each["boxes"], box[anchor[order]].clamp(0, 64))
        assert torch.equal(each["labels"], label[order])
        assert torch.equal(each["scores"], chance[anchor[order], label[order]])


def test_a_wide_tile_may_show_as_many_objects_by_area(monkeypatch):
    monkeypatch.setattr(ssd_answers, "_MOST_DETECTIONS", 10)
    network = detector([8]).eval()
    for side, most in ((64, 10), (512, 10), (1024, 40)):
        with torch.no_grad():
            found = network.detect(network(torch.rand(1, 3, side, side)), (side, side), 0.0)
        assert len(found[0]["boxes"]) == most


def test_a_batch_without_objects_has_a_loss_and_gradients():
    network = detector([8])
    empty = [{"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long)}] * 2
    loss = sum(network.loss(network(torch.rand(2, 3, 64, 64)), empty).values())
    loss.backward()
    assert torch.isfinite(loss)


def test_tiles_of_other_sizes_keep_the_anchors():
    network = detector([8, 4, 1]).eval()
    assert network.fixed_tile is None and network.tile_step == 64
    small = network(torch.zeros(1, 3, 64, 64))["anchors"]
    large = network(torch.zeros(1, 3, 128, 128))["anchors"]
    assert len(large["sizes"]) == 4 * len(small["sizes"])
    assert torch.equal(small["sizes"].unique(), large["sizes"].unique())


def test_an_encoder_of_one_coarse_stride_serves_fine_grids():
    encoder = build_pyramid("timm:test_vit", 3, 160, "none")
    assert set(encoder.strides) == {16}
    network = SingleShotDetector(encoder, 1, 160, [40, 5], [1.0], [[1.0, 1.0]], 0.0, False)
    answer = network.eval()(torch.zeros(1, 3, 160, 160))
    assert answer["scores"].shape == (1, 40 * 40 + 5 * 5, 2)


def test_odd_grids_are_pooled_and_fix_the_tile():
    network = detector([5])
    assert network.fixed_tile == 64
    answer = network(torch.zeros(1, 3, 64, 64))
    assert answer["scores"].shape == (1, 25, 3)
    assert torch.allclose(answer["anchors"]["sizes"], torch.tensor(64 / 5))
