"""Mean IoU of pixel networks that GeoDL trains, beside plain loops with the same library.

Same data and steps: see accuracy.py. The plain loop is that of segmentation-models-pytorch's
example of binary segmentation: Adam from 2e-4 down a cosine, Dice loss, the last weights; images
by the mean and spread of ImageNet, mirrored at random, in mixed precision. GeoDL has its
defaults, but learning rate and loss are given.

Usage: python tests/benchmarks/accuracy_pixels.py [--quick] [--data FOLDER] [--only NAME] …
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import segmentation_models_pytorch as smp
import torch
from torch import Tensor

from geodl_plugin.core.chips.folder import open_folder
from geodl_plugin.core.inference.loading import load_network
from geodl_plugin.core.inference.model import read_model
from geodl_plugin.core.learning.batches import make_datasets
from geodl_plugin.core.learning.options import TrainingOptions
from geodl_plugin.core.learning.preparation import Preparation, prepare
from geodl_plugin.core.learning.train import train
from geodl_plugin.core.models.registry import Task
from geodl_plugin.core.packages.archive import open_package
from geodl_plugin.core.progress import Phase, Progress
from tests.benchmarks.accuracy import Plan, arguments, by_amp, changed, chips, compare, yellowstone
from tests.demo import imagery

NETWORKS = {"UNET": "Unet", "DEEPLAB": "DeepLabV3Plus"}  # ours, and the library's name
IMAGENET = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)
Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]


FULL = Plan(stride=256, epochs=40)
QUICK = Plan(512, "resnet18", 64, 3, seeds=(1,))
CHIP = 256  # pixels a side, of which a training cuts what it wants


def told(folder: Path, output: Path, name: str, plan: Plan, seed: int) -> TrainingOptions:
    """Return what GeoDL is told; the rest are its defaults."""
    return TrainingOptions(
        input=str(folder),
        output=str(output),
        model_type=name,
        backbone=plan.backbone,
        weights="none",
        max_epochs=plan.epochs,
        batch_size=plan.batch,
        learning_rate="1e-3",
        loss="0.5*lovasz+0.5*cross_entropy",  # what is measured is overlap
        validation_percentage=0,  # all chips teach, as in the plain loop
        stop_training=False,
        chip_size=plan.side,
        seed=seed,
    )


def by_geodl(options: TrainingOptions) -> Predict:
    """Train as GeoDL does and return how its package predicts."""
    with open_package(train(options, Progress())["model"]) as package:
        model = read_model(package.definition, Task.PIXELS)
        network = load_network(model, package).eval()

    def predict(pixels: np.ndarray, valid: np.ndarray) -> np.ndarray:
        mean, std = (np.array(each, np.float32)[:, None, None] for each in (model.mean, model.std))
        image = np.where(valid, (pixels - mean) / std, 0).astype(np.float32)
        return network(torch.from_numpy(image)[None]).argmax(1)[0].numpy() == 1

    return predict


def by_the_book(preparation: Preparation, plan: Plan, architecture: str, seed: int) -> Predict:
    """Train by a plain loop on the same chips and return how the network predicts."""
    torch.manual_seed(seed)
    network = getattr(smp, architecture)(plan.backbone, encoder_weights=None, classes=1)
    crops, _ = make_datasets(preparation)  # only to count the steps and find the chips
    places = [position for position, _ in crops.places]
    drop = len(places) % plan.batch == 1
    steps = (len(places) + plan.batch - 1) // plan.batch - int(drop)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimiser, T_max=plan.epochs * steps, eta_min=1e-5
    )
    criterion = smp.losses.DiceLoss(smp.losses.BINARY_MODE, from_logits=True)
    network.train()
    for _ in range(plan.epochs):
        order = torch.randperm(len(places)).tolist()
        for step in range(steps):
            chosen = order[step * plan.batch : (step + 1) * plan.batch]
            images, masks = _batch(preparation, [places[each] for each in chosen], plan.side)
            optimiser.zero_grad()
            with by_amp():
                answer = network(images)
            criterion(answer.float(), masks).backward()
            optimiser.step()
            schedule.step()
    network.eval()
    return lambda pixels, _: network(_as_imagenet(pixels)[None])[0, 0].numpy() > 0


def _batch(preparation: Preparation, positions: list[int], side: int) -> tuple[Tensor, Tensor]:
    images, masks = [], []
    for position in positions:
        sample = preparation.store[position]
        rows, cols = sample.valid.shape
        row, col = (int(torch.randint(each - side + 1, ())) for each in (rows, cols))
        place = (..., slice(row, row + side), slice(col, col + side))
        image, mask = _as_imagenet(sample.pixels[place]), torch.from_numpy(sample.mask[place] == 1)
        for axis in (-1, -2):
            if torch.rand(()) < 0.5:
                image, mask = image.flip(axis), mask.flip(axis)
        images.append(image)
        masks.append(mask[None].float())
    return torch.stack(images), torch.stack(masks)


def _as_imagenet(pixels: np.ndarray) -> Tensor:
    mean, std = IMAGENET[:, :, None, None]
    return torch.from_numpy((pixels.astype(np.float32) / 255 - mean) / std)


@torch.no_grad()
def mean_iou(predict: Predict, path: Path) -> float:
    """Return the mean of the IoU of crowns and of all else, over all chips of a folder."""
    folder = open_folder(path)
    counts = np.zeros((2, 2))
    for chip in folder.chips:
        block = folder.read_image(chip)
        truth = folder.read_label(chip).values == imagery.TREE
        found = predict(block.pixels, block.valid)
        for one in (0, 1):
            for other in (0, 1):
                counts[one, other] += ((truth == one) & (found == other) & block.valid).sum()
    hits = counts.diagonal()
    return float((hits / (counts.sum(0) + counts.sum(1) - hits)).mean())


def main() -> int:
    """Read the command line and measure."""
    given = arguments("pixels")
    plan = changed(QUICK if given.quick else FULL, given)
    data, sizes = yellowstone(given.data), dataclasses.replace(plan, side=CHIP)
    kind = {"format": "Classified_Tiles", "empty_tiles": True}
    seen = chips(data, "upper", "crowns_upper", sizes, plan.stride, **kind)
    unseen = chips(data, "lower", "canopy_lower", sizes, plan.stride, **kind)

    def geodl(name: str, seed: int) -> float:
        with tempfile.TemporaryDirectory() as output:
            return mean_iou(by_geodl(told(seen, Path(output) / "model", name, plan, seed)), unseen)

    def plain(name: str, seed: int) -> float:
        options = told(seen, Path(), name, plan, seed)
        preparation = prepare(options, Phase(Progress(), "Reading", 1, "chips"))
        return mean_iou(by_the_book(preparation, plan, NETWORKS[name], seed), unseen)

    compare("mean IoU", plan, given, {"geodl": geodl, "plain": plain})
    return 0


if __name__ == "__main__":
    sys.exit(main())
