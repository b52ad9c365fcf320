"""Average precision of detectors that GeoDL trains, beside plain loops with torchvision.

Same data and steps: see accuracy.py. The plain loops are those of torchvision's references for
detection: its SSD, RetinaNet and Faster R-CNN on its own feature pyramid with their default
anchors and losses, SGD with momentum 0.9 at the references' rates scaled by the batch, a linear
warm-up, a tenth of the rate after 16 and after 22 of 26 parts of the training, images mirrored
at random, mixed precision (their ``--amp``), the last weights. GeoDL has its defaults, its
learning rate is given.

Usage: python tests/benchmarks/accuracy_detectors.py [--quick] [--data FOLDER] [--only NAME] …
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics.detection import MeanAveragePrecision
from torchvision.models.detection import FasterRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.ssd import SSD, SSDHead
from torchvision.ops import batched_nms
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from geodl_plugin.core.chips.folder import open_folder
from geodl_plugin.core.geo.raster import Block
from geodl_plugin.core.inference.loading import load_network
from geodl_plugin.core.inference.model import read_model
from geodl_plugin.core.learning.options import TrainingOptions
from geodl_plugin.core.learning.train import train
from geodl_plugin.core.models.registry import Task
from geodl_plugin.core.packages.archive import open_package
from geodl_plugin.core.progress import Progress
from tests.benchmarks.accuracy import Plan, arguments, by_amp, changed, chips, compare, yellowstone

# The rates of torchvision's references, for 16 images a step (SSD: 32).
RATES = {"SSD": 0.002 / 32, "RETINANET": 0.01 / 16, "FASTERRCNN": 0.02 / 16}
WARM_UP, FIRST_STEP, SECOND_STEP = 0.1, 16 / 26, 22 / 26  # shares of the training
LEAST_SCORE, NMS_OVERLAP = 0.02, 0.3
SUPPRESSES = ("FASTERRCNN",)  # by itself, as torchvision's does
Predict = Callable[[Block], "dict[str, Tensor]"]


FULL = Plan(stride=128)
QUICK = Plan(384, "resnet18", 128, 1, 4, (1,))


def by_geodl(folder: Path, output: Path, name: str, plan: Plan, seed: int) -> Predict:
    """Train as GeoDL does and return how its package predicts; all not told is its default."""
    options = TrainingOptions(
        input=str(folder),
        output=str(output),
        model_type=name,
        backbone=plan.backbone,
        weights="none",
        max_epochs=plan.epochs,
        batch_size=plan.batch,
        learning_rate="1e-3",
        validation_percentage=0,  # all chips teach, as in the plain loop
        stop_training=False,
        seed=seed,
    )
    with open_package(train(options, Progress())["model"]) as package:
        model = read_model(package.definition, Task.DETECTION)
        network = load_network(model, package).eval()

    def predict(block: Block) -> dict[str, Tensor]:
        answer = network(torch.from_numpy(model.normalise(block))[None])
        found = network.detect(answer, block.valid.shape, LEAST_SCORE)[0]
        if name in SUPPRESSES:
            return found
        keep = batched_nms(found["boxes"], found["scores"], found["labels"], NMS_OVERLAP)
        return {key: value[keep] for key, value in found.items()}

    return predict


def plain_network(name: str, plan: Plan) -> nn.Module:
    """Return torchvision's detector as its documentation builds it, for one class."""
    # Its RetinaNet alone starts at the map of stride 8.
    strides = {"returned_layers": [2, 3, 4], "extra_blocks": LastLevelP6P7(256, 256)}
    backbone = resnet_fpn_backbone(
        backbone_name=plan.backbone,
        weights=None,
        norm_layer=nn.BatchNorm2d,  # frozen ones would never learn what they stand for
        trainable_layers=5,
        **(strides if name == "RETINANET" else {}),
    )
    if name == "SSD":
        anchors = DefaultBoxGenerator([[2], [2, 3], [2, 3], [2, 3], [2]])
        head = SSDHead([backbone.out_channels] * 5, anchors.num_anchors_per_location(), 2)
        size = (plan.side, plan.side)
        return SSD(backbone, anchors, size, 2, head=head, score_thresh=LEAST_SCORE)
    size = {"min_size": plan.side, "max_size": plan.side}
    if name == "RETINANET":
        return RetinaNet(backbone, 2, score_thresh=LEAST_SCORE, **size)
    return FasterRCNN(backbone, 2, box_score_thresh=LEAST_SCORE, **size)


def by_the_book(folder: Path, name: str, plan: Plan, seed: int) -> Predict:
    """Train by a plain loop on the same chips and return how the network predicts."""
    torch.manual_seed(seed)
    network = plain_network(name, plan).train()
    samples = _samples(folder)
    rate = RATES[name] * plan.batch
    optimiser = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9, weight_decay=5e-4)
    # A last batch of a single chip is left out by both.
    size = min(plan.batch, len(samples))
    steps = (len(samples) + size - 1) // size - int(len(samples) % size == 1)
    total = steps * plan.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: _share_of_rate((step + 1) / total)
    )
    for _ in range(plan.epochs):
        order = torch.randperm(len(samples)).tolist()
        for step in range(steps):
            batch = [_mirrored(*samples[each]) for each in order[step * size : (step + 1) * size]]
            images, targets = map(list, zip(*batch))
            with by_amp():
                loss = torch.stack(list(network(images, targets).values())).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    network.eval()

    def predict(block: Block) -> dict[str, Tensor]:
        found = network([_as_image(block)])[0]
        return {**found, "labels": found["labels"] - 1}

    return predict


def _share_of_rate(done: float) -> float:
    if done < WARM_UP:
        return done / WARM_UP
    return 1.0 if done < FIRST_STEP else 0.1 if done < SECOND_STEP else 0.01


def _samples(path: Path) -> list[tuple[Tensor, dict[str, Tensor]]]:
    folder = open_folder(path)
    samples = []
    for chip in folder.chips:
        boxes = torch.tensor(np.asarray(folder.read_label(chip).boxes), dtype=torch.float32)
        boxes = boxes.reshape(-1, 4)
        target = {"boxes": boxes, "labels": torch.ones(len(boxes), dtype=torch.int64)}
        samples.append((_as_image(folder.read_image(chip)), target))
    return samples


def _as_image(block: Block) -> Tensor:
    return torch.from_numpy(block.pixels.astype(np.float32) / 255)


def _mirrored(image: Tensor, target: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    if torch.rand(()) < 0.5:
        return image, target
    boxes = target["boxes"].clone()
    boxes[:, [0, 2]] = image.shape[-1] - boxes[:, [2, 0]]
    return image.flip(-1), {**target, "boxes": boxes}


@torch.no_grad()
def average_precision(predict: Predict, path: Path) -> float:
    """Return COCO's average precision at IoU 0.5 over all chips of a folder."""
    metric = MeanAveragePrecision(
        iou_thresholds=[0.5],
        max_detection_thresholds=[1, 10, 300],
        backend="faster_coco_eval",
    )
    folder = open_folder(path)
    for chip in folder.chips:
        boxes = torch.tensor(np.asarray(folder.read_label(chip).boxes), dtype=torch.float32)
        truth = {"boxes": boxes.reshape(-1, 4), "labels": torch.zeros(len(boxes), dtype=torch.int)}
        metric.update([predict(folder.read_image(chip))], [truth])
    return float(metric.compute()["map"])


def main() -> int:
    """Read the command line and measure."""
    given = arguments("detectors")
    plan = changed(QUICK if given.quick else FULL, given)
    data, least = yellowstone(given.data), 0.3  # less of a tree looks like its surroundings
    seen = chips(data, "upper", "trees_upper", plan, plan.stride, min_overlap=least)
    unseen = chips(data, "lower", "trees_lower", plan, plan.side, min_overlap=least)

    def geodl(name: str, seed: int) -> float:
        with tempfile.TemporaryDirectory() as output:
            predict = by_geodl(seen, Path(output) / "model", name, plan, seed)
        return average_precision(predict, unseen)

    def plain(name: str, seed: int) -> float:
        return average_precision(by_the_book(seen, name, plan, seed), unseen)

    compare("AP50", plan, given, {"geodl": geodl, "plain": plain})
    return 0


if __name__ == "__main__":
    sys.exit(main())
