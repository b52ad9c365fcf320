"""Seconds of networks that torch computes on the CPU, lean and as they are.

Lean is without batch normalisations and, in bfloat16, with weights that need no conversion. Each
round is a process of its own, in which both are computed in turns after warming up; one process
keeps the memory that it frees, as inference does, and another one gives it back. What counts is the
median of the rounds' ratios.

Usage: python tests/benchmarks/lean.py [--quick] [--rounds 3]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

TURNS = 8
# Images, and the side of each.
SIZES = {"UNET": (1, 512), "SSD": (1, 1024), "RETINANET": (1, 1024), "FEATURE_CLASSIFIER": (64, 64)}
KEPT, GIVEN_BACK = "kept", "given back"


def child(name: str, precision: str, memory: str) -> None:
    """Print the seconds of a network as it is and lean."""
    import numpy as np
    import torch

    from geodl_plugin.core.inference.lean_network import folded, halved
    from geodl_plugin.core.memory import keep_freed_memory
    from geodl_plugin.core.models.registry import NetworkSpec, build_network, model_type

    if memory == KEPT and not keep_freed_memory():
        raise SystemExit("This C library cannot be asked to keep memory.")
    count, side = SIZES[name]
    kind = model_type(name)
    arguments = dict(kind.arguments)
    if kind.complete is not None:
        arguments = kind.complete(arguments, np.array([[16.0, 16.0]]), 256)
    spec = NetworkSpec(name, "resnet18", arguments, 3, 2, 256)
    network = build_network(spec).eval().to(memory_format=torch.channels_last)
    lean = folded(network)
    half = precision == "bfloat16"
    if half:
        lean = halved(lean, torch.bfloat16)
    images = torch.randn(count, 3, side, side).contiguous(memory_format=torch.channels_last)
    best = [float("inf"), float("inf")]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        for _ in range(TURNS):
            for place, each in enumerate((network, lean)):
                began = time.perf_counter()
                each(images)
                best[place] = min(best[place], time.perf_counter() - began)
    print(*best)


def measure(name: str, precision: str, rounds: int) -> None:
    """Print the line of a network in a precision."""
    lean, both = [], []
    for _ in range(rounds):
        seconds = {}
        for memory in (KEPT, GIVEN_BACK):
            command = [sys.executable, __file__, "--child", name, precision, memory]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            seconds[memory] = [float(each) for each in done.stdout.split()[-2:]]
        lean.append(seconds[KEPT][0] / seconds[KEPT][1])
        both.append(seconds[GIVEN_BACK][0] / seconds[KEPT][1])
    print(
        f"{name:19}{precision:9} lean {statistics.median(lean):.2f} × the speed, with memory that "
        f"is kept {statistics.median(both):.2f} ×",
        flush=True,
    )


def main() -> None:
    """Measure some networks in both precisions, where the processor has both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    from geodl_plugin.core.device import has_fast_bfloat16

    for precision in ("bfloat16", "float32") if has_fast_bfloat16() else ("float32",):
        for name in SIZES:
            measure(name, precision, 1 if arguments.quick else arguments.rounds)


if __name__ == "__main__":
    main()
