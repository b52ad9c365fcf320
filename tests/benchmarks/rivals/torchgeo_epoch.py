"""One epoch by torchgeo's trainers on chips of 'training.py'; prints the samples per second.

Runs in an environment of its own, where torchgeo is installed: it brings a GDAL of its own, by
rasterio. All is as torchgeo does it unasked: its data module, which reads each chip with rasterio
when its turn comes and normalises batches with kornia, its task with metrics in every step, and
Lightning's trainer.

Usage: torchgeo_epoch.py pixels|objects|detection FOLDER BACKBONE BATCH
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import rasterio
import torch
from torch import Tensor
from torchgeo.datamodules import NonGeoDataModule
from torchgeo.datasets import NonGeoDataset
from torchgeo.trainers import ClassificationTask, ObjectDetectionTask, SemanticSegmentationTask

CLASSES = 3


class Chips(NonGeoDataset):
    """The chips of a folder with what 'training.py' noted of them."""

    def __init__(self, split: str, folder: str, task: str) -> None:
        self.paths = sorted(Path(folder, "images").glob("*.tif"))
        self.task = task
        truth = np.load(Path(folder, "truth.npz"))
        self.boxes, self.labels = truth["boxes"], truth["labels"]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        sample = {"image": torch.from_numpy(_read(self.paths[index])).float()}
        if self.task == "pixels":
            mask = self.paths[index].parents[1] / "labels" / self.paths[index].name
            sample["mask"] = torch.from_numpy(_read(mask)[0]).long()
        elif self.task == "objects":
            sample["label"] = torch.tensor(int(self.labels[index]))
        else:
            sample["bbox_xyxy"] = torch.from_numpy(self.boxes[index]).float()
            sample["label"] = torch.ones(len(self.boxes[index]), dtype=torch.int64)
        return sample


def _read(path: Path) -> np.ndarray:
    with rasterio.open(path) as source:
        return source.read()


def task_of(task: str, backbone: str) -> pl.LightningModule:
    """Return torchgeo's task."""
    if task == "pixels":
        return SemanticSegmentationTask("unet", backbone, in_channels=3, num_classes=CLASSES)
    if task == "objects":
        return ClassificationTask(backbone, in_channels=3, num_classes=CLASSES)
    return ObjectDetectionTask("retinanet", backbone, weights=False, num_classes=2)


class Clock(pl.Callback):
    """Counts samples and seconds from the end of the first batch on."""

    def __init__(self) -> None:
        self.count, self.began, self.ended = 0, 0.0, 0.0

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take the time."""
        self.ended = time.perf_counter()
        if batch_idx == 0:
            self.began = self.ended
        else:
            self.count += len(batch["image"])


def main() -> None:
    """Train for one epoch and print."""
    task, folder, backbone, batch = sys.argv[1:]
    warnings.simplefilter("ignore")
    clock = Clock()
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        callbacks=[clock],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=1,  # after the clock has stopped; its scheduler asks for it
    )
    data = NonGeoDataModule(Chips, int(batch), folder=folder, task=task)
    trainer.fit(task_of(task, backbone), datamodule=data)
    print(f"samples a second: {clock.count / (clock.ended - clock.began)}")


if __name__ == "__main__":
    main()
