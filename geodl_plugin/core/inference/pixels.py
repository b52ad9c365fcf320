"""The task "classify_pixels": give every pixel of a raster a class."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..geo.raster_writer import ClassRasterWriter
from ..progress import Phase, Progress
from ..samples.schema import Schema
from .checks import Job, open_pixels, with_background
from .engine import Engine, open_engine
from .options import PixelOptions
from .pipeline import hold_cache, run_tiles
from .tiles import TileImage, TileReader, plan

# Large tiles have few borders: for the same work, their padding can be wide.
USUAL_TILE = 1024  # pixels a side
PADDING_SHARE = 8  # the default padding is an eighth of the tile


def run(options: PixelOptions, progress: Progress) -> dict[str, Any]:
    """Classify pixels and return the path of the raster and the pixels of each class.

    Raises:
        GeoDLError: one sentence; nothing is left at the output then.
    """
    with open_pixels(options, progress) as job:
        engine = open_engine(job.model, options, progress)
        return classify(job, engine, options, progress)


def classify(job: Job, engine: Engine, options: PixelOptions, progress: Progress) -> dict[str, Any]:
    """Classify pixels with a network that is ready."""
    # Networks that pool over their whole tile know tiles like the chips, and no parts of them.
    whole = bool(getattr(engine.network, "sees_whole_tile", False))
    tiles = plan(job, options, engine.network, 0 if whole else USUAL_TILE, PADDING_SHARE)
    hold_cache(job.raster, tiles.size)
    engine.expect(len(tiles), tiles.size, tiles.size)
    schema = job.model.schema
    if options.predict_background:
        schema = with_background(schema)
    phase = Phase(progress, "Classifying pixels", len(tiles), "tiles", stop=0.95)
    # A network with a fixed tile takes no smaller ones.
    trim = None if whole or getattr(engine.network, "fixed_tile", None) else tiles
    first = 0 if options.predict_background else 1
    with ClassRasterWriter(options.output, job.raster, schema, job.area) as writer:
        collector = _Collector(job.model.schema, first, writer)
        run_tiles(
            tiles,
            lambda: TileReader(job.raster, job.model, options.mask, trim),
            engine,
            # The classes of one pixel: their order is that of their probabilities.
            lambda _, logits: logits[:, first:].argmax(1).cpu().numpy(),
            collector.collect,
            phase,
        )
        progress.update(0.95, "Writing overviews")
        writer.finish(progress)
    return {"output": options.output, "pixel_counts": collector.counts(schema)}


class _Collector:
    """Writes the inner parts of tiles and counts the pixels of each class."""

    def __init__(self, schema: Schema, first: int, writer: ClassRasterWriter) -> None:
        self._values = np.array((0, *schema.values)[first:], writer.dtype)
        self._writer = writer
        self._counts = np.zeros(len(self._values), np.int64)

    def collect(self, result: tuple[TileImage, np.ndarray]) -> None:
        """Write the classes of a tile's inner part; no data where it is not wanted."""
        image, classes = result
        inner = classes[image.tile.inner.slices(image.tile.outer)]
        wanted = image.wanted
        self._counts += np.bincount(inner[wanted], minlength=len(self._counts))
        values = np.where(wanted, self._values[inner], self._values.dtype.type(self._writer.nodata))
        self._writer.write(image.tile.inner, values)

    def counts(self, schema: Schema) -> dict[str, int]:
        """Return the number of pixels of each class by its name."""
        found: dict[str, int] = {each.name: 0 for each in schema.classes}
        for value, count in zip(self._values.tolist(), self._counts.tolist()):
            each = schema.by_value(value)
            name = each.name if each is not None else str(value)
            found[name] = found.get(name, 0) + count
        return found
