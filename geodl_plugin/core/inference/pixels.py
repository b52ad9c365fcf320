"""The task "classify_pixels": give every pixel of a raster a class."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..geo.class_polygons import simplifier, write_class_polygons
from ..geo.grid import Tile, Window
from ..geo.result_raster import (
    NO_PERCENT,
    PERCENT,
    ClassRasterWriter,
    ProbabilityWriter,
    ResultRaster,
    forget,
)
from ..leftovers import remove_leftovers, unfinished
from ..progress import Phase, Progress, Share
from ..samples.schema import Schema
from .answering import Answering
from .cell_sums import CellSums
from .checks import Job, open_pixels, result_classes, with_background
from .engine import Decode, Engine
from .foreign.agreement import agreed
from .journal import Journal, facts_of, resumable
from .kept_tiles import KeptTiles
from .loading import open_engine
from .mosaic import Blender, Cell, Cells
from .options import PixelOptions
from .pipeline import open_pool
from .pixel_items import run_each
from .tiles import Damaged, TileImage, TilePlan, TileReader, plan, to_wanted
from .views import Views

# Large tiles have few borders: for the same work, their padding can be wide.
USUAL_TILE = 1024  # pixels a side
PADDING_SHARE = 8  # the default padding is an eighth of the tile
FEW_CLASSES = 16  # a pass over the pixels for each is faster than one that counts them all
_COMPUTED, _WRITTEN = 0.9, 0.95


def run(options: PixelOptions, progress: Progress) -> dict[str, Any]:
    """Classify pixels and return the path of the raster and the pixels of each class.

    Raises:
        GeoDLError: one sentence. Finished parts are kept then, so that the same call goes on;
            after a cancel nothing is left.
    """
    if options.is_each:
        return run_each(options, run, progress)
    if options.polygons and options.simplify > 0:
        simplifier()  # better told now than when all is computed
    with open_pixels(options, progress) as job:
        engine = open_engine(job.model, options, progress)
        return classify(job, engine, agreed(options, engine.network), progress)


def classify(job: Job, engine: Engine, options: PixelOptions, progress: Progress) -> dict[str, Any]:
    """Classify pixels with a network that is ready."""
    if options.predict_background and not job.model.background:
        options = dataclasses.replace(options, predict_background=False)
        progress.info(
            f"'{job.model.name}' learned from incomplete labels and knows no background: each "
            "pixel gets one of its classes."
        )
    work = answering(job, engine, options, progress)
    tiles = work.tiles
    schema = result_classes(job.model, options)
    facts = facts_of(options, tiles=[tiles.size, tiles.rim, tiles.step])
    rasters: list[ResultRaster] = []
    paths = [each for each in (options.output, options.probabilities) if each]

    def drop(kept: bool) -> None:
        for raster in rasters:
            raster.store.close() if kept else raster.abort()
        for path in [] if kept else paths:
            forget(path)

    with resumable(options.output, facts, progress, drop, paths[1:]) as journal:
        for path in (options.probabilities, options.polygons):
            if path:
                remove_leftovers(path)
        if not journal.resumed:  # what lies there is of another call
            for path in paths:
                forget(path)
        written = [*paths, options.polygons] if options.polygons else paths
        result = journal.noted("result")
        if result is None or not all(Path(path).exists() for path in written):
            result = _write_results(job, work, options, schema, journal, rasters, progress)
            journal.note("result", result)
        drop(False)
    if not any(result["pixel_counts"].values()):
        progress.warn(f"No pixel of '{job.raster.name}' that is wanted has data: all is no data.")
    return result


def answering(job: Job, engine: Engine, options: PixelOptions, progress: Progress) -> Answering:
    """Return what classifies the pixels of tiles; ``progress`` is warned of damage."""
    engine.normalise(job.model)
    if options.test_time_augmentation:
        engine.network = Views(engine.network, job.model.map_space)
    network = engine.network
    # Networks that pool over their whole tile know tiles like the chips, and no parts of them.
    whole = bool(getattr(network, "sees_whole_tile", False))
    tiles = plan(job, options, network, 0 if whole else USUAL_TILE, PADDING_SHARE)
    pool = open_pool(job.raster, engine.device.type, tiles.size)
    engine.expect(len(tiles), tiles.size, tiles.size)
    # Some networks take whole tiles only; weights are those of whole tiles.
    fixed = whole or bool(getattr(network, "fixed_tile", None)) or tiles.blended
    trim = None if fixed else to_wanted(tiles)
    damaged = Damaged(progress, "It is left without data.") if options.skip_unreadable else None
    return Answering(
        options,
        tiles,
        engine,
        lambda: TileReader(pool, job.model, options.mask, trim, damaged),
        _decoder(_first(options), tiles.blended or bool(options.probabilities)),
    )


def _first(options: PixelOptions) -> int:
    """Return the network's first answer that counts: 1 leaves the background out."""
    return 0 if options.predict_background else 1


def _decoder(first: int, chances: bool) -> Decode:
    """Return what makes classes ``(b, rows, cols)``, or probabilities where they are needed."""

    def decode(_network: Any, logits: Any, _size: Any) -> np.ndarray:
        wanted = logits[:, first:]
        if chances:
            return wanted.softmax(1).cpu().numpy()
        # The classes of one pixel: their order is that of their probabilities.
        return first_best(wanted).cpu().numpy()

    return decode


def first_best(answers: torch.Tensor) -> torch.Tensor:
    """Return the index of the best answer: ``(b, n, rows, cols)`` to ``(b, rows, cols)``.

    It is ``answers.argmax(1)`` in few bits, class by class: where the classes lie far apart in
    memory, as in what OpenVINO answers, that is 10 to 50 times as fast on a CPU.
    """
    best = answers[:, 0].clone()
    place = torch.zeros_like(best, dtype=torch.uint8 if answers.shape[1] <= 256 else torch.int32)
    for index in range(1, answers.shape[1]):
        place.masked_fill_(answers[:, index] > best, index)
        torch.maximum(best, answers[:, index], out=best)
    return place


def _write_results(
    job: Job,
    work: Answering,
    options: PixelOptions,
    schema: Schema,
    journal: Journal,
    rasters: list[ResultRaster],
    progress: Progress,
) -> dict[str, Any]:
    """Write all that is wanted; the rasters get their names when everything is whole.

    So a cancel leaves nothing, and does not touch an earlier result.
    """
    counts = _build_rasters(job, work, options, journal, rasters, progress)
    result = {"output": options.output, "pixel_counts": _by_name(counts, schema)}
    if options.polygons:
        result["polygon_count"] = write_class_polygons(
            rasters[0].build(progress),
            options.polygons,
            schema,
            options.min_area,
            options.simplify,
            Share(progress, _WRITTEN, 1.0),
        )
    for raster in rasters:
        raster.publish()
    return result


def _build_rasters(
    job: Job,
    work: Answering,
    options: PixelOptions,
    journal: Journal,
    rasters: list[ResultRaster],
    progress: Progress,
) -> dict[str, int]:
    """Build classes and, if wanted, probabilities; return the pixels of each class value."""
    model, area, first = job.model, job.area, _first(options)
    schema = result_classes(model, options)
    classes = ClassRasterWriter(options.output, job.raster, schema, area, True, progress)
    rasters.append(classes)
    chances: ProbabilityWriter | None = None
    if options.probabilities:
        names = _answers(model.schema, first)
        chances = ProbabilityWriter(options.probabilities, job.raster, names, area, True, progress)
        rasters.append(chances)
    kept = KeptTiles(unfinished(options.output, "tiles"))
    sums = CellSums(unfinished(options.output, "sums"))
    collector = _Collector(model.schema, first, work.tiles, classes, chances, journal, kept, sums)
    if not all(raster.is_whole for raster in rasters):
        _compute(work, collector, progress)
    progress.update(_COMPUTED, "Writing overviews")
    for raster in rasters:
        raster.build(progress)
    return collector.counts()


def _compute(work: Answering, collector: _Collector, progress: Progress) -> None:
    """Compute the tiles whose cells are not finished."""
    count = len(work.tiles)
    phase = Phase(progress, "Classifying pixels", count, "tiles", stop=_COMPUTED)
    phase.step(count - sum(1 for _ in collector.open_tiles()))
    work.engine.go_on(collector.journal)
    work.run(collector.open_tiles(), collector.collect, phase, collector.skip)


def _answers(schema: Schema, first: int) -> tuple[str, ...]:
    """Return the names of the network's answers, from the ``first`` one."""
    zero = with_background(schema).by_value(0)
    return (zero.name if zero else "", *schema.names)[first:]


class _Collector:
    """Writes finished cells and counts the pixels of each class.

    Args:
        schema: the model's classes.
        first: the network's first answer that counts: 1 leaves the background out.
        tiles: the plan.
        classes, chances: where classes and, if wanted, probabilities are written.
        journal: of finished cells.
        kept: tiles whose cells are not all finished, where they are blended.
        sums: of those cells.
    """

    def __init__(
        self,
        schema: Schema,
        first: int,
        tiles: TilePlan,
        classes: ClassRasterWriter,
        chances: ProbabilityWriter | None,
        journal: Journal,
        kept: KeptTiles,
        sums: CellSums,
    ) -> None:
        self.journal = journal
        self._kept = kept
        self._waiting: list[Tile] = []
        self._values = np.array((0, *schema.values)[first:], classes.dtype)
        self._gapless = bool((np.diff(self._values.astype(np.int64)) == 1).all())
        self._classes = classes
        self._chances = chances
        self._tiles = tiles
        self._cells = Cells(tiles)
        if not classes.store.resumed or (chances is not None and not chances.store.resumed):
            journal.forget()
        self._done = journal.parts()
        self._counts = np.zeros(len(self._values), np.int64)
        for part in self._done:
            self._counts += journal.answers(part)["counts"]
        self._blender: Blender | None = None
        if tiles.blended:
            self._blender = Blender(self._cells, tiles.size, self._done, sums, self._finish)
            self._take_kept(self._blender)
        self._known = frozenset(self._waiting)

    def _take_kept(self, blender: Blender) -> None:
        """Add what an earlier run has computed, in its order: sums are then the same."""
        if not self._done:
            self._kept.remove()
            return
        for tile in self._tiles:
            answer = self._kept.read(tile)
            if answer is not None:
                blender.add(tile, *answer)
                self._waiting.append(tile)

    def open_tiles(self) -> Iterator[Tile]:
        """Yield the tiles to compute: they have cells which are not finished."""
        for tile in self._tiles:
            if tile in self._known:
                continue
            if any(cell.number not in self._done for cell in self._cells.of(tile)):
                yield tile

    def collect(self, result: tuple[TileImage, np.ndarray]) -> None:
        """Take the answer to a tile."""
        image, answer = result
        if self._blender is not None:
            self._blender.add(image.tile, answer, image.wanted)
            if self._blender.needs(image.tile):
                self._kept.add(image.tile, answer, image.wanted)
                self._waiting.append(image.tile)
            self._drop_settled(self._blender)
            return
        (cell,) = self._cells.of(image.tile)
        answer = answer[(..., *image.inner.slices(image.seen))]
        self._write(image.inner, answer, image.wanted, cell.number)

    def skip(self, tile: Tile) -> None:
        """Take note that a tile has no data."""
        if self._blender is not None:
            self._blender.add(tile, None, None)
            self._drop_settled(self._blender)

    def _drop_settled(self, blender: Blender) -> None:
        """Keep no tile whose cells are all finished; those of the first tiles are so first."""
        while self._waiting and not blender.needs(self._waiting[0]):
            self._kept.drop(self._waiting.pop(0))

    def _finish(self, cell: Cell, mean: np.ndarray | None, wanted: np.ndarray) -> None:
        if mean is not None:
            self._write(cell.window, mean, wanted, cell.number)

    def _write(self, window: Window, answer: np.ndarray, wanted: np.ndarray, number: int) -> None:
        """Write classes ``(rows, cols)`` or probabilities ``(n, rows, cols)`` of a window."""
        classes = answer if answer.ndim == 2 else answer.argmax(0)
        nodata = self._values.dtype.type(self._classes.nodata)
        values = self._named(classes)
        if not wanted.all():
            values = np.where(wanted, values, nodata)
        self._classes.write(window, values)
        if self._chances is not None:
            percent = np.rint(PERCENT * answer).astype(np.uint8)
            self._chances.write(window, np.where(wanted, percent, np.uint8(NO_PERCENT)))
        counts = _count(values, self._values)
        self._counts += counts
        self.journal.add(number, {"counts": counts})

    def _named(self, classes: np.ndarray) -> np.ndarray:
        """Return the values of classes that are given by their place."""
        if self._gapless:  # a tenth of the time of a table
            return classes.astype(self._values.dtype) + self._values[0]
        return self._values.take(classes)

    def counts(self) -> dict[str, int]:
        """Return the number of pixels of each class value."""
        return dict(zip(map(str, self._values.tolist()), self._counts.tolist()))


def _count(pixels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return how many pixels have each of the values, which are not negative."""
    if len(values) <= FEW_CLASSES:
        return np.array([np.count_nonzero(pixels == each) for each in values], np.int64)
    return np.bincount(pixels.ravel(), minlength=int(values.max()) + 1)[values]


def _by_name(counts: dict[str, int], schema: Schema) -> dict[str, int]:
    found = {each.name: 0 for each in schema.classes}
    for value, count in counts.items():
        each = schema.by_value(int(value))
        name = each.name if each is not None else value
        found[name] = found.get(name, 0) + count
    return found
