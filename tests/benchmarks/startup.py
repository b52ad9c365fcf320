"""Measures how long it takes until a worker is ready, until its first tile is done, and until the
provider is loaded.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from geodl_plugin.core.errors import CancelledError  # noqa: E402
from geodl_plugin.core.inference.kept_networks import DIRECTORY_VARIABLE  # noqa: E402
from geodl_plugin.core.progress import Progress  # noqa: E402
from geodl_plugin.worker.client import run_task  # noqa: E402

RUNS = 3
SIDE, CHIP = 2048, 256  # pixels: of the raster, and of the chips that its model knows
FIRST_TILE = 6.0  # seconds that it may take, the start of the worker among them

LOADING = """
import sys, time
sys.path.append(sys.argv[1])
from qgis.core import QgsApplication
application = QgsApplication([], False)
application.initQgis()
import numpy, osgeo.gdal, osgeo.ogr, osgeo.osr, osgeo.gdal_array
began = time.perf_counter()
import geodl_plugin
geodl_plugin.classFactory(None).initProcessing()
print(time.perf_counter() - began)
"""

# What inference imports, network built and used once; with the collector of garbage, or as it is.
INFERENCE = """
import contextlib, sys, time
sys.path.append(sys.argv[1])
from geodl_plugin.core import importing
if sys.argv[3:]:
    importing.importing = lambda library: contextlib.nullcontext()
began = time.perf_counter()
with importing.importing("torch"):
    import torch
from geodl_plugin.core.models.registry import NetworkSpec, Task, build_network, model_type
name = sys.argv[2]
kind = model_type(name)
arguments = {**kind.arguments, **({"grids": [8, 4]} if name == "SSD" else {})}
spec = NetworkSpec(name, "resnet18", arguments, 3, 2, 256, "none")
network = build_network(spec).eval()
with torch.inference_mode():
    network(torch.zeros(1, 3, 256, 256))
print(time.perf_counter() - began)
"""


def ask(python: str, code: str, *arguments: str) -> float:
    """Return the seconds that a script prints; not a number when it fails."""
    # Users' plugins are compiled once, not at each start.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "QT_QPA_PLATFORM": "offscreen"}
    command = [python, "-c", code, str(ROOT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.stderr.write(done.stderr[-500:])
        return float("nan")
    return float(done.stdout.splitlines()[-1])


def self_test() -> float:
    """Return the seconds from starting a worker to the result of its self-test."""
    began = time.perf_counter()
    run_task("selftest", {}, Progress(), sys.executable)
    return time.perf_counter() - began


class UntilFirstTile(Progress):
    """Takes the time of the first report in which a tile is done; then the run is cancelled."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.seconds = float("nan")

    def update(self, fraction: float, message: str = "") -> None:
        done = re.search(r": ([0-9]+) of [0-9]+ tiles", message)
        if done and int(done[1]) and self.seconds != self.seconds:
            self.seconds = time.perf_counter() - self.began

    def cancelled(self) -> bool:
        return self.seconds == self.seconds


def first_tile(task: str, source: str, model: str, again: bool) -> float:
    """Return the seconds from calling a task of inference to its first tile.

    Args:
        task: of the worker.
        source, model: for it.
        again: whether a run before has kept what OpenVINO reads of the model's network.
    """
    if not again:
        shutil.rmtree(os.environ[DIRECTORY_VARIABLE], ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        progress = UntilFirstTile()
        output = str(Path(folder) / ("found.gpkg" if task == "detect" else "found.tif"))
        options = {"sources": [source], "model": model, "output": output}
        with contextlib.suppress(CancelledError):
            run_task(task, options, progress, sys.executable)
        return progress.seconds


def first_tiles() -> None:
    """Print how long the first tile takes on a raster of noise, by untrained networks."""
    import numpy as np

    from tests.qgis.models import write_untrained
    from tests.unit.inference.support import write_raster

    noise = np.random.default_rng(0).integers(1, 255, (3, SIDE, SIDE), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        source = write_raster(Path(folder) / "noise.tif", noise)
        os.environ[DIRECTORY_VARIABLE] = str(Path(folder) / "compiled")
        for task, name in (("detect", "SSD"), ("classify_pixels", "UNET")):
            model = write_untrained(
                Path(folder) / f"{name}.dlpk", name, chip_size=CHIP, backbone="resnet18"
            )
            for again in (False, True):
                title = f"{name}, {'next' if again else 'first'} run, to the first tile"
                measure(f"{title} (≤ {FIRST_TILE:g})", first_tile, task, source, model, again)


def measure(name: str, function: Callable[..., float], *arguments: Any) -> None:
    """Print the least, the middle and the most of several runs."""
    seconds = sorted(function(*arguments) for _ in range(RUNS))
    figures = (seconds[0], statistics.median(seconds), seconds[-1])
    print(f"{name:45} {figures[0]:6.2f} {figures[1]:6.2f} {figures[2]:6.2f} s")


def beside_collector(name: str) -> None:
    """Print how much longer importing, building and using takes with the collector of garbage."""
    rounds = [
        [ask(sys.executable, INFERENCE, name, *more) for more in (("collected",), ())]
        for _ in range(RUNS)
    ]
    collected, ours = map(min, zip(*rounds))
    title = f"{name}, with the collector {collected:.2f} s"
    print(f"{title:45} {collected / ours:6.2f} x as long")


def main() -> None:
    """Measure and print."""
    print(f"{'least, middle, most of ' + str(RUNS):45}")
    measure("provider loaded into QGIS", ask, "/usr/bin/python3", LOADING)
    measure("worker started, self-test passed", self_test)
    for name in ("SSD", "UNET", "FEATURE_CLASSIFIER"):
        measure(f"{name} imported, built, used once", ask, sys.executable, INFERENCE, name)
    beside_collector("UNET")
    first_tiles()


if __name__ == "__main__":
    main()
