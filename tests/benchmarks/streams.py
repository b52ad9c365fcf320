"""Measures the network alone, computed by OpenVINO: tiles one by one, and two at a time.

One by one, all threads share a tile and wait for each other at every layer; two at a time, each
half of the threads has a tile of its own, as GeoDL computes. In turns, in one process; what
counts is the median of the rounds' ratios. Then the memory of a process of each kind at its most.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from geodl_plugin.core.device import has_fast_bfloat16
from geodl_plugin.core.inference import openvino_streams
from geodl_plugin.core.inference.openvino_network import ReadNetwork
from geodl_plugin.core.models.registry import NetworkSpec, build_network, model_type

NETWORKS = {"UNET": 1024, "SSD": 512}  # and the sides of their tiles, in pixels
ROUNDS = 9


def compiled(name: str, streams: int) -> Any:
    """Return an untrained network with a ResNet-18 that computes so many tiles at a time."""
    arguments = dict(model_type(name).arguments)
    if name == "SSD":
        arguments["grids"] = [16, 8]
    torch.manual_seed(0)
    network = build_network(NetworkSpec(name, "resnet18", arguments, 3, 2, 256)).eval()
    openvino_streams.STREAMS = streams
    precision = "bfloat16" if has_fast_bfloat16() else "float32"
    return ReadNetwork.of(network, torch.rand(1, 3, 256, 256)).compiled(precision)


def peak(name: str, streams: int) -> int:
    """Return the megabytes that this process needs at most for so many tiles at a time."""
    network = compiled(name, streams)
    network.seconds(torch.rand(1, 3, NETWORKS[name], NETWORKS[name]))
    # Not ru_maxrss, which a process inherits from the one that started it.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10


def peak_elsewhere(name: str, streams: int) -> str:
    """Return what :func:`peak` says in a process of its own."""
    command = [sys.executable, __file__, name, str(streams)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]


def main() -> None:
    """Print the ratios of each network."""
    if sys.argv[1:]:
        print(peak(sys.argv[1], int(sys.argv[2])))
        return
    for name, side in NETWORKS.items():
        one, two = (compiled(name, streams) for streams in (1, 2))
        tile = torch.rand(1, 3, side, side)
        for each in (one, two):  # memory is taken at the first tile
            each.seconds(tile)
        rounds = [(one.seconds(tile), two.seconds(tile)) for _ in range(ROUNDS)]
        ratio = statistics.median(slow / fast for slow, fast in rounds)
        slow, fast = (1000 * min(column) for column in zip(*rounds))
        print(
            f"{name:6}{side}²: {slow:.0f} ms a tile one by one, {fast:.0f} ms {two.streams} at a "
            f"time: {ratio:.2f} × as many tiles a second; {peak_elsewhere(name, 2)} MB instead of "
            f"{peak_elsewhere(name, 1)} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
