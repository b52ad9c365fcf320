"""Measures Classify pixels: against its own engine, and against a plain loop over tiles.

A U-Net with a ResNet-18, taught for a minute or two to tell what lies within small and large
circles, on 2,048² and 4,096² pixels. All are measured in turns in this one process, after
loading, the best of three rounds:

* *GeoDL*: the whole road, from the file to the finished Cloud Optimized GeoTIFF.
  It chooses its tiles; once more with those of the plain loop.
* *bare engine*: the same engine on the same tiles, which lie in memory.
* *plain loop*: read a tile of 512 with an overlap of 128, ONNX Runtime with float32, write its
  inner part; the network is exported by the tool's own converter.

The image is stored as LZW and as it is: unpacking is GDAL's part of the work.

The disagreement is that of the classes with one untiled pass of torch with float32.

Usage: python tests/benchmarks/pixels.py [--quick]
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

SIDES = (2048, 4096)
COMPRESSIONS = ("LZW", "NONE")
CHIP, STEPS, BATCH = 256, 200, 8
SPACING, LARGEST = 160, 75.0  # of the circles, in pixels
TILE, OVERLAP = 512, 128  # of the plain loop
SAME = {"tile_size": TILE, "padding": OVERLAP // 2}
ROUNDS = 3
EDGE = 96  # pixels of the frame that the untiled pass computes with zeros beyond it


def picture(side: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image ``(3, side, side)`` of circles and its classes ``(side, side)``.

    All that shows is the line; what lies within a small circle is of one class, within a large
    one of the other: a pixel's class depends on what is up to 75 pixels away.
    """
    draw = np.random.default_rng(seed)
    classes = np.zeros((side, side), np.uint8)
    lines = np.zeros((side, side), bool)
    rows, cols = np.ogrid[:side, :side]
    for corner in np.ndindex(side // SPACING, side // SPACING):
        radius = draw.uniform(20, LARGEST)
        row, col = np.array(corner) * SPACING + draw.uniform(radius, SPACING - radius, 2)
        (top, left), reach = (max(int(each - radius) - 3, 0) for each in (row, col)), radius + 4
        place = slice(top, int(row + reach)), slice(left, int(col + reach))
        distance = np.hypot(rows[place[0]] - row, cols[:, place[1]] - col)
        classes[place][distance < radius] = 1 if radius < LARGEST * 0.64 else 2
        lines[place] |= abs(distance - radius) < 2
    image = 110 + 25 * draw.standard_normal((3, side, side), np.float32)
    image[:, lines] += 70
    return image.clip(1, 255).astype(np.uint8), classes


def taught() -> Any:
    """Return a U-Net that has learnt the circles."""
    import torch
    from torch.nn import functional

    from geodl_plugin.core.device import has_fast_bfloat16
    from geodl_plugin.core.models.registry import NetworkSpec, build_network

    torch.manual_seed(0)
    network = build_network(NetworkSpec("UNET", "resnet18", {}, 3, 2, CHIP)).train()
    network.to(memory_format=torch.channels_last)
    image, classes = picture(2048, 1)
    images = (torch.from_numpy(image).float() - 120) / 50
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, STEPS)
    draw = np.random.default_rng(0)
    for _ in range(STEPS):
        corners = draw.integers(0, 2048 - CHIP, (BATCH, 2)).tolist()
        batch = torch.stack([images[:, y : y + CHIP, x : x + CHIP] for y, x in corners])
        truth = torch.stack(
            [torch.from_numpy(classes[y : y + CHIP, x : x + CHIP]).long() for y, x in corners]
        )
        with torch.autocast("cpu", torch.bfloat16, enabled=bool(has_fast_bfloat16())):
            answer = network(batch.contiguous(memory_format=torch.channels_last))
        loss = functional.cross_entropy(answer.float(), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    print(f"taught: loss {loss.item():.3f}")
    return network.eval()


def model() -> Any:
    """Return the description of the network."""
    from geodl_plugin.core.inference.model import Model
    from geodl_plugin.core.models.registry import NetworkSpec
    from geodl_plugin.core.samples.schema import Schema

    return Model(
        "blobs", Schema.from_text("1:Fine;2:Coarse"), (0, 1, 2), (120.0,) * 3, (50.0,) * 3,
        NetworkSpec("UNET", "resnet18", {}, 3, 2, CHIP), "", "uint8",
    )  # fmt: skip


def untiled(network: Any, image: np.ndarray) -> np.ndarray:
    """Return the classes of one pass over the whole image."""
    import torch

    with torch.inference_mode():
        batch = (torch.from_numpy(image).float() - 120)[None] / 50
        return network(batch.contiguous(memory_format=torch.channels_last)).argmax(1)[0].numpy()


def whole_road(engine: Any, source: str, output: str, **sizes: int) -> float:
    """Return the seconds of classifying a file, by default with the tiles that the tool chooses."""
    from geodl_plugin.core.geo.raster import Raster
    from geodl_plugin.core.inference.checks import Job
    from geodl_plugin.core.inference.options import PixelOptions
    from geodl_plugin.core.inference.pixels import classify
    from geodl_plugin.core.progress import Progress

    began = time.perf_counter()
    with Raster.open(source) as raster:
        job = Job(model(), raster, raster.window)
        classify(job, engine, PixelOptions([source], "", output, **sizes), Progress())
    return time.perf_counter() - began


def bare(engine: Any, source: str, **sizes: int) -> float:
    """Return the seconds of the engine alone, on the tiles of the whole road."""
    from geodl_plugin.core.geo.raster import Raster
    from geodl_plugin.core.geo.raster_pool import RasterPool
    from geodl_plugin.core.inference.checks import Job
    from geodl_plugin.core.inference.options import PixelOptions
    from geodl_plugin.core.inference.pipeline import answer_ahead
    from geodl_plugin.core.inference.pixels import PADDING_SHARE, USUAL_TILE, first_best
    from geodl_plugin.core.inference.tiles import TileReader, plan, to_wanted

    def decode(_network: Any, answer: Any, _size: Any) -> np.ndarray:
        return first_best(answer).numpy()

    with Raster.open(source) as raster:
        job = Job(model(), raster, raster.window)
        options = PixelOptions([source], "", "", **sizes)
        tiles = plan(job, options, engine.network, USUAL_TILE, PADDING_SHARE)
        reader = TileReader(RasterPool(raster, 1), job.model, None, to_wanted(tiles))
        images = [reader(tile).image for tile in tiles]
    began = time.perf_counter()
    groups = ([image] for image in images)
    for _ in answer_ahead(groups, lambda group: engine.infer(group, decode), engine):
        pass
    return time.perf_counter() - began


def plain(session: Any, source: str, output: str) -> float:
    """Return the seconds of a loop as a tutorial writes it."""
    from osgeo import gdal

    began = time.perf_counter()
    dataset = gdal.Open(source)
    side = dataset.RasterXSize
    driver = gdal.GetDriverByName("GTiff")
    result = driver.Create(output, side, side, 1, gdal.GDT_Byte, ["TILED=YES", "COMPRESS=LZW"])
    rim = OVERLAP // 2
    stride = TILE - OVERLAP
    name = session.get_inputs()[0].name
    starts = sorted({min(start, side - TILE) for start in range(0, side, stride)})
    for y in starts:
        for x in starts:
            block = dataset.ReadAsArray(x, y, TILE, TILE)
            batch = (block[None].astype(np.float32) - 120) / 50
            classes = session.run(None, {name: batch})[0][0].argmax(0).astype(np.uint8)
            top, left = (0 if start == 0 else rim for start in (y, x))
            result.GetRasterBand(1).WriteArray(classes[top:, left:], x + left, y + top)
    result = None
    return time.perf_counter() - began


def changes(classes: np.ndarray, side: int) -> tuple[float, float, float]:
    """Return how often the class changes across borders of tiles, across all other lines, and
    across the one of these where it changes most.
    """
    from geodl_plugin.core.geo.grid import tile_spans
    from geodl_plugin.core.inference.pixels import PADDING_SHARE, USUAL_TILE

    spans = tile_spans(side, USUAL_TILE, USUAL_TILE // PADDING_SHARE, 32)
    across = (classes[:, 1:] != classes[:, :-1]).mean(0)
    down = (classes[1:] != classes[:-1]).mean(1)
    border = np.zeros(side - 1, bool)
    border[[end - 1 for _, _, end in spans[:-1]]] = True
    both = (across + down) / 2
    return float(both[border].max()), float(both[~border].mean()), float(both[~border].max())


def exported(network: Any, folder: Path) -> Any:
    """Return the network in ONNX Runtime."""
    import onnxruntime
    import torch

    path = str(folder / "unet.onnx")
    example = torch.rand(1, 3, TILE, TILE)
    torch.onnx.export(network, (example,), path, dynamo=False, opset_version=17)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def main() -> None:
    """Print seconds, ratios and disagreements."""
    from osgeo import gdal

    from geodl_plugin.core.inference.engine import Engine
    from geodl_plugin.core.progress import Progress
    from tests.unit.inference.support import write_raster

    class Told(Progress):
        def info(self, message: str) -> None:
            print(f"  {message}")

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2,048² and one round only")
    quick = parser.parse_args().quick
    sides, rounds = (SIDES[:1], 1) if quick else (SIDES, ROUNDS)
    network = taught()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        session = exported(network, folder)
        for side in sides:
            image, _ = picture(side, 2)
            engine, other = (Engine(network, "cpu", progress=Told()) for _ in range(2))
            ours, theirs = str(folder / "ours.tif"), str(folder / "plain.tif")
            again = str(folder / "again.tif")
            for how in COMPRESSIONS:
                tiled = ("TILED=YES", f"COMPRESS={how}")
                source = write_raster(folder / f"{side}_{how}.tif", image, options=tiled)
                # The first pass chooses the engine, as every run does.
                whole_road(engine, source, ours)
                whole_road(other, source, again, **SAME)
                seconds = [
                    (whole_road(engine, source, ours), bare(engine, source),
                     whole_road(other, source, again, **SAME), bare(other, source, **SAME),
                     plain(session, source, theirs))
                    for _ in range(rounds)
                ]  # fmt: skip
                road, alone, same, bare_same, loop = (min(column) for column in zip(*seconds))
                print(
                    f"{side}², {how}: GeoDL {road:.2f} s = {alone / road:.2f} of the bare engine "
                    f"({alone:.2f} s), {loop / road:.2f} × the plain loop ({loop:.2f} s); with its "
                    f"tiles {same:.2f} s = {bare_same / same:.2f} of the bare engine "
                    f"({bare_same:.2f} s), {loop / same:.2f} × the plain loop",
                    flush=True,
                )
            truth = untiled(network, image)
            for label, path in (("GeoDL", ours), ("plain loop", theirs)):
                found = gdal.Open(path).ReadAsArray()
                wrong = (found != truth)[EDGE:-EDGE, EDGE:-EDGE].mean()
                print(f"{side}²: {label} disagrees with the untiled pass on {wrong:.3%}")
            at_borders, elsewhere, most = changes(gdal.Open(ours).ReadAsArray(), side)
            print(
                f"{side}²: the class changes across {at_borders:.3%} of that border of tiles where "
                f"it changes most, {elsewhere:.3%} of all other lines, {most:.3%} at most"
            )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process, the untiled pass among it: {peak:.0f} MB")


if __name__ == "__main__":
    main()
