"""Measures that inference needs the same memory for 2,000² and for 40,000² pixels, for tiles
that are blended on 2,000 rows of 8,000 and of 40,000 pixels, where most of the sums wait on disk,
and that 1,400 outlined objects on 4,096² pixels stay below 2 GB.

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
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

SIDES = (2_000, 40_000)
BLENDED_SIDES = (8_000, 40_000)
TOLERANCE = 1.15
OUTLINES_SIDE, OUTLINES, OUTLINES_MEGABYTES = 4_096, 1_400, 2_000
BLENDED = {"blend": "gaussian", "padding": 128}
CLASSES = 9  # whose probabilities are blended
ARGUMENTS = {"tile_size": 512, "padding": 32, "batch_size": 2, "precision": "float32"}


def measure(task: str, side: int) -> dict[str, float]:
    """Run a task on a raster of ``side`` × ``side`` pixels in this process."""
    from osgeo import gdal

    from geodl_plugin.core.inference import detect, engine, pixels
    from geodl_plugin.core.inference.options import DetectionOptions, PixelOptions
    from geodl_plugin.core.progress import Progress
    from geodl_plugin.core.samples.schema import Schema
    from tests.unit.inference.support import write_model

    # The libraries of OpenVINO need memory, too: it is asked for little work as for much.
    engine.LEAST_SECONDS = 0.0
    with tempfile.TemporaryDirectory() as name:
        source = str(Path(name) / "large.tif")
        options = ["TILED=YES", "SPARSE_OK=TRUE", "COMPRESS=LZW"]
        bands, kind = (1, gdal.GDT_UInt16) if task == "outlines" else (3, gdal.GDT_Byte)
        driver = gdal.GetDriverByName("GTiff")
        rows = SIDES[0] if task == "blended" else side
        dataset = driver.Create(source, side, rows, bands, kind, options)
        dataset.SetGeoTransform((500000, 0.1, 0, 4100000, 0, -0.1))
        if task == "outlines":
            _draw_discs(dataset.GetRasterBand(1), side)
        dataset = None
        began = time.perf_counter()
        if task == "outlines":
            model = write_model(Path(name) / "m.dlpk", "TEST_OUTLINES", bands=1)
            made = DetectionOptions([source], model, str(Path(name) / "out.gpkg"), **ARGUMENTS)
            result = detect.run(made, Progress())
        elif task == "detect":
            model = write_model(Path(name) / "m.dlpk", "TEST_MANY", bands=3)
            made = DetectionOptions([source], model, str(Path(name) / "out.gpkg"), **ARGUMENTS)
            result = detect.run(made, Progress())
        elif task == "blended":
            schema = Schema.from_names(f"class {number}" for number in range(CLASSES))
            model = write_model(Path(name) / "m.dlpk", "TEST_SMALL", bands=3, schema=schema)
            values = {**ARGUMENTS, **BLENDED}
            result = pixels.run(
                PixelOptions([source], model, str(Path(name) / "out.tif"), **values), Progress()
            )
        else:
            model = write_model(Path(name) / "m.dlpk", "TEST_PIXELS", bands=3)
            classes = PixelOptions([source], model, str(Path(name) / "out.tif"), **ARGUMENTS)
            result = pixels.run(classes, Progress())
        seconds = time.perf_counter() - began
    peak = peak_megabytes()
    count = result.get("object_count") or sum(result["pixel_counts"].values())
    return {"megabytes": peak, "seconds": seconds, "count": count}


def peak_megabytes() -> float:
    """Return the most memory that this process had at a time.

    Linux counts the memory of whoever started a process into its ``ru_maxrss``.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(each for each in status.read_text().splitlines() if each.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _draw_discs(band: Any, side: int) -> None:
    """Draw numbered discs of 70 pixels, as tree crowns, side by side."""
    import numpy as np

    y, x = np.mgrid[:70, :70] - 34.5
    disc = (x**2 + y**2 < 35**2).astype(np.uint16)
    per_row = side // 100
    for number in range(OUTLINES):
        row, col = divmod(number, per_row)
        band.WriteArray(disc * (number + 1), col * 100 + 10, row * 100 + 10)


def outlines() -> bool:
    """Print the memory that many outlined objects need and return whether it is little."""
    command = [sys.executable, __file__, "outlines", str(OUTLINES_SIDE)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    figures = json.loads(answer.stdout.splitlines()[-1])
    print(
        f"outlines         {OUTLINES_SIDE:6} wide  {figures['megabytes']:7.1f} MB peak  "
        f"{figures['seconds']:6.1f} s  {figures['count']} found"
    )
    return figures["megabytes"] <= OUTLINES_MEGABYTES and figures["count"] == OUTLINES


def side_by_side(task: str) -> bool:
    """Print both figures of a task and return whether they are alike."""
    figures = {}
    sides = BLENDED_SIDES if task == "blended" else SIDES
    for side in sides:
        command = [sys.executable, __file__, task, str(side)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        figures[side] = json.loads(answer.stdout.splitlines()[-1])
        print(
            f"{task:16} {side:6} wide  {figures[side]['megabytes']:7.1f} MB peak  "
            f"{figures[side]['seconds']:6.1f} s  {figures[side]['count']} found"
        )
    ratio = figures[sides[1]]["megabytes"] / figures[sides[0]]["megabytes"]
    print(f"{task:16} ratio of memory {ratio:.3f} (at most {TOLERANCE})")
    return ratio <= TOLERANCE


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
    else:
        passed = [side_by_side(task) for task in ("detect", "classify_pixels", "blended")]
        passed.append(outlines())
        sys.exit(0 if all(passed) else 1)
