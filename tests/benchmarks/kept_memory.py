"""Samples per second of a training whose process keeps freed memory, beside one that does not.

Each epoch in a process of its own, both kinds in turns; what counts is the median of the rounds'
ratios. The figures of a process are those of its second epoch and its peak memory.

Usage: python tests/benchmarks/kept_memory.py [--quick] [--chips 81] [--rounds 3] [--only NAME]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from geodl_plugin.core.learning.options import TrainingOptions
from geodl_plugin.core.memory import keep_freed_memory
from tests.benchmarks.training import TASKS, Runs, write_folder

KEPT, GIVEN_BACK = "kept", "given back"


def child(folder: str, name: str, way: str) -> None:
    """Print samples per second and peak memory in MB of a process."""
    if way == KEPT and not keep_freed_memory():
        raise SystemExit("This C library cannot be asked to keep memory.")
    runs = Runs(
        TrainingOptions(
            folder,
            "out",
            model_type=name,
            backbone="resnet18",
            weights="none",
            validation_percentage=1,
        )
    )
    runs.ours()
    print(runs.ours(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measure(folder: Path, name: str, rounds: int) -> None:
    """Print the line of a model type."""
    speeds: dict[str, list[float]] = {KEPT: [], GIVEN_BACK: []}
    peaks: dict[str, list[float]] = {KEPT: [], GIVEN_BACK: []}
    for _ in range(rounds):
        for way in speeds:
            command = [sys.executable, __file__, "--child", str(folder), name, way]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            speed, peak = map(float, done.stdout.split()[-2:])
            speeds[way].append(speed)
            peaks[way].append(peak)
    ratio = statistics.median(one / other for one, other in zip(*speeds.values()))
    kept, given = (statistics.median(each) for each in peaks.values())
    print(f"{name:19}{ratio:5.2f} × the speed, {kept:.0f} MB beside {given:.0f} MB", flush=True)


def main() -> None:
    """Measure every task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small chips, one round")
    parser.add_argument("--chips", type=int, default=81)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=TASKS, action="append", help="of these model types")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    side = 128 if arguments.quick else 256
    chips, rounds = (25, 1) if arguments.quick else (arguments.chips, arguments.rounds)
    for name in arguments.only or TASKS:
        with tempfile.TemporaryDirectory() as folder:
            write_folder(Path(folder) / "chips", TASKS[name][0], chips, side)
            measure(Path(folder) / "chips", name, rounds)


if __name__ == "__main__":
    main()
