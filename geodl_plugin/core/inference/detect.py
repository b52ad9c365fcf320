"""The task "detect": find objects in a raster and write their boxes or outlines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..geo.grid import Tile
from ..geo.raster import Raster
from ..progress import Phase, Progress
from .answering import Answering
from .checks import Job, choose_classes, open_detection
from .detection_views import DetectionViews
from .detections import COLUMNS, Detections, as_arrays, tile_number
from .engine import Engine
from .foreign.agreement import agreed
from .items import detection_items, run_items
from .journal import Journal, facts_of, resumable
from .loading import open_engine
from .merge import Merger, inside, place, rim_tolerance, suppress
from .object_writer import ObjectWriter
from .options import DetectionOptions
from .pipeline import open_pool
from .tiles import Damaged, TileImage, TilePlan, TileReader, plan, to_data

USUAL_TILE, WIDEST_TILE = 512, 1024  # pixels a side
PADDING_SHARE = 4  # the default padding is a quarter of the tile
LEAST_DATA = 0.25  # share of a box that must have data: nothing is found in emptiness


def run(options: DetectionOptions, progress: Progress) -> dict[str, Any]:
    """Detect objects and return the path of the layer and the number of objects.

    Raises:
        GeoDLError: one sentence; nothing is left at the output then.
    """
    items = detection_items(options)
    with open_detection(items[0], None if options.is_each else progress) as job:
        engine = open_engine(job.model, options, progress)
        items = [agreed(each, engine.network) for each in items]
        if not options.is_each:
            return detect(job, engine, items[0], progress)

    def work(item: DetectionOptions, part: Progress) -> dict[str, Any]:
        with open_detection(item, part) as job:
            # Chosen anew: the tiles may be larger.
            engine.batch_size = job.model.batch_size or options.batch_size
            return detect(job, engine, item, part)

    with Raster.open(options.sources[0]) as first:
        count = run_items(items, first.crs, work, progress)
    return {"output": options.output, "object_count": count}


def detect(
    job: Job, engine: Engine, options: DetectionOptions, progress: Progress
) -> dict[str, Any]:
    """Detect objects with a network that is ready."""
    work = answering(job, engine, options, progress)
    tiles = work.tiles
    phase = Phase(progress, "Detecting", len(tiles), "tiles", stop=0.99)
    facts = facts_of(options, tiles=[tiles.size, tiles.rim, tiles.step])
    with resumable(options.output, facts, progress) as journal:
        engine.go_on(journal)
        with ObjectWriter(options, job) as writer:
            collector = _Collector(tiles, job, options, writer, journal)
            phase.step(collector.take_up())
            work.run(
                collector.open_tiles(), collector.collect, phase, collector.skip, collector.note
            )
            collector.finish()
    return {"output": options.output, "object_count": writer.count}


def answering(job: Job, engine: Engine, options: DetectionOptions, progress: Progress) -> Answering:
    """Return what finds the objects of tiles; ``progress`` is warned of damage."""
    engine.normalise(job.model)
    viewed = isinstance(engine.network, DetectionViews)  # for the raster before
    if options.test_time_augmentation and not viewed:
        engine.network = DetectionViews(engine.network, job.model.map_space, options.nms_overlap)
    # What others have made may find so many objects in a tile, however wide.
    own = job.model.foreign is None
    widest = WIDEST_TILE if own else 0
    tiles = plan(job, options, engine.network, USUAL_TILE, PADDING_SHARE, widest)
    pool = open_pool(job.raster, engine.device.type, tiles.size)
    engine.expect(len(tiles), tiles.size, tiles.size)
    damaged = Damaged(progress, "Nothing is found there.") if options.skip_unreadable else None
    # Some networks take whole tiles only, and views are turned: they must be square.
    free = own and not getattr(engine.network, "fixed_tile", None)
    trim = to_data(tiles) if free and not options.test_time_augmentation else None
    return Answering(
        options,
        tiles,
        engine,
        lambda: TileReader(pool, job.model, options.mask, trim, damaged),
        lambda network, answer, size: network.detect(answer, size, options.threshold),
    )


class _Collector:
    """Takes the detections of tile after tile and writes those that are decided."""

    def __init__(
        self,
        tiles: TilePlan,
        job: Job,
        options: DetectionOptions,
        writer: ObjectWriter,
        journal: Journal,
    ) -> None:
        self._tiles = tiles
        self._job = job
        self._options = options
        self._writer = writer
        self._journal = journal
        self._done: set[int] = set()  # numbers of tiles
        self._skipped: list[int] = []  # and these two are not in the journal yet
        self._fresh: list[tuple[int, Detections]] = []
        wanted = choose_classes(job.model.schema, options.classes, job.model.name)
        self._labels = np.array([job.model.schema.index_of(value) for value in wanted.values])
        self._row: int | None = None
        self._merger: Merger | None = None
        if options.run_nms:
            overlap = options.max_overlap_ratio or options.nms_overlap
            self._merger = Merger(overlap, rim_tolerance(tiles.size))

    def take_up(self) -> int:
        """Take what an earlier run has found; return the number of tiles that it has finished."""
        for part in self._journal:
            answers = self._journal.answers(part)
            found = Detections.unpacked(answers)
            ends = answers["counts"].cumsum()
            for number, end, count in zip(answers["tiles"].tolist(), ends, answers["counts"]):
                self._merge(number // COLUMNS, found.take(np.arange(end - count, end)))
            self._done.update(answers["tiles"].tolist(), answers["skipped"].tolist())
        return len(self._done)

    def open_tiles(self) -> Iterator[Tile]:
        """Yield the tiles that are not finished."""
        return (tile for tile in self._tiles if tile_number(tile) not in self._done)

    def collect(self, result: tuple[TileImage, dict[str, Any] | Detections]) -> None:
        """Take what the network found in a tile; tiles come row by row."""
        image, answer = result
        found = answer if isinstance(answer, Detections) else as_arrays(answer)
        found = suppress(found.take(np.isin(found.labels, self._labels)), self._options.nms_overlap)
        found = place(found, image.tile, self._job.raster.window, image.seen)
        found = self._limit(found, image)
        self._fresh.append((tile_number(image.tile), found))
        self._merge(image.tile.outer.row, found)

    def skip(self, tile: Tile) -> None:
        """Take note that a tile has no data."""
        if not self._options.skip_unreadable:  # else it is read again, and told again
            self._skipped.append(tile_number(tile))

    def note(self) -> None:
        """Note what was found in a batch: the run that goes on makes the same batches."""
        if not self._fresh:
            return
        numbers, found = zip(*self._fresh)
        answers = {
            **Detections.join(found).packed(),
            "tiles": np.array(numbers, np.int64),
            "counts": np.array([len(each) for each in found], np.int64),
            "skipped": np.array(self._skipped, np.int64),
        }
        self._journal.add(numbers[0], answers)
        self._fresh, self._skipped = [], []

    def finish(self) -> None:
        """Write what is left."""
        if self._merger is not None:
            self._write(self._merger.settle())

    def _merge(self, row: int, found: Detections) -> None:
        """Take detections of a tile that starts at a row of the raster."""
        if self._merger is None:
            self._write(found)
            return
        if row != self._row:
            self._write(self._merger.settle(row))
            self._row = row
        self._merger.add(found)

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
        seen = image.seen
        local = found.boxes - np.tile([seen.col, seen.row], 2)
        if image.inside is not None:
            cells = np.floor((local[:, :2] + local[:, 2:]) / 2).astype(int)
            cells = np.clip(cells, 0, [seen.width - 1, seen.height - 1])
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
