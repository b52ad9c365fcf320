"""Chips per second of an export, beside other ways to cut the same chips.

Prints a table: GeoDL, a shell loop of gdal_translate, gdal_retile, and the limit – the same
bytes read once and written once with GDAL in a thread per core. Then the cost of a feature
with few and with many labels. Everything is measured in one run on one machine.

Usage: python tests/benchmarks/export.py [side of the raster in chips, default 50]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from osgeo import gdal

from geodl_plugin.core.chips.export import export_chips
from geodl_plugin.core.chips.options import ExportOptions
from geodl_plugin.core.geo.vector import VectorWriter
from geodl_plugin.core.progress import Progress

CHIP = 256
LOOP = 200  # chips of the shell loop, which is too slow for all
gdal.UseExceptions()


def make_raster(path: Path, side: int) -> None:
    """Write a tiled raster of ``side`` × ``side`` chips with the grain of imagery."""
    size = side * CHIP
    options = ["TILED=YES", "BLOCKXSIZE=256", "BLOCKYSIZE=256", "BIGTIFF=IF_SAFER"]
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), size, size, 3, 1, options)
    dataset.SetGeoTransform((0, 1, 0, size, 0, -1))
    random = np.random.default_rng(1)
    coarse = random.integers(0, 255, (3, CHIP // 8, size // 8), dtype=np.uint8)
    for row in range(side):
        strip = np.roll(coarse, row * 37, axis=2).repeat(8, 1).repeat(8, 2)
        noise = random.integers(0, 8, strip.shape, dtype=np.uint8)
        dataset.WriteArray(strip // 2 + noise, 0, row * CHIP)


def make_labels(path: Path, count: int, size: int) -> None:
    """Write ``count`` squares of four pixels at random places."""
    corners = np.random.default_rng(2).uniform(0, size - 4, (count, 2))
    square = np.array([[0, 0], [4, 0], [4, 4], [0, 4]])
    with VectorWriter(path, "", {"value": int}) as writer:
        for corner in corners:
            writer.write_polygon([square + corner], {"value": 1})


def seconds(work: Callable[[], object]) -> float:
    """Return how long ``work`` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ours(raster: Path, labels: Path, folder: Path) -> Callable[[], object]:
    """Return the export of all chips."""
    options = ExportOptions(
        (str(raster),), str(labels), str(folder), stride_x=CHIP, stride_y=CHIP, empty_tiles=True
    )
    return lambda: export_chips(options, Progress())


def loop(raster: Path, folder: Path, side: int) -> Callable[[], object]:
    """Return a loop of gdal_translate over the first chips."""
    folder.mkdir()

    def work() -> None:
        for number in range(LOOP):
            col, row = number % side * CHIP, number // side * CHIP
            window = [str(each) for each in (col, row, CHIP, CHIP)]
            command = ["gdal_translate", "-q", "-co", "COMPRESS=LZW", "-srcwin", *window]
            subprocess.run([*command, str(raster), str(folder / f"{number}.tif")], check=True)

    return work


def retile(raster: Path, folder: Path) -> Callable[[], object]:
    """Return gdal_retile of the whole raster."""
    folder.mkdir()
    command = ["gdal_retile.py", "-q", "-ps", str(CHIP), str(CHIP), "-co", "COMPRESS=LZW"]
    return lambda: subprocess.run([*command, "-targetDir", str(folder), str(raster)], check=True)


def limit(raster: Path, folder: Path, side: int) -> Callable[[], object]:
    """Return GDAL alone: every chip read once and written once, a thread per core."""
    folder.mkdir()
    threads = os.cpu_count() or 1

    def part(first: int) -> None:
        source = gdal.Open(str(raster))
        driver, memory = gdal.GetDriverByName("GTiff"), gdal.GetDriverByName("MEM")
        for number in range(first, side * side, threads):
            col, row = number % side * CHIP, number // side * CHIP
            chip = memory.Create("", CHIP, CHIP, 3, 1)
            chip.WriteArray(source.ReadAsArray(col, row, CHIP, CHIP))
            driver.CreateCopy(str(folder / f"{number}.tif"), chip, options=["COMPRESS=LZW"])

    def work() -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(part, range(threads)))

    return work


def main(side: int) -> None:
    """Measure and print."""
    count = side * side
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raster, few, many = (folder / each for each in ("a.tif", "few.gpkg", "many.gpkg"))
        make_raster(raster, side)
        make_labels(few, 4 * count, side * CHIP)
        rates = {
            "GeoDL": count / seconds(ours(raster, few, folder / "ours")),
            "limit": count / seconds(limit(raster, folder / "limit", side)),
            "gdal_retile": count / seconds(retile(raster, folder / "retile")),
            "loop of gdal_translate": LOOP / seconds(loop(raster, folder / "loop", side)),
        }
        print(f"{count} chips of {CHIP}² from a tiled 3-band GeoTIFF, {4 * count} labels")
        for each, rate in rates.items():
            print(f"  {each:<24}{rate:8.0f} chips/s   GeoDL is {rates['GeoDL'] / rate:5.2f} ×")
        shutil.rmtree(folder / "ours")
        dense = 100 * count
        make_labels(many, dense, side * CHIP)
        slow = seconds(ours(raster, few, folder / "few")) / (4 * count)
        fast = seconds(ours(raster, many, folder / "many")) / dense
        print(f"time a feature, {dense} against {4 * count} labels: {fast / slow:.2f} ×")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
