"""Export of training data: rasters and labels in, a folder of chips out.

Planning, reading and labelling, writing are three steps; the middle one and the writing of
images run in threads, because GDAL lets go of Python's lock. Results keep their order, so
that the same export gives the same bytes.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import GeoDLError, InputError, TrainingDataError
from ..geo.raster import Block, Raster
from ..geo.raster_writer import IMAGE_DRIVERS, limited_cache, write_chip
from ..geo.sampling import Frame
from ..leftovers import remove_leftovers
from ..places import temporary_folder
from ..progress import Phase, Progress
from ..replacing import replace
from ..samples.prelabel import warn_of_drafts
from .checks import (
    by_palette,
    check_folder,
    check_image,
    check_options,
    of_dates,
    tell_unused,
    unlike,
    vast_buffer,
)
from .cutting import Cut, Cutter, tell_cut
from .description import MAP, describe
from .formats import ChipFormat, WrittenChip, chip_format
from .groups import cutters_of, tell
from .identifiers import IdentifierSet
from .labels import MaskLabel, PanopticLabel
from .no_data import marked
from .options import ExportOptions
from .plan import Place
from .statistics import BandStatistics, ChipStatistics

RUN = 8  # neighbouring chips that are cut, and written, in one piece of work
RUN_BYTES = 8 * 1024**2  # of the pixels of such a run
AHEAD = 3  # runs under way a thread
AHEAD_BYTES = 256 * 1024**2
MOST_WARNINGS = 3  # of rasters that are unlike the first
BACKGROUND = "background"
PATIENCE = 0.5  # seconds between two looks whether the user cancelled
_Image = tuple[Path, Block, Frame, Raster]


@dataclass(frozen=True)
class ExportResult:
    """What an export has written: the folder, its chips, and how many features are on them."""

    folder: Path
    chips: int
    features: int


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
    with limited_cache(), temporary_folder("export") as scratch:
        export = _Export(options, scratch)
        export.warn(progress)
        remove_leftovers(target)
        shutil.rmtree(building, ignore_errors=True)
        try:
            statistics = export.write(building, progress)
            if target.exists():
                target.rmdir()
            replace(building, target)
        except GeoDLError:
            raise
        except OSError as error:
            raise TrainingDataError(f"'{target}' cannot be written: {error}.") from error
        finally:
            shutil.rmtree(building, ignore_errors=True)
            export.close()
    return ExportResult(target, statistics.chips, export.features)


class _Export:
    """One export: its inputs checked, its chips one by one."""

    def __init__(self, options: ExportOptions, scratch: Path) -> None:
        self.options = options
        self.format = chip_format(options.format)
        self.cutters, self.left_out = cutters_of(
            options, lambda own, meet: Cutter(own, self.format, _place(scratch), meet)
        )
        self.raster = self.cutters[0].raster
        for cutter in self.cutters[1:]:
            check_image(options, cutter.raster, self.raster)
        for raster in filter(None, (self.raster, self.cutters[0].second)):
            check_image(options, raster, raster)
        self.schema = self.cutters[0].schema
        self.used = IdentifierSet()  # a feature may lie on several rasters
        self.by_pixel = self.format.label in (MaskLabel, PanopticLabel)
        self._folders: set[Path] = set()  # that exist

    @property
    def features(self) -> int:
        """How many different features are on the chips."""
        return len(self.used)

    def stop(self) -> None:
        """Let the threads end before their next chip."""
        for cutter in self.cutters:
            cutter.stopped.set()

    def close(self) -> None:
        for cutter in self.cutters:
            cutter.close()

    def warn(self, progress: Progress) -> None:
        """Tell what may be wrong with rasters, labels and options, before they are used."""
        tell_unused(self.options, progress)
        tell(self.left_out, progress)
        rasters = [cutter.raster for cutter in self.cutters]
        odd = itertools.chain(
            *(by_palette(each) for each in rasters),
            *(unlike(each, self.raster) for each in rasters[1:]),
            of_dates(self.cutters[0].second, self.raster) if self.by_pixel else (),
        )
        for sentence in itertools.islice(odd, MOST_WARNINGS):
            progress.warn(sentence)
        zero = self.schema.by_value(0) if self.by_pixel else None
        if zero is not None and zero.name.strip().lower() != BACKGROUND:
            progress.warn(
                f"The class 0 '{zero.name}' is the background in '{self.format.keyword}': its "
                "pixels count as those without a label. Give it another value to learn it."
            )
        source = self.cutters[0].source
        if source is not None:
            for sentence in vast_buffer(source):
                progress.warn(sentence)
            warn_of_drafts(source.layer, progress)

    def write(self, folder: Path, progress: Progress) -> ChipStatistics:
        (folder / "labels" if self.format.suffix else folder).mkdir(parents=True)
        statistics = ChipStatistics(self.schema, self.by_pixel)
        second = BandStatistics()
        writer = self.format(folder, self.schema)
        total = sum(cutter.plan.count() for cutter in self.cutters)
        phase = Phase(progress, "Exporting", total, "chips")
        threads = min(os.cpu_count() or 1, 8)
        length, ahead = self._pace(threads)
        with contextlib.ExitStack() as stack:
            rows = stack.enter_context((folder / MAP).open("w", encoding="utf-8", newline="\n"))
            readers, writers = ThreadPoolExecutor(threads), ThreadPoolExecutor(threads)
            for pool in (readers, writers):
                stack.callback(pool.shutdown, cancel_futures=True)
            stack.callback(self.stop)
            images = _Waiting(writers, ahead, progress)
            for cutter in self.cutters:
                for cuts in _in_order(
                    readers, cutter.cut, cutter.plan.runs(length), ahead, progress
                ):
                    phase.step(len(cuts))
                    work = []
                    for cut in cuts:
                        if cut is None:
                            continue
                        self.used.update(cut.fids)
                        chip = self._chip(writer, f"{statistics.chips:09d}", cut, cutter)
                        label = writer.write(chip)
                        rows.write(_row(folder, chip.image, label))
                        statistics.add(cut.bands, cut.scene.sizes(cut.label))
                        second.merge(cut.second_bands)
                        work += self._images(writer, chip, cut, cutter)
                    images.add(_write_images, work, self.options.image_format)
            images.finish()
        self._finish(folder, writer, statistics, second, progress)
        return statistics

    def _pace(self, threads: int) -> tuple[int, int]:
        """Return how many chips are cut in a row, and how many of such runs are under way."""
        size = self.options.width * self.options.height * self.raster.band_count
        size *= self.raster.dtype.itemsize
        length = max(1, min(RUN, RUN_BYTES // size))
        return length, max(threads, min(threads * AHEAD, AHEAD_BYTES // (size * length)))

    def _chip(self, writer: ChipFormat, name: str, cut: Cut, cutter: Cutter) -> WrittenChip:
        suffix = IMAGE_DRIVERS[self.options.image_format][1]
        return WrittenChip(
            name,
            writer.image_path(name, suffix, cut.label),
            cut.label,
            cut.block.pixels.shape,
            cut.frame.geotransform,
            cutter.raster.crs,
        )

    def _images(
        self, writer: ChipFormat, chip: WrittenChip, cut: Cut, cutter: Cutter
    ) -> list[_Image]:
        images = [(chip.image, cut.block, cut.frame, cutter.raster)]
        if cut.second is not None and cutter.second is not None:
            other = writer.second_path(chip.name, chip.image.suffix)
            images.append((other, cut.second, cut.frame, cutter.second))
        for path, *_ in images:
            if path.parent not in self._folders:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._folders.add(path.parent)
        return images

    def _finish(
        self,
        folder: Path,
        writer: ChipFormat,
        statistics: ChipStatistics,
        second: BandStatistics,
        progress: Progress,
    ) -> None:
        if not statistics.chips:
            raise InputError(
                f"No chip of '{self.raster.name}' has a label. Use a smaller overlap ratio, "
                "another mask or extent, or write empty tiles too."
            )
        writer.finish()
        tell_cut(self.cutters, progress)
        rasters = [cutter.raster for cutter in self.cutters]
        describe(folder, self.options, rasters, statistics)
        seconds = [cutter.second or cutter.raster for cutter in self.cutters]
        other = statistics.with_bands(second)
        for side, about in zip(writer.sides, ((rasters, statistics), (seconds, other))):
            describe(folder / side, self.options, *about)
            own = (folder / side / MAP).open("w", encoding="utf-8", newline="\n")
            with own, (folder / MAP).open(encoding="utf-8") as rows:
                own.writelines(row.partition("\\")[2] for row in rows)


class _Waiting:
    """Work in threads, a limited number of pieces at a time."""

    def __init__(self, pool: ThreadPoolExecutor, limit: int, progress: Progress) -> None:
        self._pool = pool
        self._progress = progress
        self._limit = limit
        self._futures: collections.deque[Future[None]] = collections.deque()

    def add(self, function: Callable[..., None], *arguments: Any) -> None:
        """Begin a piece of work; wait for the oldest one when there are too many."""
        self._futures.append(self._pool.submit(function, *arguments))
        if len(self._futures) > self._limit:
            _result(self._futures.popleft(), self._progress)

    def finish(self) -> None:
        """Wait for all; raise what one of them raised."""
        while self._futures:
            _result(self._futures.popleft(), self._progress)


def _place(scratch: Path) -> Path:
    """Return a new folder for what one cutter writes."""
    return Path(tempfile.mkdtemp(dir=scratch))


def _write_images(images: Sequence[_Image], image_format: str) -> None:
    for path, block, frame, raster in images:
        image = marked(block, image_format, raster.nodata)
        write_chip(
            path,
            image.pixels,
            frame.geotransform,
            raster.crs,
            image_format,
            image.nodata,
            raster.band_names,
            image.valid,
        )


def _in_order(
    pool: ThreadPoolExecutor,
    function: Callable[[list[Place]], list[Cut | None]],
    items: Iterable[list[Place]],
    ahead: int,
    progress: Progress,
) -> Iterator[list[Cut | None]]:
    """Yield ``function(item)`` for every item in order, at most ``ahead`` of them under way."""
    waiting: collections.deque[Future] = collections.deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) >= ahead:
            yield _result(waiting.popleft(), progress)
    while waiting:
        yield _result(waiting.popleft(), progress)


def _result(future: Future, progress: Progress) -> Any:
    """Return the result of work in a thread; raise :class:`CancelledError` when cancelled."""
    while not future.done():
        progress.check()
        wait([future], timeout=PATIENCE)
    return future.result()


def _row(folder: Path, image: Path, label: Path | None) -> str:
    paths = [each.relative_to(folder).parts for each in (image, label) if each]
    return "  ".join("\\".join(each) for each in paths) + " \n"
