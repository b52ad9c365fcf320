"""Chips per second of an export, beside other ways to cut the same chips.

Prints a table: GeoDL, a shell loop of gdal_translate, gdal_retile, and the limit – the same
bytes read once and written once with GDAL in a thread per core. The machines that run this
are shared: all take turns, and processor time, which neighbours disturb less, stands beside
the time of the clock. Then the cost of a feature with few and with many
labels, and the peak memory with few and with many chips.

Usage: python tests/benchmarks/export.py [side of the raster in chips, default 100]
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from osgeo import gdal, osr

from geodl_plugin.core.chips.export import export_chips
from geodl_plugin.core.chips.options import ExportOptions
from geodl_plugin.core.geo.vector_writer import VectorWriter
from geodl_plugin.core.progress import Progress

CHIP = 256
ROUNDS = 3
LOOP = 100  # chips of the shell loop in a round; it is too slow for all
DENSE = 30  # side, in chips, of the raster that a million labels lie on
LABELS = (1, 10_000, 1_000_000)
OPTIONS = ["COMPRESS=DEFLATE", "ZLEVEL=1", "PREDICTOR=2"]  # those of the export
gdal.UseExceptions()
os.environ["GDAL_PAM_ENABLED"] = "NO"  # for gdal_translate and gdal_retile


def crs() -> str:
    """Return the coordinate reference system of the raster."""
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32612)
    return reference.ExportToWkt()


def make_raster(path: Path, side: int) -> None:
    """Write a tiled raster of ``side`` × ``side`` chips with the grain of imagery.

    It shrinks to about 0.6 by compression, as aerial images do, and repeats nowhere.
    """
    size = side * CHIP
    options = ["TILED=YES", "BLOCKXSIZE=256", "BLOCKYSIZE=256", "BIGTIFF=IF_SAFER"]
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), size, size, 3, 1, options)
    dataset.SetGeoTransform((500_000, 1, 0, 4_000_000 + size, 0, -1))
    dataset.SetProjection(crs())
    random = np.random.default_rng(1)
    for row in range(side):
        strip = np.full((3, CHIP, size), 40, np.uint8)
        for cell, depth in ((64, 90), (8, 40)):
            shape = (3, CHIP // cell, size // cell)
            coarse = random.integers(0, depth, shape, dtype=np.uint8)
            strip += coarse.repeat(cell, 1).repeat(cell, 2)
        grain = random.integers(0, 16, (3, CHIP, size + 1), dtype=np.uint8)
        strip += grain[:, :, 1:] + grain[:, :, :-1]
        dataset.WriteArray(strip, 0, row * CHIP)


def make_labels(path: Path, count: int, side: int) -> None:
    """Write ``count`` squares of four pixels at random places."""
    size = side * CHIP
    corners = np.random.default_rng(2).uniform(0, size - 4, (count, 2)) + [500_000, 4_000_000]
    square = np.array([[0, 0], [4, 0], [4, 4], [0, 4]])
    with VectorWriter(path, crs(), {"value": int}) as writer:
        for corner in corners:
            writer.write_polygon([square + corner], {"value": 1})


def measure(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that ``work`` takes, by the clock and of the processors."""
    began, before = time.perf_counter(), os.times()
    work()
    after = os.times()
    return time.perf_counter() - began, sum(after[:4]) - sum(before[:4])


def ours(raster: Path, labels: Path, folder: Path) -> Callable[[], object]:
    """Return the export of all chips."""
    options = ExportOptions(
        (str(raster),), str(labels), str(folder), stride_x=CHIP, stride_y=CHIP, empty_tiles=True
    )
    return lambda: export_chips(options, Progress())


def loop(raster: Path, folder: Path, side: int) -> Callable[[], object]:
    """Return a loop of gdal_translate over the first chips."""
    folder.mkdir()
    creation = [part for each in OPTIONS for part in ("-co", each)]

    def work() -> None:
        for number in range(LOOP):
            col, row = number % side * CHIP, number // side * CHIP
            window = [str(each) for each in (col, row, CHIP, CHIP)]
            command = ["gdal_translate", "-q", *creation, "-srcwin", *window]
            subprocess.run([*command, str(raster), str(folder / f"{number}.tif")], check=True)

    return work


def retile(raster: Path, folder: Path) -> Callable[[], object]:
    """Return gdal_retile of the whole raster."""
    folder.mkdir()
    creation = [part for each in OPTIONS for part in ("-co", each)]
    command = ["gdal_retile.py", "-q", "-ps", str(CHIP), str(CHIP), *creation]
    return lambda: subprocess.run([*command, "-targetDir", str(folder), str(raster)], check=True)


def limit(raster: Path, folder: Path, side: int, labels: list[bytes]) -> Callable[[], object]:
    """Return GDAL alone: every byte read once and written once, a thread per core."""
    folder.mkdir()
    threads = os.cpu_count() or 1
    options = [*OPTIONS, "PHOTOMETRIC=RGB"]

    def part(first: int) -> None:
        source = gdal.Open(str(raster))
        grid, projection = source.GetGeoTransform(), source.GetProjection()
        driver = gdal.GetDriverByName("GTiff")
        for number in range(first, side * side, threads):
            col, row = number % side * CHIP, number // side * CHIP
            chip = driver.Create(str(folder / f"{number:09d}.tif"), CHIP, CHIP, 3, 1, options)
            chip.SetGeoTransform((grid[0] + col, 1, 0, grid[3] - row, 0, -1))
            chip.SetProjection(projection)
            chip.WriteArray(source.ReadAsArray(col, row, CHIP, CHIP))
            (folder / f"{number:09d}.xml").write_bytes(labels[number])

    def work() -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(part, range(threads)))

    return work


def same_bytes(one: Path, other: Path) -> bool:
    """Return whether two folders hold the same images."""
    return all(each.read_bytes() == (other / each.name).read_bytes() for each in one.iterdir())


def compare_speed(folder: Path, side: int) -> None:
    """Print chips per second."""
    raster, labels = folder / "raster.tif", folder / "labels.gpkg"
    make_raster(raster, side)
    make_labels(labels, LABELS[1], side)
    count = side * side
    turns: dict[str, list[tuple[float, float]]] = {}
    for turn in range(ROUNDS):
        found = {"GeoDL": measure(ours(raster, labels, folder / "ours"))}
        if turn == 0:
            texts = [each.read_bytes() for each in sorted((folder / "ours/labels").iterdir())]
        found["limit"] = measure(limit(raster, folder / "limit", side, texts))
        if turn == 0:
            same = same_bytes(folder / "ours" / "images", folder / "limit")
        found["gdal_retile"] = measure(retile(raster, folder / "retile"))
        part = measure(loop(raster, folder / "loop", side))
        found["loop of gdal_translate"] = (part[0] * count / LOOP, part[1] * count / LOOP)
        for name, times in found.items():
            turns.setdefault(name, []).append(times)
        for each in ("ours", "limit", "retile", "loop"):
            shutil.rmtree(folder / each)
    print(f"{count} chips of {CHIP}² from a tiled 3-band GeoTIFF, {LABELS[1]} labels")
    print(f"the images of GeoDL and of the limit are {'' if same else 'NOT '}the same bytes")
    print(f"  {'':<24}{'chips/s':>8}{'GeoDL is':>12}{'ms of a processor a chip':>28}{'share':>8}")
    for name, found in turns.items():
        pairs = zip(turns["GeoDL"], found)
        clock, processor = zip(*((b[0] / a[0], b[1] / a[1]) for a, b in pairs))
        seconds = statistics.median(each[0] for each in found)
        work = statistics.median(each[1] for each in found) / count * 1000
        print(
            f"  {name:<24}{count / seconds:8.0f}{statistics.median(clock):10.2f} ×"
            f"{work:28.2f}{statistics.median(processor):6.2f} ×"
        )
    rounds = (f"{b[1] / a[1]:.2f}" for a, b in zip(turns["GeoDL"], turns["limit"]))
    print(f"  processor time of the limit over GeoDL's, round by round: {', '.join(rounds)}")


def peak(raster: Path, labels: Path, folder: Path) -> tuple[float, float, int]:
    """Return clock, processor time and peak memory (KiB) of an export in its own process."""
    # What the system calls the peak of a process counts its parent's memory, too.
    code = (
        "import re, sys; sys.path[:0] = sys.argv[1:3]\n"
        "from pathlib import Path; import export as b\n"
        "work = b.ours(*map(Path, sys.argv[3:]))\n"
        "times = b.measure(work)\n"
        "status = Path('/proc/self/status').read_text()\n"
        "print(*times, re.search(r'VmHWM:\\s+(\\d+)', status)[1])"
    )
    here = Path(__file__).resolve()
    places = [str(each) for each in (here.parent, here.parents[2], raster, labels, folder)]
    run = subprocess.run(
        [sys.executable, "-c", code, *places], check=True, stdout=subprocess.PIPE, text=True
    )
    shutil.rmtree(folder)
    clock, processor, memory = run.stdout.split()
    return float(clock), float(processor), int(memory)


def compare_labels(folder: Path) -> None:
    """Print what a feature costs among few and among many."""
    raster = folder / "dense.tif"
    make_raster(raster, DENSE)
    found = []
    for count in LABELS:
        labels = folder / f"{count}.gpkg"
        make_labels(labels, count, DENSE)
        found.append(peak(raster, labels, folder / "chips"))
    print(f"{DENSE * DENSE} chips of {CHIP}², what labels add")
    for count, (_, processor, memory) in list(zip(LABELS, found))[1:]:
        cost = (processor - found[0][1]) / count * 1e6
        print(
            f"  {count:>9} labels: {cost:6.0f} µs of a processor a label, "
            f"peak memory {memory / 1024:.0f} MiB ({memory / found[0][2]:.2f} × that of one label)"
        )


def compare_memory(folder: Path, side: int) -> None:
    """Print the peak memory with many chips and with a tenth of them."""
    found = []
    for each in (side, max(round(side / 10**0.5), 1)):
        raster, labels = folder / f"{each}.tif", folder / f"{each}.gpkg"
        make_raster(raster, each)
        make_labels(labels, each * each, each)
        found.append((each * each, peak(raster, labels, folder / "chips")[2]))
        raster.unlink()
    (many, large), (few, small) = found
    print(
        f"peak memory: {large / 1024:.0f} MiB for {many} chips, {small / 1024:.0f} MiB for {few}: "
        f"{large / small:.2f} ×"
    )


def main(side: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compare_speed(folder, side)
        (folder / "raster.tif").unlink()
        compare_memory(folder, side)
        compare_labels(folder)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
