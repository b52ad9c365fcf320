"""Cutting and labelling of chips, in any number of threads."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import CancelledError
from ..geo.dataset_facts import is_raster_only
from ..geo.pair import shared_window
from ..geo.polygonize import polygonize
from ..geo.raster import Block, Raster
from ..geo.rasterize import burn
from ..geo.sampling import Frame, read_frame
from ..progress import Progress
from ..samples.schema import Schema
from .formats import ChipFormat
from .labelling import ChipScene
from .labels import ClassLabel, Label, NoLabel
from .options import ExportOptions
from .plan import Place, Plan
from .source import LabelledShape, LabelSource, share_classes
from .statistics import BandStatistics

MENDED = "had invalid geometries, which were repaired."
SKIPPED = "have no class or no usable geometry and were left out."
RASTER_LABELS = {".tif", ".tiff", ".vrt", ".img", ".jp2", ".png", ".mrf"}


@dataclass(frozen=True)
class Cut:
    """A chip before it is written."""

    frame: Frame
    block: Block
    scene: ChipScene
    label: Label
    bands: BandStatistics
    second: Block | None
    second_bands: BandStatistics
    fids: tuple[int, ...]


@dataclass(frozen=True)
class _Handles:
    """The open files of a thread."""

    raster: Raster
    source: LabelSource | None
    instances: LabelSource | None
    second: Raster | None


class Cutter:
    """Cuts and labels the chips of one raster or mosaic, in any number of threads."""

    def __init__(
        self,
        options: ExportOptions,
        form: type[ChipFormat],
        scratch: Path,
        labelled: bool = True,
    ) -> None:
        self.options = options
        self.format = form
        self.raster = _open(options.rasters, options.cell_size)
        self.second = self._open_second()
        labels, layer = _vector(options.labels, options.labels_layer, scratch / "labels.gpkg")
        self.source: LabelSource | None = None
        if form.label is not NoLabel:
            self.source = LabelSource(
                labels,
                layer,
                self.raster,
                options.class_field,
                options.buffer,
                must_meet=labelled,
            )
        self.instances: LabelSource | None = None
        if options.instances:
            path, layer = _vector(
                options.instances, options.instances_layer, scratch / "instances.gpkg"
            )
            self.instances = LabelSource(path, layer, self.raster, options.instance_field)
            share_classes(self.source, self.instances)
        self.plan = Plan(options, self.raster, self.source)
        self.stopped = threading.Event()
        self._local = threading.local()
        # Each small call of GDAL lets go of Python's lock: threads that read features at a time
        # pass it to and fro, and take twice as long as one after the other.
        self._reading = threading.Lock()

    @property
    def schema(self) -> Schema:
        found = [source.classes.schema for source in (self.source, self.instances) if source]
        classes = {each.value: each for schema in found for each in schema.classes}
        return Schema.of(classes.values())

    @property
    def is_small(self) -> bool:
        """Whether the raster does not fill a chip."""
        options, raster = self.options, self.raster
        short = raster.width < options.width or raster.height < options.height
        return short and not options.bounding_box

    def close(self) -> None:
        self.raster.close()

    def cut(self, run: Sequence[Place]) -> list[Cut | None]:
        """Read and label neighbouring chips; ``None`` for each that is not wanted."""
        handles = self._handles()
        frames = [place.frame for place in run]
        if handles.source is None:
            found: Sequence[list[LabelledShape] | None] = [None] * len(run)
        else:
            with self._reading:
                found = handles.source.shapes_of(frames)
        return [self._cut(place, shapes, handles) for place, shapes in zip(run, found)]

    def _cut(
        self, place: Place, shapes: list[LabelledShape] | None, handles: _Handles
    ) -> Cut | None:
        if self.stopped.is_set():
            raise CancelledError
        frame, raster, second = place.frame, handles.raster, handles.second
        if frame.window is not None and raster.is_empty(frame.window):
            return None
        labelled = shapes is not None
        shapes = [each for each in shapes or () if self._counts(each, place)]
        if labelled and not self._wants(place, shapes):
            return None
        block = read_frame(raster, frame)
        other = None if second is None else read_frame(second, frame)
        if not block.valid.any() or (other is not None and not other.valid.any()):
            return None
        shapes = _with_data(shapes, block.valid)
        if labelled and not self._wants(place, shapes):
            return None
        objects = None
        if handles.instances is not None:
            found = handles.instances.shapes(frame)
            objects = _with_data([each for each in found if self._counts(each, place)], block.valid)
        if self.options.blacken:
            block, seen = _blackened(block, shapes, place)
            # What is black now is no longer on the chip.
            shapes = [each for each in shapes if _is_own(each, place) or _shows(each, seen)]
        scene = ChipScene(shapes, frame, block.valid, objects, place.value)
        return Cut(
            frame,
            block,
            scene,
            self.format.stored(scene.label(self.format.label)),
            BandStatistics.of(block.valid_pixels()),
            other,
            BandStatistics() if other is None else BandStatistics.of(other.valid_pixels()),
            tuple(shape.fid for shape in shapes),
        )

    def _counts(self, shape: LabelledShape, place: Place) -> bool:
        """Return whether enough of a feature lies on a chip, which its own always does."""
        return shape.fid == place.fid or shape.share >= self.options.min_overlap

    def _wants(self, place: Place, shapes: Sequence[LabelledShape]) -> bool:
        """Return whether a chip with these features is written."""
        if place.fid is not None:
            return any(each.fid == place.fid for each in shapes)
        empty = self.options.empty_tiles and self.format.label is not ClassLabel
        return bool(shapes) or empty

    def _handles(self) -> _Handles:
        """Return this thread's own handles."""
        if not hasattr(self._local, "handles"):
            several = (self.raster, self.source, self.instances, self.second)
            self._local.handles = _Handles(*(each and each.reopen() for each in several))
        return self._local.handles

    def _open_second(self) -> Raster | None:
        if not self.options.second:
            return None
        second = Raster.open(self.options.second).placed()
        shared_window(self.raster, second)
        same = second.geotransform == self.raster.geotransform
        if same and (second.width, second.height) == (self.raster.width, self.raster.height):
            return second
        grid = (self.raster.geotransform, self.raster.width, self.raster.height)
        return second.on_grid(*grid, bounded=True)


def tell_cut(cutters: Sequence[Cutter], progress: Progress) -> None:
    """Warn of what was mended or left out, once for all rasters that have the same labels."""
    for several in zip(*((cutter.source, cutter.instances) for cutter in cutters)):
        sources = [source for source in several if source is not None]
        for found, fate in (
            (set().union(*(each.mended for each in sources)), MENDED),
            (set().union(*(each.skipped for each in sources)), SKIPPED),
        ):
            if found:
                progress.warn(f"{len(found)} features of '{sources[0].layer.name}' {fate}")
    small = [cutter.raster.name for cutter in cutters if cutter.is_small]
    if len(small) == 1:
        progress.warn(f"'{small[0]}' is smaller than a chip: the rest is filled with no data.")
    elif small:
        names = ", ".join(small[:3]) + (" …" if len(small) > 3 else "")
        progress.warn(
            f"{len(small)} rasters are smaller than a chip ({names}): the rest is filled with no "
            "data."
        )


def _open(rasters: tuple[str, ...], cell_size: float) -> Raster:
    raster = Raster.open(rasters).placed()
    return raster.with_cells(cell_size) if cell_size > 0 else raster


def _vector(path: str, layer: str, scratch: Path) -> tuple[str, str]:
    """Return labels as a vector layer: a class raster becomes polygons."""
    if path and not layer and _is_raster(path):
        return str(polygonize(path, scratch)), ""
    return path, layer


def _is_raster(path: str) -> bool:
    """Return whether a file is a raster: by its name, else what GDAL opens as no vector layer."""
    if Path(path).suffix.lower() in RASTER_LABELS:
        return True
    return is_raster_only(path)


def _with_data(shapes: Sequence[LabelledShape], valid: np.ndarray) -> list[LabelledShape]:
    """Return the features of which a chip shows something: not those that lie on no data."""
    if valid.all():
        return list(shapes)
    return [each for each in shapes if _shows(each, valid)]


def _shows(shape: LabelledShape, valid: np.ndarray) -> bool:
    xmin, ymin, xmax, ymax = shape.box
    rows = slice(int(max(ymin, 0)), max(math.ceil(ymax), 1))
    cols = slice(int(max(xmin, 0)), max(math.ceil(xmax), 1))
    around = valid[rows, cols]
    if around.all() or not around.any():
        return bool(around.any())
    pixels = burn([(shape.outline, 1)], valid.shape, shape.frame.geotransform) > 0
    # What covers no pixel's centre is as good as the pixels around it.
    return bool(valid[pixels].any()) or not pixels.any()


def _is_own(shape: LabelledShape, place: Place) -> bool:
    """Return whether a chip is made for a feature; one of a grid is made for all."""
    return place.fid in (None, shape.fid)


def _blackened(
    block: Block, shapes: Sequence[LabelledShape], place: Place
) -> tuple[Block, np.ndarray]:
    """Return a block whose pixels outside of the chip's own feature are 0, and which are inside."""
    own = [(each.outline, 1) for each in shapes if _is_own(each, place)]
    inside = burn(own, block.valid.shape, place.frame.geotransform) > 0
    pixels = np.where(inside, block.pixels, 0).astype(block.pixels.dtype)
    return Block(pixels, block.valid), inside
