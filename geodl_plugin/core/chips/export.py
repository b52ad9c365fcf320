"""Export of training data: rasters and labels in, a folder of chips out.

Planning, reading and labelling, writing are three steps; the middle one and the writing of
images run in threads, because GDAL lets go of Python's lock. Results keep their order, so
that the same export gives the same bytes.
"""

from __future__ import annotations

import collections
import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import GeoDLError, InputError, TrainingDataError
from ..geo.polygonize import polygonize
from ..geo.raster import Block, Raster
from ..geo.raster_writer import IMAGE_DRIVERS, write_chip
from ..geo.rasterize import burn
from ..geo.sampling import Frame, read_frame
from ..progress import Phase, Progress
from ..samples.prelabel import warn_of_drafts
from ..samples.schema import Schema
from .checks import check_folder, check_image, check_options
from .description import describe
from .formats import ChipFormat, WrittenChip, chip_format
from .labelling import ChipScene
from .labels import ClassLabel, Label, MaskLabel, NoLabel, PanopticLabel
from .options import ExportOptions
from .plan import Place, Plan
from .source import LabelSource
from .statistics import BandStatistics, ChipStatistics

AHEAD = 4  # chips under way a thread
RASTER_LABELS = {".tif", ".tiff", ".vrt", ".img", ".jp2", ".png", ".mrf"}


@dataclass(frozen=True)
class ExportResult:
    """What an export has written: the folder, its chips, and how many features are on them."""

    folder: Path
    chips: int
    features: int


@dataclass(frozen=True)
class Cut:
    """A chip before it is written."""

    frame: Frame
    block: Block
    scene: ChipScene
    label: Label
    bands: BandStatistics
    second: Block | None
    fids: frozenset[int]


def export_chips(options: ExportOptions, progress: Progress) -> ExportResult:
    """Export training data.

    Everything is written into a folder beside the target, which takes the target's name when
    it is whole: an interrupted export leaves nothing that looks complete.

    Raises:
        GeoDLError: when the input does not fit; nothing is written then.
    """
    check_options(options)
    target = Path(options.folder)
    check_folder(target)
    building = target.with_name(f".{target.name}.part-{os.getpid()}")
    with tempfile.TemporaryDirectory(prefix="geodl-export-") as scratch:
        export = _Export(options, Path(scratch))
        export.warn(progress)
        shutil.rmtree(building, ignore_errors=True)
        try:
            statistics = export.write(building, progress)
            if target.exists():
                target.rmdir()
            building.replace(target)
        except GeoDLError:
            raise
        except OSError as error:
            raise TrainingDataError(f"'{target}' cannot be written: {error}.") from error
        finally:
            shutil.rmtree(building, ignore_errors=True)
            export.close()
    return ExportResult(target, statistics.chips, len(export.used))


class _Export:
    """One export: its inputs checked, its chips one by one."""

    def __init__(self, options: ExportOptions, scratch: Path) -> None:
        self.options = options
        self.format = chip_format(options.format)
        groups = [(each,) for each in options.rasters] if options.separate else [options.rasters]
        self.cutters = [
            _Cutter(options, self.format, group, scratch / str(number))
            for number, group in enumerate(groups)
        ]
        self.raster = self.cutters[0].raster
        for cutter in self.cutters[1:]:
            check_image(options, cutter.raster, self.raster)
        check_image(options, self.raster, self.raster)
        self.schema = self.cutters[0].schema
        self.used: set[tuple[int, int]] = set()

    def close(self) -> None:
        for cutter in self.cutters:
            cutter.close()

    def warn(self, progress: Progress) -> None:
        """Tell what may be wrong with the labels, before they are used."""
        source = self.cutters[0].source
        if source is not None:
            warn_of_drafts(source.layer, progress)

    def write(self, folder: Path, progress: Progress) -> ChipStatistics:
        (folder / "labels" if self.format.suffix else folder).mkdir(parents=True)
        statistics = ChipStatistics(self.schema, self.format.label in (MaskLabel, PanopticLabel))
        writer = self.format(folder, self.schema)
        rows: list[str] = []
        plans = [list(cutter.plan.places()) for cutter in self.cutters]
        phase = Phase(progress, "Exporting", sum(map(len, plans)), "chips")
        threads = min(os.cpu_count() or 1, 8)
        with ThreadPoolExecutor(threads) as readers, ThreadPoolExecutor(threads) as writers:
            written: collections.deque[Future[None]] = collections.deque()
            for number, (cutter, places) in enumerate(zip(self.cutters, plans)):
                for cut in _in_order(readers, cutter.cut, places, threads * AHEAD):
                    phase.step()
                    if cut is None:
                        continue
                    self.used.update((number, fid) for fid in cut.fids)
                    name = f"{len(rows):09d}"
                    rows.append(self._write(writer, name, cut, cutter, writers, written))
                    statistics.add(cut.bands, cut.scene.sizes(cut.label))
                    while len(written) > threads * AHEAD:
                        written.popleft().result()
            for future in written:
                future.result()
        self._finish(folder, writer, statistics, rows, progress)
        return statistics

    def _write(
        self,
        writer: ChipFormat,
        name: str,
        cut: Cut,
        cutter: _Cutter,
        writers: ThreadPoolExecutor,
        written: collections.deque[Future[None]],
    ) -> str:
        """Write a chip, its image in a thread, and return its row of ``map.txt``."""
        suffix = IMAGE_DRIVERS[self.options.image_format][1]
        image = writer.image_path(name, suffix, cut.label)
        written.append(writers.submit(self._write_image, image, cut.block, cut.frame, cutter))
        if cut.second is not None:
            other = writer.second_path(name, suffix)
            written.append(writers.submit(self._write_image, other, cut.second, cut.frame, cutter))
        path = writer.write(
            WrittenChip(
                name,
                image,
                cut.label,
                cut.block.pixels.shape,
                cut.frame.geotransform,
                cutter.raster.crs,
            )
        )
        row = "  ".join(_windows_path(each, writer.folder) for each in (image, path) if each)
        return f"{row} \n"

    def _write_image(self, path: Path, block: Block, frame: Frame, cutter: _Cutter) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A block without data is 0 whatever marked it in the raster. A whole chip has no
        # such value, so that its black pixels stay pixels.
        nodata = None if block.valid.all() else 0
        write_chip(
            path,
            block.pixels,
            frame.geotransform,
            cutter.raster.crs,
            self.options.image_format,
            nodata,
            cutter.raster.band_names,
        )

    def _finish(
        self,
        folder: Path,
        writer: ChipFormat,
        statistics: ChipStatistics,
        rows: list[str],
        progress: Progress,
    ) -> None:
        if not statistics.chips:
            raise InputError(
                f"No chip of '{self.raster.name}' has a label. Use a smaller overlap ratio, "
                "another mask or extent, or write empty tiles too."
            )
        writer.finish()
        for cutter in self.cutters:
            cutter.tell(progress)
        describe(folder, self.options, self.raster, statistics, rows)
        for side in writer.sides:
            own = [row.partition("\\")[2] for row in rows]
            describe(folder / side, self.options, self.raster, statistics, own)


class _Cutter:
    """Cuts and labels the chips of one raster or mosaic, in any number of threads."""

    def __init__(
        self,
        options: ExportOptions,
        form: type[ChipFormat],
        rasters: tuple[str, ...],
        scratch: Path,
    ) -> None:
        self.options = options
        self.format = form
        scratch.mkdir()
        self.raster = _open(rasters, options.cell_size)
        self.second = self._open_second()
        labels, layer = _vector(options.labels, options.labels_layer, scratch / "labels.gpkg")
        self.source: LabelSource | None = None
        if form.label is not NoLabel:
            self.source = LabelSource(
                labels, layer, self.raster, options.class_field, options.buffer
            )
        self.instances: LabelSource | None = None
        if options.instances:
            path, layer = _vector(
                options.instances, options.instances_layer, scratch / "instances.gpkg"
            )
            self.instances = LabelSource(path, layer, self.raster, options.instance_field)
        self.plan = Plan(options, self.raster, self.source)
        self._local = threading.local()

    @property
    def schema(self) -> Schema:
        found = [source.classes.schema for source in (self.source, self.instances) if source]
        classes = {each.value: each for schema in found for each in schema.classes}
        return Schema.of(classes.values())

    def close(self) -> None:
        self.raster.close()

    def cut(self, place: Place) -> Cut | None:
        """Read and label a chip; ``None`` when it is not wanted."""
        raster, source, instances, second = self._handles()
        frame = place.frame
        if frame.window is not None and raster.is_empty(frame.window):
            return None
        shapes = [] if source is None else list(source.shapes(frame))
        shapes = [shape for shape in shapes if shape.share >= self.options.min_overlap]
        if not shapes and source is not None and not self._wants_empty(place):
            return None
        block = read_frame(raster, frame)
        if not block.valid.any():
            return None
        objects = None if instances is None else list(instances.shapes(frame))
        scene = ChipScene(shapes, frame, block.valid, objects, place.value)
        if self.options.blacken:
            block = _blackened(block, scene, place.fid)
        return Cut(
            frame,
            block,
            scene,
            scene.label(self.format.label),
            BandStatistics.of(block.valid_pixels()),
            None if second is None else read_frame(second, frame),
            frozenset(shape.fid for shape in shapes),
        )

    def tell(self, progress: Progress) -> None:
        """Warn of what was mended or left out."""
        for source in (self.source, self.instances):
            if source is not None and source.mended:
                progress.warn(
                    f"{len(source.mended)} features of '{source.layer.name}' had invalid "
                    "geometries, which were repaired."
                )
            if source is not None and source.skipped:
                progress.warn(
                    f"{len(source.skipped)} features of '{source.layer.name}' have no class or "
                    "no usable geometry and were left out."
                )
        if self.raster.width < self.options.width or self.raster.height < self.options.height:
            progress.warn(
                f"'{self.raster.name}' is smaller than a chip: the rest is filled with no data."
            )

    def _wants_empty(self, place: Place) -> bool:
        own = place.fid is not None or self.format.label is ClassLabel
        return self.options.empty_tiles and not own

    def _handles(self) -> tuple[Raster, LabelSource | None, LabelSource | None, Raster | None]:
        """Return this thread's own handles."""
        if not hasattr(self._local, "handles"):
            self._local.handles = (
                self.raster.reopen(),
                None if self.source is None else self.source.reopen(),
                None if self.instances is None else self.instances.reopen(),
                None if self.second is None else self.second.reopen(),
            )
        return self._local.handles

    def _open_second(self) -> Raster | None:
        if not self.options.second:
            return None
        second = Raster.open(self.options.second)
        same = second.geotransform == self.raster.geotransform
        if same and (second.width, second.height) == (self.raster.width, self.raster.height):
            return second
        return second.on_grid(self.raster.geotransform, self.raster.width, self.raster.height)


def _open(rasters: tuple[str, ...], cell_size: float) -> Raster:
    raster = Raster.open(rasters)
    return raster.with_cells(cell_size) if cell_size > 0 else raster


def _vector(path: str, layer: str, scratch: Path) -> tuple[str, str]:
    """Return labels as a vector layer: a class raster becomes polygons."""
    if path and not layer and Path(path).suffix.lower() in RASTER_LABELS:
        return str(polygonize(path, scratch)), ""
    return path, layer


def _blackened(block: Block, scene: ChipScene, fid: int | None) -> Block:
    """Return a block whose pixels outside of the chip's own feature are 0."""
    own = [(shape.outline, 1) for shape in scene.shapes if fid is None or shape.fid == fid]
    inside = burn(own, block.valid.shape, scene.frame.geotransform) > 0
    return Block(np.where(inside, block.pixels, 0).astype(block.pixels.dtype), block.valid)


def _in_order(
    pool: ThreadPoolExecutor,
    function: Callable[[Place], Cut | None],
    items: Iterable[Place],
    ahead: int,
) -> Iterator[Cut | None]:
    """Yield ``function(item)`` for every item in order, at most ``ahead`` of them under way."""
    waiting: collections.deque[Future] = collections.deque()
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: [future.cancel() for future in waiting])
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _windows_path(path: Path, folder: Path) -> str:
    return "\\".join(path.relative_to(folder).parts)
