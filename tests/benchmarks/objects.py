"""Measures Detect objects and Classify objects: against their own engine, and a plain loop.

*Detect objects*: an SSD with a ResNet-18, whose threshold is such that some fifty anchors of a
tile answer, on 2,048² and 4,096² pixels. In turns, in one process, after loading, best of three:

* *GeoDL*: the whole road, from the file to the GeoPackage with its spatial index; with the tiles
  of the plain loop (padding 64), with its own tiles, and with tiles of 512 that have as wide a
  padding as those, a quarter.
* *bare engine*: the same engine on the same tiles, which lie in memory, up to each tile's boxes;
  beside the tiles of the plain loop and its own ones.
* *plain loop*: read a tile of 512 with an overlap of 128, ONNX Runtime with float32,
  ``torchvision.ops.nms`` of all boxes, write them one by one.

OpenVINO compiles a network only for long work. The smaller raster is measured twice: in the first
run of a model, and after a run on the larger one, whose compiled network is kept.

*Classify objects*: a ResNet-18 on chips of 64 pixels, 100,000 squares of a 4,096² raster; the
bare engine computes as many images, which lie in memory. ``--quick``: 5,000, 2,048² only, and
one round.
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from geodl_plugin.core.inference.kept_networks import (  # noqa: E402
    DIRECTORY_VARIABLE,
    KeptNetworks,
)

CHIP, ANCHORS = 256, 50
TILE, OVERLAP = 512, 128  # of the plain loop
SMALL_CHIP, IMAGES = 64, 1024
ROUNDS = 3
MEAN, STD = 120.0, 50.0


def model_of(kind: str, backbone: str, chip: int, arguments: dict[str, Any]) -> Any:
    """Return the description of a network of two classes."""
    from geodl_plugin.core.inference.model import Model
    from geodl_plugin.core.models.registry import NetworkSpec
    from geodl_plugin.core.samples.schema import Schema

    spec = NetworkSpec(kind, backbone, arguments, 3, 2, chip)
    schema = Schema.from_text("1:Fine;2:Coarse")
    return Model("blobs", schema, (0, 1, 2), (MEAN,) * 3, (STD,) * 3, spec, "", "uint8")


def detector() -> tuple[Any, Any]:
    """Return the description of an SSD and the network."""
    import torch

    from geodl_plugin.core.models.registry import build_network, model_type

    torch.manual_seed(0)
    arguments = {**model_type("SSD").arguments, "grids": [16, 8]}
    model = model_of("SSD", "resnet18", CHIP, arguments)
    return model, build_network(model.spec).eval()


def job_of(model: Any, source: str) -> Any:
    """Return a job on a whole raster."""
    from geodl_plugin.core.geo.raster import Raster
    from geodl_plugin.core.inference.checks import Job

    raster = Raster.open(source)
    return Job(model, raster, raster.window)


def threshold_of(network: Any, image: np.ndarray) -> float:
    """Return the score that so many anchors of a tile reach as are wanted."""
    import torch

    with torch.inference_mode():
        tile = (torch.from_numpy(image[:, :TILE, :TILE]).float() - MEAN)[None] / STD
        _, chances = network.candidates(network(tile))
        return float(chances[0].flatten().topk(ANCHORS).values[-1])


def detection_road(engine: Any, model: Any, options: Any) -> tuple[float, int]:
    """Return the seconds of detecting in a file, and how many objects there are."""
    from geodl_plugin.core.inference.detect import detect
    from geodl_plugin.core.progress import Progress

    began = time.perf_counter()
    with job_of(model, options.sources[0]) as job:
        count = detect(job, engine, options, Progress())["object_count"]
    return time.perf_counter() - began, count


def bare_detection(engine: Any, model: Any, options: Any) -> float:
    """Return the seconds of the engine alone, on the tiles of the whole road."""
    from geodl_plugin.core.inference.detect import answering
    from geodl_plugin.core.inference.pipeline import answer_ahead
    from geodl_plugin.core.progress import Progress

    with job_of(model, options.sources[0]) as job:
        work = answering(job, engine, options, Progress())
        reader = work.open_reader()
        images = [reader(tile).image for tile in work.tiles]
    began = time.perf_counter()
    step = engine.batch_size
    groups = (images[start : start + step] for start in range(0, len(images), step))
    for _ in answer_ahead(groups, lambda group: engine.infer(group, work.decode), engine):
        pass
    return time.perf_counter() - began


def plain_detection(
    session: Any, structure: Any, network: Any, source: str, threshold: float, output: str
) -> float:
    """Return the seconds of a loop as a tutorial writes it."""
    import torch
    from osgeo import gdal, ogr
    from torch.utils import _pytree
    from torchvision.ops import nms

    began = time.perf_counter()
    dataset = gdal.Open(source)
    side = dataset.RasterXSize
    name = session.get_inputs()[0].name
    starts = sorted({min(start, side - TILE) for start in range(0, side, TILE - OVERLAP)})
    boxes, scores, labels = [], [], []
    for y in starts:
        for x in starts:
            block = dataset.ReadAsArray(x, y, TILE, TILE)
            answer = session.run(None, {name: (block[None].astype(np.float32) - MEAN) / STD})
            leaves = [torch.from_numpy(each) for each in answer]
            outputs = _pytree.tree_unflatten(leaves, structure)
            (found,) = network.detect(outputs, (TILE, TILE), threshold)
            boxes.append(found["boxes"] + torch.tensor([x, y, x, y]))
            scores.append(found["scores"])
            labels.append(found["labels"])
    every, sure, kinds = torch.cat(boxes), torch.cat(scores), torch.cat(labels)
    kept = nms(every + (kinds * 2 * side)[:, None], sure, 0.1)
    layer_of = ogr.GetDriverByName("GPKG").CreateDataSource(output)
    layer = layer_of.CreateLayer("found", None, ogr.wkbPolygon)
    layer.CreateField(ogr.FieldDefn("Confidence", ogr.OFTReal))
    layer_of.StartTransaction()
    for index in kept.tolist():
        left, top, right, bottom = every[index].tolist()
        ring = ogr.Geometry(ogr.wkbLinearRing)
        for place in ((left, top), (right, top), (right, bottom), (left, bottom), (left, top)):
            ring.AddPoint_2D(*place)
        shape = ogr.Geometry(ogr.wkbPolygon)
        shape.AddGeometry(ring)
        feature = ogr.Feature(layer.GetLayerDefn())
        feature.SetField(0, float(sure[index]))
        feature.SetGeometry(shape)
        layer.CreateFeature(feature)
    layer_of.CommitTransaction()
    return time.perf_counter() - began


def in_onnx(network: Any, folder: Path) -> tuple[Any, Any]:
    """Return a network in ONNX Runtime, and how its answers are nested."""
    import onnxruntime
    import torch
    from torch.utils import _pytree

    class Flat(torch.nn.Module):
        """A network whose answers are a list."""

        def __init__(self, network: torch.nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
            return _pytree.tree_leaves(self.network(images))

    path, example = str(folder / "ssd.onnx"), torch.rand(1, 3, TILE, TILE)
    with torch.inference_mode():
        structure = _pytree.tree_structure(network(example))
    # The export leaves its mark on what it exports.
    flat = Flat(copy.deepcopy(network)).eval()
    torch.onnx.export(flat, (example,), path, dynamo=False, opset_version=17)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]), structure


def measure_detection(side: int, how: str, turns: int, folder: Path, kept: Any = None) -> None:
    """Print the ratios of Detect objects on so many pixels squared.

    Args:
        side: pixels.
        how: the raster is stored.
        turns: of all ways.
        folder: for files.
        kept: what is kept of the model from run to run.
    """
    import dataclasses

    from geodl_plugin.core.inference.engine import Engine
    from geodl_plugin.core.inference.options import DetectionOptions
    from tests.benchmarks.pixels import picture
    from tests.unit.inference.support import write_raster

    model, network = detector()
    session, structure = in_onnx(network, folder)
    image, _ = picture(side, 2)
    source = write_raster(
        folder / f"{side}_{how}.tif", image, options=("TILED=YES", f"COMPRESS={how}")
    )
    threshold = threshold_of(network, image)
    own = DetectionOptions([source], "", str(folder / "ours.gpkg"), threshold=threshold)
    same = dataclasses.replace(own, tile_size=TILE, padding=OVERLAP // 2)
    narrow = dataclasses.replace(own, tile_size=TILE)
    engine = Engine(network, "cpu", progress=Told(), kept=kept)
    detection_road(engine, model, same)  # chooses the engine, as every run does
    rounds = []
    for _ in range(turns):
        road, count = detection_road(engine, model, same)
        alone = bare_detection(engine, model, same)
        wide, _ = detection_road(engine, model, own)
        bare_wide = bare_detection(engine, model, own)
        slow, _ = detection_road(engine, model, narrow)
        output = folder / "plain.gpkg"
        output.unlink(missing_ok=True)
        loop = plain_detection(session, structure, network, source, threshold, str(output))
        rounds.append((road, alone, wide, bare_wide, slow, loop))
    road, alone, wide, bare_wide, slow, loop = (min(column) for column in zip(*rounds))
    print(
        f"{side}², {how}: Detect objects {road:.2f} s, {count} objects = {alone / road:.2f} of the "
        f"bare engine ({alone:.2f} s), {loop / road:.2f} × the plain loop ({loop:.2f} s); with "
        f"its own tiles {wide:.2f} s = {bare_wide / wide:.2f} of the bare engine, "
        f"{loop / wide:.2f} × the plain loop, {slow / wide:.2f} × tiles of {TILE} padded alike",
        flush=True,
    )


def squares(path: Path, count: int, side: int) -> str:
    """Write squares of some 40 pixels with a name each, on a raster of ``support.NORTH_UP``."""
    from geodl_plugin.core.geo.vector_writer import VectorWriter
    from tests.unit.inference.support import NORTH_UP

    low = np.random.default_rng(3).uniform(0, side - 40, (count, 1, 2))
    rings = low + np.array([[0, 0], [40, 0], [40, 40], [0, 40]])
    rings = rings * [NORTH_UP[1], NORTH_UP[5]] + [NORTH_UP[0], NORTH_UP[3]]
    with VectorWriter(path, "EPSG:32616", {"name": str}) as writer:
        writer.write_rings(rings, {"name": [f"house {number}" for number in range(count)]})
    return str(path)


def measure_features(count: int, turns: int, folder: Path) -> None:
    """Print the ratio of Classify objects for so many features."""
    import torch

    from geodl_plugin.core.geo.vector import VectorReader
    from geodl_plugin.core.inference.engine import Engine
    from geodl_plugin.core.inference.object_answers import best
    from geodl_plugin.core.inference.objects import classify
    from geodl_plugin.core.inference.options import ObjectOptions
    from geodl_plugin.core.inference.pipeline import answer_ahead
    from geodl_plugin.core.models.registry import build_network
    from geodl_plugin.core.progress import Progress
    from tests.benchmarks.pixels import picture
    from tests.unit.inference.support import write_raster

    torch.manual_seed(0)
    model = model_of("FEATURE_CLASSIFIER", "resnet18", SMALL_CHIP, {})
    network = build_network(model.spec).eval()
    image, _ = picture(4096, 2)
    source = write_raster(folder / "ortho.tif", image, options=("TILED=YES", "COMPRESS=LZW"))
    features = squares(folder / "squares.gpkg", count, 4096)
    options = ObjectOptions([source], "", str(folder / "classes.gpkg"), features=[features])
    engine = Engine(network, "cpu", progress=Told())
    engine.expect(count, SMALL_CHIP, SMALL_CHIP)
    images = np.random.default_rng(0).normal(size=(IMAGES, 3, SMALL_CHIP, SMALL_CHIP))
    images = list(images.astype(np.float32))
    engine.infer(images[: engine.batch_size], best)  # chooses the engine, as every run does
    rounds = []
    for _ in range(turns):
        began = time.perf_counter()
        with job_of(model, source) as job:
            classify(job, VectorReader(features), engine, options, Progress())
        road = time.perf_counter() - began
        began = time.perf_counter()
        groups = (
            images[start % IMAGES :][: min(engine.batch_size, count - start)]
            for start in range(0, count, engine.batch_size)
        )
        for _ in answer_ahead(groups, lambda group: engine.infer(group, best), engine):
            pass
        rounds.append((road, time.perf_counter() - began))
    road, alone = (min(column) for column in zip(*rounds))
    print(
        f"{count:,} features: Classify objects {road:.2f} s = {alone / road:.2f} of the bare "
        f"engine ({alone:.2f} s), {1e3 * (road - alone) / count:.2f} ms a feature beside it",
        flush=True,
    )


class Told:
    """Prints what the engine tells."""

    def info(self, message: str) -> None:
        """Print a message."""
        print(f"  {message}", flush=True)

    warn = info

    def update(self, fraction: float, message: str = "") -> None:
        """Keep silent."""


def main() -> None:
    """Print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less pixels and features")
    quick = parser.parse_args().quick
    turns = 1 if quick else ROUNDS
    with tempfile.TemporaryDirectory() as name:
        os.environ[DIRECTORY_VARIABLE] = str(Path(name) / "compiled")
        kept = KeptNetworks("benchmark")
        for how in ("LZW", "NONE"):  # unpacking is GDAL's part of the work
            measure_detection(2048, how, turns, Path(name))
            if not quick:
                measure_detection(4096, how, turns, Path(name), kept)
                measure_detection(2048, how, turns, Path(name), kept)
        measure_features(5_000 if quick else 100_000, 1, Path(name))


if __name__ == "__main__":
    main()
