"""Measures how long it takes until a worker is ready, and until the provider is loaded."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from geodl_plugin.core.progress import Progress  # noqa: E402
from geodl_plugin.worker.client import run_task  # noqa: E402

RUNS = 3

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

# What inference imports, network built and used once.
INFERENCE = """
import sys, time
sys.path.append(sys.argv[1])
began = time.perf_counter()
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


def measure(name: str, function, *arguments: str) -> None:
    """Print the least, the middle and the most of several runs."""
    seconds = sorted(function(*arguments) for _ in range(RUNS))
    figures = (seconds[0], statistics.median(seconds), seconds[-1])
    print(f"{name:45} {figures[0]:6.2f} {figures[1]:6.2f} {figures[2]:6.2f} s")


def main() -> None:
    """Measure and print."""
    print(f"{'least, middle, most of ' + str(RUNS):45}")
    measure("provider loaded into QGIS", ask, "/usr/bin/python3", LOADING)
    measure("worker started, self-test passed", self_test)
    for name in ("SSD", "UNET", "FEATURE_CLASSIFIER"):
        measure(f"{name} imported, built, used once", ask, sys.executable, INFERENCE, name)


if __name__ == "__main__":
    main()
