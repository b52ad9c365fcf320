"""Samples per second of a training epoch, beside the bare network and a plain loop.

Per task, in one run, each in turn, so that a busy machine slows all alike; what counts is the
median of the rounds' ratios:

* ours: one epoch of training as 'Train model' runs it: chips cut, augmented, Lightning, optimiser,
  one cycle; without validation and files. The chips are in memory, as in a training, which reads
  each once before its first epoch, for its statistics;
* bare: the same step on one batch that lies in memory: network, number format, loss, clipping of
  the gradients, optimiser;
* plain: the loop of torchvision's references: float32, no channels last, chips read from the
  files and normalised by a data set of the same kind, mirrored at random, SGD;
* torchgeo: an epoch of torchgeo's trainer and data module on the same chips, in a process of its
  own; it has no SSD. Its environment, beside this one's torch, is made in build/ once.

Usage: python tests/benchmarks/training.py [--quick] [--side 256] [--chips 161] [--rounds 3]
           [--only NAME] [--no-torchgeo]
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import lightning.pytorch as pl
import numpy as np
import torch
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from geodl_plugin.core.chips.formats import WrittenChip, chip_format
from geodl_plugin.core.chips.labels import BoxLabel, ClassLabel, MaskLabel
from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.raster_writer import write_chip
from geodl_plugin.core.learning.batches import CPU_BATCH, make_datasets, make_loaders
from geodl_plugin.core.learning.building import build_module, quiet
from geodl_plugin.core.learning.dataset import collate
from geodl_plugin.core.learning.hardware import Hardware, choose_hardware
from geodl_plugin.core.learning.module import adamw
from geodl_plugin.core.learning.options import TrainingOptions
from geodl_plugin.core.learning.preparation import Preparation, prepare
from geodl_plugin.core.memory import keep_freed_memory
from geodl_plugin.core.progress import Phase, Progress
from geodl_plugin.core.samples.schema import Schema

ROOT = Path(__file__).resolve().parents[2]
TORCHGEO = ROOT / "build" / "torchgeo"
CLIP = 10.0  # norm of the gradients, as in 'Train model'
# Format, and the task of torchgeo that does the same.
TASKS = {
    "UNET": ("Classified_Tiles", "pixels"),
    "SSD": ("PASCAL_VOC_rectangles", ""),
    "RETINANET": ("PASCAL_VOC_rectangles", "detection"),
    "FEATURE_CLASSIFIER": ("Labeled_Tiles", "objects"),
}


def write_folder(folder: Path, data_format: str, count: int, side: int) -> None:
    """Write chips of noise with bright squares."""
    random = np.random.default_rng(5)
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    writer = chip_format(data_format)(folder, Schema.from_names(()))
    truth: dict[str, list[Any]] = {"boxes": [], "labels": []}
    for number in range(count):
        pixels = random.integers(0, 90, (3, side, side), np.uint8)
        mask = np.zeros((side, side), np.int64)
        boxes = []
        for row, col in random.integers(0, side - 24, (12, 2)):
            pixels[:, row : row + 24, col : col + 24] += 120
            mask[row : row + 24, col : col + 24] = 1
            boxes.append([col, row, col + 24, row + 24])
        pixels = np.clip(pixels, 0, 255)
        truth["boxes"].append(boxes)
        truth["labels"].append(1 + number % 2)
        label: Any = {
            "PASCAL_VOC_rectangles": BoxLabel(np.array(boxes, float), np.ones(12, int)),
            "Classified_Tiles": MaskLabel(mask),
            "Labeled_Tiles": ClassLabel((1 + number % 2,)),
        }[data_format]
        path = folder / "images" / f"{number:09d}.tif"
        transform = GeoTransform(number * side, 1, 0, 0, 0, -1)
        write_chip(path, pixels, transform, "")
        writer.write(WrittenChip(path.stem, path, label, pixels.shape, transform, ""))
    classes = [{"Value": value, "Name": f"class {value}"} for value in (1, 2)]
    definition = {"MetaDataMode": data_format, "Classes": classes}
    (folder / "esri_model_definition.emd").write_text(json.dumps(definition))
    np.savez(folder / "truth.npz", **truth)


class Runs:
    """The three ways to train the same network on the same chips."""

    def __init__(self, options: TrainingOptions) -> None:
        self.options = options
        self.hardware: Hardware = choose_hardware(options.device, options.precision)
        phase = Phase(Progress(), "Reading", 1, "chips")
        self.preparation: Preparation = prepare(options, phase)
        self.loader, _ = make_loaders(self.preparation, CPU_BATCH, self.hardware, 1)
        self.kind = getattr(torch, self.hardware.precision)

    def module(self) -> Any:
        """Return an untrained module."""
        torch.manual_seed(1)
        module = build_module(self.options, self.preparation, True, Progress())
        module.rates = (1e-3, 1e-3)
        return module

    def ours(self) -> float:
        """Return the samples per second of one of our epochs."""
        module, clock = self.module(), Clock()
        with quiet():
            return self._epoch(module, clock)

    def _epoch(self, module: Any, clock: Clock) -> float:
        trainer = pl.Trainer(
            max_epochs=1,
            callbacks=[clock],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            gradient_clip_val=CLIP,
            **self.hardware.trainer_arguments(),
        )
        trainer.fit(module, self.loader)
        return clock.count / clock.seconds

    def bare(self) -> float:
        """Return the samples per second of the network on a batch in memory."""
        module = self.module().train()
        device = self.hardware.device
        module.network.to(device, memory_format=torch.channels_last)
        training, _ = make_datasets(self.preparation)
        batch = collate([training[index] for index in range(CPU_BATCH)])
        batch = module.transfer_batch_to_device(batch, device, 0)
        optimizer = adamw(module.parameter_groups(), True)

        def step() -> None:
            with torch.autocast(device.type, self.kind, enabled=self.kind != torch.float32):
                loss, _ = module.step_loss(batch)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), CLIP)
            optimizer.step()

        return CPU_BATCH * timed(step, len(self.loader) - 1, device)

    def plain(self) -> float:
        """Return the samples per second of a loop as torchvision's references write it."""
        module = self.module().train()
        device = self.hardware.device
        module.network.to(device, memory_format=torch.contiguous_format)
        training, _ = make_datasets(self.preparation)
        training.augmentation, training.zoom = v2.RandomHorizontalFlip(0.5), 1.0
        store = training.store = copy.copy(training.store)  # ours keeps the chips that it has
        optimizer = torch.optim.SGD(module.network.parameters(), 0.01, 0.9, weight_decay=1e-4)
        loader = DataLoader(training, CPU_BATCH, shuffle=True, collate_fn=collate)
        count, began = 0, 0.0
        for place, batch in enumerate(loader):
            if place == 1:
                wait(device)
                began = time.perf_counter()
            images, targets = module.transfer_batch_to_device(batch, device, 0)
            loss = module.loss(module.network(images), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            float(loss.detach())  # the references log every loss
            count += len(images) if place else 0
            # Nothing is kept in memory there: each epoch reads the files.
            store._kept.clear()
        wait(device)
        return count / (time.perf_counter() - began)


def by_torchgeo(task: str, folder: Path, backbone: str) -> float:
    """Return the samples per second of an epoch of torchgeo's."""
    script = Path(__file__).with_name("rivals") / "torchgeo_epoch.py"
    command = [_torchgeo_python(), script, task, folder, backbone, CPU_BATCH]
    done = subprocess.run([*map(str, command)], check=True, capture_output=True, text=True)
    return float(done.stdout.rpartition(":")[2])


def _torchgeo_python() -> Path:
    """Return the Python of an environment with torchgeo, which sees this one's libraries too."""
    python = TORCHGEO / "bin" / "python"
    if not python.exists():
        print("installing torchgeo into build/", flush=True)
        venv.create(TORCHGEO, system_site_packages=True, with_pip=True)
        (site,) = TORCHGEO.glob("lib/python*/site-packages")
        (site / "benchmark.pth").write_text(f"{Path(torch.__file__).parents[1]}\n")
        constraint = TORCHGEO / "constraint.txt"
        constraint.write_text(f"numpy=={np.__version__}\n")
        install = [
            python,
            "-m",
            "pip",
            "install",
            "-qq",
            "-c",
            constraint,
            "torchgeo",
            "pycocotools",
        ]
        subprocess.run([*map(str, install)], check=True)
    return python


class Clock(pl.Callback):
    """Counts samples and seconds from the end of the first batch on."""

    def __init__(self) -> None:
        self.count, self.seconds, self._began = 0, 0.0, 0.0

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take the time."""
        if batch_idx:
            self.count += len(batch[0])
        if batch_idx in (0, trainer.num_training_batches - 1):
            wait(module.device)
        if not batch_idx:
            self._began = time.perf_counter()
        self.seconds = time.perf_counter() - self._began


def wait(device: torch.device) -> None:
    """Wait until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(step: Callable[[], None], count: int, device: torch.device) -> float:
    """Return the steps per second after a first one."""
    step()
    wait(device)
    began = time.perf_counter()
    for _ in range(count):
        step()
    wait(device)
    return count / (time.perf_counter() - began)


def measure(folder: Path, name: str, arguments: argparse.Namespace) -> None:
    """Print the line of a model type."""
    data_format, rival = TASKS[name]
    write_folder(folder, data_format, arguments.chips, arguments.side)
    options = TrainingOptions(
        str(folder),
        "out",
        model_type=name,
        backbone=arguments.backbone,
        weights="none",
        validation_percentage=1,
        device=arguments.device,
    )
    runs = Runs(options)
    ways = {"ours": runs.ours, "bare": runs.bare, "plain": runs.plain}
    if rival and not arguments.no_torchgeo:
        ways["torchgeo"] = lambda: by_torchgeo(rival, folder, arguments.backbone)
    found: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(arguments.rounds):
        for way, run in ways.items():
            found[way].append(run())
    ours = found.pop("ours")
    ratios = (
        f"{statistics.median(one / other for one, other in zip(ours, each)):.2f} × {way}"
        for way, each in found.items()
    )
    print(
        f"{name:19}{statistics.median(ours):8.2f} samples a second ({runs.hardware.precision}): "
        f"{', '.join(ratios)}",
        flush=True,
    )


def main() -> None:
    """Measure every task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small chips, one round")
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--chips", type=int, default=161)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--only", choices=TASKS, action="append", help="of these model types")
    parser.add_argument("--no-torchgeo", action="store_true", help="leave torchgeo out")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.side, arguments.chips, arguments.rounds = 128, 25, 1
    keep_freed_memory()  # as 'Train model' does; here for all that is computed in this process
    for name in arguments.only or TASKS:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder) / "chips", name, arguments)


if __name__ == "__main__":
    main()
