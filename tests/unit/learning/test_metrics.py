"""Scores against hand counts and against torchmetrics."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from torchmetrics.detection import MeanAveragePrecision
from torchmetrics.functional.classification import multiclass_f1_score, multiclass_jaccard_index

from geodl_plugin.core.learning.metrics import (
    ConfusionScores,
    DetectionScores,
    InstanceScores,
    average_precision,
    match_greedily,
)


def test_confusion_scores_agree_with_torchmetrics():
    random = np.random.default_rng(3)
    truth, told = random.integers(0, 4, (2, 30, 30)), random.integers(0, 4, (2, 30, 30))
    collector = ConfusionScores(["a", "b", "c", "d"], with_overlap=True)
    collector.update(told, truth)
    scores = collector.compute()
    told_t, truth_t = torch.tensor(told), torch.tensor(truth)
    assert scores.values["miou"] == pytest.approx(
        float(multiclass_jaccard_index(told_t, truth_t, 4)), abs=1e-6
    )
    assert scores.values["f1_score"] == pytest.approx(
        float(multiclass_f1_score(told_t, truth_t, 4, average="macro")), abs=1e-6
    )
    assert scores.values["dice"] == scores.values["f1_score"]


def test_ignored_pixels_and_absent_classes_do_not_count():
    collector = ConfusionScores(["a", "b", "never"], with_overlap=True)
    collector.update(np.array([0, 1, 1, 2]), np.array([0, 1, 0, -1]))
    scores = collector.compute()
    assert scores.values["accuracy"] == pytest.approx(2 / 3)
    assert scores.values["miou"] == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert [row["count"] for row in scores.classes] == [2, 1, 0]


def test_a_class_that_is_not_learned_enters_no_mean():
    """Pixels without a class may be ignored, and still a few of them be told."""
    told, truth = np.array([0, 1, 1, 2]), np.array([1, 1, 1, 2])
    scores = ConfusionScores(["background", "a", "b"], with_overlap=True, first=1)
    scores.update(told, truth)
    values = scores.compute().values
    assert values["miou"] == pytest.approx((2 / 3 + 1) / 2) and values["accuracy"] == 0.75
    assert values["recall"] == pytest.approx((2 / 3 + 1) / 2) and values["precision"] == 1


def test_a_true_box_is_hit_once():
    overlap = np.array([[0.9, 0.0], [0.8, 0.6], [0.7, 0.0]])
    assert match_greedily(overlap) == [True, True, False]
    assert match_greedily(np.zeros((2, 0))) == [False, False]


def test_average_precision_by_hand():
    # Precisions 1, 1/2, 2/3 at recalls 1/2, 1/2, 1; made falling: 1, 2/3.
    assert average_precision([True, False, True], 2) == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert average_precision([], 2) == 0 and average_precision([False], 0) == 0


def test_windows_of_masks_give_the_overlap_of_whole_masks_in_little_memory():
    random = np.random.default_rng(8)
    places = np.c_[random.integers(0, 450, (300, 2)), random.integers(8, 60, (300, 2))]
    masks = [random.random((height, width)) < 0.7 for _, _, width, height in places]
    masks[7][:] = False
    whole = np.zeros((300, 512, 512), bool)
    for mask, part, (col, row, width, height) in zip(whole, masks, places):
        mask[row : row + height, col : col + width] = part
    boxes = torch.tensor(np.c_[places[:, :2], places[:, :2] + places[:, 2:]]).float()
    labels = torch.from_numpy(random.integers(0, 2, 300))
    found = {"boxes": boxes, "labels": labels, "masks": masks, "windows": places}
    found["scores"] = torch.rand(300, generator=torch.Generator().manual_seed(1))
    true = {"boxes": boxes[:40], "labels": labels[:40], "masks": torch.from_numpy(whole[:40])}
    tracemalloc.start()
    keep, overlap = InstanceScores(["a", "b"]).compare(found, true)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6  # whole masks as numbers are 315 MB
    flat = whole.reshape(300, -1).astype(np.float32)
    shared = flat @ flat.T
    each = flat.sum(axis=1)
    dense = shared / np.maximum(each[:, None] + each[None] - shared, 1)
    assert np.array_equal(overlap, dense[keep][:, :40])
    # Greedily, best score first: each that stands, and each that falls for one that stands.
    clashes = (dense > 0.3) & (labels[:, None] == labels[None]).numpy()
    scores, stands = found["scores"].numpy(), np.isin(np.arange(300), keep)
    better = clashes & (scores[None] > scores[:, None]) & stands[None]
    assert np.array_equal(stands, ~better.any(axis=1)) and 0 < stands.sum() < 300


def test_average_precision_agrees_with_torchmetrics():
    random = torch.Generator().manual_seed(5)
    truths, found = [], []
    for _ in range(12):
        corner = torch.arange(6).repeat(2, 1).T * 40.0
        size = 20 + 10 * torch.rand(6, 2, generator=random)
        truth = torch.cat([corner, corner + size], 1)
        labels = torch.randint(0, 2, (6,), generator=random)
        moved = truth + 6 * torch.randn(6, 4, generator=random)
        truths.append({"boxes": truth, "labels": labels})
        found.append(
            {
                "boxes": moved,
                "scores": torch.rand(6, generator=random),
                "labels": labels.flip(0) % 2,
            }
        )
    ours = DetectionScores(["a", "b"])
    ours.update(found, truths)
    theirs = MeanAveragePrecision(iou_thresholds=[0.5], backend="faster_coco_eval")
    theirs.update(found, truths)
    # COCO samples the curve at 101 recalls, we take all of it.
    assert ours.compute().values["average_precision"] == pytest.approx(
        float(theirs.compute()["map"]), abs=0.02
    )
