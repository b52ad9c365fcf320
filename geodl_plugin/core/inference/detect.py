"""The task "detect": find objects in a raster and write their boxes or outlines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..progress import Phase, Progress
from .answering import Answering
from .checks import Job, choose_classes, open_detection
from .engine import Engine, open_engine
from .items import run_items, split
from .masks import masks_of
from .merge import Detections, Merger, inside, place, rim_tolerance, suppress
from .object_writer import ObjectWriter
from .options import DetectionOptions
from .pipeline import hold_cache
from .tiles import TileImage, TilePlan, TileReader, plan

USUAL_TILE = 512  # pixels a side
PADDING_SHARE = 4  # the default padding is a quarter of the tile
LEAST_SIDE = 0.5  # pixels: a network may tell a box that is a line
LEAST_DATA = 0.25  # share of a box that must have data: nothing is found in emptiness


def run(options: DetectionOptions, progress: Progress) -> dict[str, Any]:
    """Detect objects and return the path of the layer and the number of objects.

    Raises:
        GeoDLError: one sentence; nothing is left at the output then.
    """
    items = split(options, open_detection)
    with open_detection(items[0], progress if len(items) == 1 else None) as job:
        engine = open_engine(job.model, options, progress)
        if len(items) == 1:
            return detect(job, engine, items[0], progress)

    def work(item: DetectionOptions, part: Progress) -> dict[str, Any]:
        engine.batch_size = options.batch_size  # chosen anew: the tiles may be larger
        with open_detection(item, part) as job:
            return detect(job, engine, item, part)

    return {"output": options.output, "object_count": run_items(items, work, progress)}


def detect(
    job: Job, engine: Engine, options: DetectionOptions, progress: Progress
) -> dict[str, Any]:
    """Detect objects with a network that is ready."""
    work = answering(job, engine, options)
    tiles = work.tiles
    phase = Phase(progress, "Detecting", len(tiles), "tiles", stop=0.99)
    with ObjectWriter(options, job) as writer:
        collector = _Collector(tiles, job, options, writer)
        work.run(tiles, collector.collect, phase)
        collector.finish()
    return {"output": options.output, "object_count": writer.count}


def answering(
    job: Job, engine: Engine, options: DetectionOptions, _: Callable[[str], None] | None = None
) -> Answering:
    """Return what finds the objects of tiles."""
    tiles = plan(job, options, engine.network, USUAL_TILE, PADDING_SHARE)
    hold_cache(job.raster, tiles.size)
    engine.expect(len(tiles), tiles.size, tiles.size)
    return Answering(
        options,
        tiles,
        engine,
        lambda: TileReader(job.raster, job.model, options.mask),
        lambda net, answer: net.detect(answer, (tiles.size, tiles.size), options.threshold),
    )


def as_arrays(found: dict[str, Any]) -> Detections:
    """Return a network's detections of one tile as arrays, in the tile's pixels.

    Where there are masks, the boxes are those around them; an empty one is no object. Nor is
    a box without a width or a height.
    """
    boxes = found["boxes"].float().cpu().numpy()
    scores = found["scores"].float().cpu().numpy()
    labels = found["labels"].cpu().numpy()
    if "masks" not in found:
        flat = ((boxes[:, 2:] - boxes[:, :2]) < LEAST_SIDE).any(axis=1)
        return Detections.of(boxes, scores, labels).take(~flat)
    masks = masks_of(found["masks"], found["windows"])
    seen = np.array([each is not None for each in masks], bool)
    kept = [each for each in masks if each is not None]
    around = np.array([each.box for each in kept], float)
    return Detections.of(around, scores[seen], labels[seen], kept)


class _Collector:
    """Takes the detections of tile after tile and writes those that are decided."""

    def __init__(
        self, tiles: TilePlan, job: Job, options: DetectionOptions, writer: ObjectWriter
    ) -> None:
        self._tiles = tiles
        self._job = job
        self._options = options
        self._writer = writer
        wanted = choose_classes(job.model.schema, options.classes, job.model.name)
        self._labels = np.array([job.model.schema.index_of(value) for value in wanted.values])
        self._row: int | None = None
        self._merger: Merger | None = None
        if options.run_nms:
            overlap = options.max_overlap_ratio or options.nms_overlap
            self._merger = Merger(overlap, rim_tolerance(tiles.size))

    def collect(self, result: tuple[TileImage, dict[str, Any]]) -> None:
        """Take what the network found in a tile; tiles come row by row."""
        image, answer = result
        tile = image.tile
        found = as_arrays(answer)
        found = suppress(found.take(np.isin(found.labels, self._labels)), self._options.nms_overlap)
        found = self._limit(place(found, tile, self._job.raster.window), image)
        if self._merger is None:
            self._write(found)
            return
        if tile.outer.row != self._row:
            self._write(self._merger.settle(tile.outer.row))
            self._row = tile.outer.row
        self._merger.add(found)

    def finish(self) -> None:
        """Write what is left."""
        if self._merger is not None:
            self._write(self._merger.settle())

    def _write(self, found: Detections) -> None:
        self._writer.write(found.take(inside(found.centres, self._job.area)))

    def _limit(self, found: Detections, image: TileImage) -> Detections:
        """Return the detections that are wanted where they are."""
        keep = np.ones(len(found), bool)
        if self._options.exclude_pad_detections:
            # Two tiles put an object's centre at slightly different places: where they are
            # compared afterwards, both may have it, so that none loses it.
            margin = self._tiles.rim / 2 if self._merger is not None else 0.0
            keep &= inside(found.centres, image.tile.inner, margin)
        outer = image.tile.outer
        local = found.boxes - np.tile([outer.col, outer.row], 2)
        if image.inside is not None:
            cells = np.floor((local[:, :2] + local[:, 2:]) / 2).astype(int)
            cells = np.clip(cells, 0, [outer.width - 1, outer.height - 1])
            keep &= image.inside[cells[:, 1], cells[:, 0]]
        if not image.valid.all():
            keep &= _has_data(local, image.valid)
        return found.take(keep)


def _has_data(boxes: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return which boxes have data in a good part of their area."""
    low = np.floor(np.maximum(boxes[:, :2], 0)).astype(int)
    high = np.ceil(boxes[:, 2:]).astype(int)
    shares = [
        valid[top:bottom, left:right].mean() if bottom > top and right > left else 0.0
        for (left, top), (right, bottom) in zip(low.tolist(), high.tolist())
    ]
    return np.array(shares) >= LEAST_DATA
