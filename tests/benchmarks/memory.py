"""Measures that inference needs the same memory for 2,000² and for 20,000² pixels.

Each run is a process of its own; both are measured side by side. The rasters are sparse files,
so they need no disk, but every tile is read, computed by a small network and written.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

SIDES = (2_000, 20_000)
TOLERANCE = 1.10
ARGUMENTS = {"tile_size": 512, "padding": 32, "batch_size": 2, "precision": "float32"}


def measure(task: str, side: int) -> dict[str, float]:
    """Run a task on a raster of ``side`` × ``side`` pixels in this process."""
    from osgeo import gdal

    from geodl_plugin.core.inference import detect, pixels
    from geodl_plugin.core.inference.options import DetectionOptions, PixelOptions
    from geodl_plugin.core.progress import Progress
    from tests.unit.inference.support import write_model

    with tempfile.TemporaryDirectory() as name:
        source = str(Path(name) / "large.tif")
        options = ["TILED=YES", "SPARSE_OK=TRUE", "COMPRESS=LZW"]
        dataset = gdal.GetDriverByName("GTiff").Create(source, side, side, 3, options=options)
        dataset.SetGeoTransform((500000, 0.1, 0, 4100000, 0, -0.1))
        dataset = None
        began = time.perf_counter()
        if task == "detect":
            model = write_model(Path(name) / "m.dlpk", "TEST_MANY", bands=3)
            made = DetectionOptions([source], model, str(Path(name) / "out.gpkg"), **ARGUMENTS)
            result = detect.run(made, Progress())
        else:
            model = write_model(Path(name) / "m.dlpk", "TEST_PIXELS", bands=3)
            classes = PixelOptions([source], model, str(Path(name) / "out.tif"), **ARGUMENTS)
            result = pixels.run(classes, Progress())
        seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    count = result.get("object_count") or sum(result["pixel_counts"].values())
    return {"megabytes": peak, "seconds": seconds, "count": count}


def side_by_side(task: str) -> bool:
    """Print both figures of a task and return whether they are alike."""
    figures = {}
    for side in SIDES:
        command = [sys.executable, __file__, task, str(side)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        figures[side] = json.loads(answer.stdout.splitlines()[-1])
        print(
            f"{task:16} {side:6}²  {figures[side]['megabytes']:7.1f} MB peak  "
            f"{figures[side]['seconds']:6.1f} s  {figures[side]['count']} found"
        )
    ratio = figures[SIDES[1]]["megabytes"] / figures[SIDES[0]]["megabytes"]
    print(f"{task:16} ratio of memory {ratio:.3f} (at most {TOLERANCE})")
    return ratio <= TOLERANCE


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
    else:
        sys.exit(0 if all([side_by_side("detect"), side_by_side("classify_pixels")]) else 1)
