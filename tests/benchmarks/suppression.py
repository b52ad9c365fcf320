"""Measures the suppression of overlapping boxes: against torchvision's, and as a long stream.

Boxes of two classes at random places, about two on each place, whatever their number. All are
measured in one process, the best of three rounds. ``torchvision.ops.batched_nms`` compares all
with all: from 100,000 boxes on it needs n² of time and memory, so ``--quick`` leaves that out.
"""

from __future__ import annotations

import argparse
import math
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

SIDE = 30.0  # pixels of a box
CROWDING = 2.0  # boxes on a place
OVERLAP = 0.1
STRIP = 512.0  # pixels: the height of a row of tiles
ROUNDS = 3


def boxes_of(count: int, width: float, height: float, seed: int) -> np.ndarray:
    """Return random boxes ``(count, 4)`` of an area."""
    draw = np.random.default_rng(seed)
    low = draw.uniform(0, [width, height], (count, 2))
    return np.concatenate([low, low + draw.uniform(0.5, 1.5, (count, 2)) * SIDE], axis=1)


def width_of(count: int) -> float:
    """Return the side of the square on which so many boxes are crowded as always."""
    return math.sqrt(count / CROWDING) * SIDE


def best_of(work: Callable[[], int], rounds: int = ROUNDS) -> tuple[float, int]:
    """Return the shortest time and the answer."""
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        answer = work()
        seconds.append(time.perf_counter() - began)
    return min(seconds), answer


def beside_torchvision(count: int, theirs: bool) -> None:
    """Print how long both take for boxes that are all there at once."""
    import torch
    from torchvision.ops import batched_nms

    from geodl_plugin.core.inference.detections import Detections
    from geodl_plugin.core.inference.merge import suppress

    side = width_of(count)
    draw = np.random.default_rng(1)
    found = Detections.of(
        boxes_of(count, side, side, 0), draw.random(count), draw.integers(0, 2, count)
    )
    ours, kept = best_of(lambda: len(suppress(found, OVERLAP)))
    text = f"{count:,} boxes: GeoDL {ours:.3f} s, {kept:,} kept"
    if theirs:
        arrays = (found.boxes, found.scores, found.labels)
        tensors = [torch.from_numpy(each) for each in arrays]
        seconds, others = best_of(
            lambda: len(batched_nms(*tensors, OVERLAP)), ROUNDS if count < 50_000 else 1
        )
        text += f"; torchvision {seconds:.3f} s, {others:,} kept: {seconds / ours:.1f} × as long"
    print(text, flush=True)


def streamed(count: int) -> float:
    """Print how long boxes take that come strip by strip, and the memory of the process."""
    from geodl_plugin.core.inference.detections import Detections
    from geodl_plugin.core.inference.merge import Merger

    side = width_of(count)
    strips = math.ceil(side / STRIP)
    merger, kept = Merger(OVERLAP), 0
    draw = np.random.default_rng(2)
    began = time.perf_counter()
    for strip in range(strips):
        number = count * (strip + 1) // strips - count * strip // strips
        boxes = boxes_of(number, side, STRIP, strip) + np.array([0, 1, 0, 1]) * strip * STRIP
        kept += len(merger.settle(strip * STRIP))
        merger.add(Detections.of(boxes, draw.random(number), draw.integers(0, 2, number)))
    kept += len(merger.settle())
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{count:,} boxes in {strips} strips: {seconds:.2f} s, {kept:,} kept, "
        f"{1e6 * seconds / count / math.log2(count):.3f} µs × n log n, peak {peak:.0f} MB",
        flush=True,
    )
    return seconds


def main() -> None:
    """Print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="without what takes long")
    quick = parser.parse_args().quick
    # The stream first: the peak of memory is that of the whole process so far.
    sizes = (10_000, 100_000) if quick else (10_000, 100_000, 1_000_000)
    seconds = [streamed(count) for count in sizes]
    for (few, many), (short, long) in zip(zip(sizes, sizes[1:]), zip(seconds, seconds[1:])):
        ideal = many * math.log(many) / (few * math.log(few))
        print(f"{many // few} × the boxes: {long / short:.1f} × the time (n log n: {ideal:.1f})")
    for count in (10_000, 20_000, 100_000):
        beside_torchvision(count, count < 100_000 or not quick)


if __name__ == "__main__":
    main()
