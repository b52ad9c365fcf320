"""Measures how well an SSD finds the demo's trees that teaches as long as a known plain loop.

That loop, an SSD head of torchvision on a ResNet-18 from scratch, reached F1 0.70 at IoU 0.4 on
the unseen part of the image: 1,200 batches of 8 random crops of all of the seen part, AdamW with
one cycle to 3e-3. Here are as many batches at the same rate, through the tools, with the demo's
arguments; chips overlap, and none is kept for validation. It takes ten minutes.

Usage: python tests/benchmarks/accuracy_trees.py [--seed N]
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "demo"))

from process import QgisProcess
from road import MIN_IOU, TRAININGS, Road

ROOT = Path(__file__).resolve().parents[2]
STRIDE = 128  # pixels between chips: 135 of 512² pixels, from each of which four crops are taken
EPOCHS = 18  # of 67 batches
STEPS = ("imagery", "label trees", "export trees", "train trees", "detect trees")


def main() -> None:
    """Print precision, recall and F1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=42)
    seed = parser.parse_args().seed
    subprocess.run([sys.executable, str(ROOT / ".ci" / "package.py")], check=True)
    package = max(ROOT.glob("build/geodl_plugin-*.zip"), key=lambda path: path.stat().st_mtime)
    trees = TRAININGS[0]
    longer = dataclasses.replace(
        trees,
        export={**trees.export, "STRIDE_X": STRIDE, "STRIDE_Y": STRIDE},
        train={
            **trees.train,
            "MAX_EPOCHS": EPOCHS,
            "LEARNING_RATE": "3e-3",
            "VALIDATION_PERCENTAGE": 0,
            "MONITOR": "VALID_LOSS",
            "SEED": seed,
        },
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        road = Road(QgisProcess(package, folder / "qgis"), folder, (longer,))
        for step in road.steps():
            if step.name in (*STEPS, "assess detections"):
                step.work()
        with (folder / "reports" / "trees.csv").open(encoding="utf-8") as file:
            row = list(csv.DictReader(file))[-1]
    told = ", ".join(f"{key} {float(row[key]):.3f}" for key in ("Precision", "Recall", "F1_Score"))
    print(f"SSD, seed {seed}, unseen trees at IoU {MIN_IOU:g}: {told}")


if __name__ == "__main__":
    main()
