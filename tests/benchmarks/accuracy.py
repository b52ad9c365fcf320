"""Accuracy of what GeoDL trains beside plain loops: every accuracy_….py of this folder.

All use the Yellowstone trees of the demo: the upper part teaches, what is measured lies in the
lower part, which no training sees. Same chips, same network, same batch size, same number of
steps, three seeds. Neither side starts from pretrained weights, so that it runs without a network.

The whole takes hours on two cores; --backbone, --epochs, --stride and --seed make it
shorter for both sides alike; --side measures one of them, so that the sides can run on two
machines or cores.

Usage: python tests/benchmarks/accuracy.py [--quick] [--data FOLDER] [--only NAME]
    [--backbone NAME] [--epochs N] [--stride PIXELS] [--seed N] [--side geodl|plain]
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from geodl_plugin.core.chips.export import export_chips
from geodl_plugin.core.chips.options import ExportOptions
from geodl_plugin.core.device import has_fast_bfloat16
from geodl_plugin.core.progress import Progress
from tests.demo import imagery

ROOT = Path(__file__).resolve().parents[2]
PARTS = {"detectors": ("SSD", "RETINANET", "FASTERRCNN"), "pixels": ("UNET", "DEEPLAB")}
Score = Callable[[str, int], float]


@dataclass(frozen=True)
class Plan:
    """How long and how large to train; the stride of the chips says how many there are."""

    stride: int
    backbone: str = "resnet34"
    side: int = 256
    epochs: int = 20
    batch: int = 8
    seeds: tuple[int, ...] = (1, 2, 3)

    def __str__(self) -> str:
        return (
            f"{self.backbone}, chips of {self.side} pixels every {self.stride}, {self.epochs} "
            f"epochs in batches of {self.batch}"
        )


def yellowstone(folder: Path) -> Path:
    """Return the folder of rasters and layers, fetched and cut once."""
    source = folder / "download" / f"{imagery.NAME}.png"
    if not source.exists():
        imagery.fetch(folder / "download")
    data = folder / "data"
    if not (data / "canopy_lower.geojson").exists():
        width, height, trees = imagery.read_trees(source.with_suffix(".xml"))
        imagery.write_rasters(folder, folder / "yellowstone.tif", height)
        imagery.write_layers(folder, width, height, trees)
    return data


def chips(data: Path, raster: str, labels: str, plan: Plan, stride: int, **options: Any) -> Path:
    """Return the folder of a raster's chips, exported once."""
    target = data.with_name(f"{labels}_{plan.side}_{stride}")
    if not target.exists():
        sources, features = (str(data / f"{raster}.tif"),), str(data / f"{labels}.geojson")
        sizes = {"width": plan.side, "height": plan.side, "stride_x": stride, "stride_y": stride}
        export_chips(ExportOptions(sources, features, str(target), **sizes, **options), Progress())
    return target


def by_amp() -> Any:
    """Return the context of a plain loop's forward pass: mixed precision, as the books advise.

    Without it where the processor would emulate it.
    """
    return torch.autocast("cpu", torch.bfloat16, enabled=bool(has_fast_bfloat16()))


def compare(title: str, plan: Plan, given: argparse.Namespace, sides: dict[str, Score]) -> None:
    """Print a table of what the sides reach with each network and seed, and in how many seconds."""
    chosen = {side: score for side, score in sides.items() if given.side in (None, side)}
    print(plan)
    heads = "".join(f"{side:>9}{'seconds':>9}" for side in chosen)
    print(f"\n{title:<12}{'seed':>6}{heads}", flush=True)
    for name in given.only:
        rows = []
        for seed in plan.seeds:
            row = []
            for score in chosen.values():
                began = time.monotonic()
                row.append((score(name, seed), time.monotonic() - began))
            rows.append(row)
            _print_row(name, str(seed), row)
        means = [tuple(map(statistics.mean, zip(*column))) for column in zip(*rows)]
        _print_row(name, "mean", means)


def _print_row(name: str, seed: str, row: list[tuple[float, float]]) -> None:
    figures = "".join(f"{score:>9.3f}{seconds:>9.0f}" for score, seconds in row)
    print(f"{name:<12}{seed:>6}{figures}", flush=True)


def arguments(*parts: str) -> argparse.Namespace:
    """Return what the command line says; ``only`` has the networks that these parts measure."""
    names = [name for part in PARTS for name in PARTS[part]]
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="small networks, few steps")
    parser.add_argument("--data", type=Path, default=ROOT / "build" / "accuracy")
    parser.add_argument("--only", choices=names, action="append", help="of these networks")
    parser.add_argument("--backbone", help="of all networks")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--stride", type=int, help="pixels between chips")
    parser.add_argument("--seed", type=int, action="append", help="instead of 1, 2 and 3")
    parser.add_argument("--side", choices=("geodl", "plain"), help="only this one")
    given = parser.parse_args()
    own = [name for part in parts for name in PARTS[part]]
    given.only = [name for name in own if name in (given.only or names)]
    return given


def changed(plan: Plan, given: argparse.Namespace) -> Plan:
    """Return the plan as the command line wants it."""
    names = ("backbone", "epochs", "stride")
    changes = {name: getattr(given, name) for name in names if getattr(given, name)}
    if given.seed:
        changes["seeds"] = tuple(given.seed)
    return dataclasses.replace(plan, **changes)


def main() -> int:
    """Run the parts that are wanted, each in a process of its own; return the worst exit code."""
    codes = []
    for part in PARTS:
        if arguments(part).only:
            print(f"== {part}", flush=True)
            script = Path(__file__).with_name(f"accuracy_{part}.py")
            codes.append(subprocess.run([sys.executable, str(script), *sys.argv[1:]]).returncode)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
