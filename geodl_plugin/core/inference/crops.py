"""Images of single objects, cut from a raster as the model was trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import RasterError
from ..geo.crs import transformation
from ..geo.gdal_calls import attempt
from ..geo.grid import Box, GeoTransform, Window, centred, covering
from ..geo.raster import Block, Raster
from ..geo.raster_pool import RasterPool
from ..geo.rasterize import burn
from ..geo.vector import Feature, Geometry, vertices
from .checks import check_bands
from .model import BOUNDING_BOX, Model
from .tiles import Damaged

LARGEST_CROP = 4096  # pixels a side; more of an object is never read
TOUCHING = 1e-3  # pixels: an object beside the raster, whose coordinates were rounded
NOWHERE = (0.0, 0.0, 0.0, 0.0)  # the box of what has no place on the raster


@dataclass(frozen=True)
class Subject:
    """A feature as it was read, and where it lies on the raster.

    Attributes:
        feature: in its own coordinate reference system.
        shape: its geometry in that of the raster; ``None`` when it has no place there.
        box: xmin, ymin, xmax, ymax in the raster's pixels.
        source: the raster that is the object itself, "" for objects on the task's raster.
    """

    feature: Feature
    shape: Geometry | None
    box: Box
    source: str = ""


def subjects(features: Iterable[Feature], crs: str, raster: Raster) -> Iterator[Subject]:
    """Yield features, those without a geometry too, in their order.

    Args:
        features: in the coordinate reference system ``crs``.
        crs: well-known text.
        raster: from which they are to be cut.
    """
    transform = transformation(crs, raster.crs)
    grid = raster.geotransform
    for feature in features:
        shape = feature.geometry
        usable = not shape.IsEmpty()
        if usable and transform is not None:
            shape = shape.Clone()
            usable = attempt(shape.Transform, transform) == 0
        points = _extremes(shape, grid) if usable else np.empty((0, 2))
        if not len(points) or not np.isfinite(points).all():
            yield Subject(feature, None, NOWHERE)
            continue
        pixels = grid.to_pixels(points)
        box = (*pixels.min(axis=0).tolist(), *pixels.max(axis=0).tolist())
        yield Subject(feature, shape, box)


def whole_subjects(footprints: Iterable[Feature], sources: Sequence[str]) -> Iterator[Subject]:
    """Yield rasters that are objects themselves, in the order of their footprints.

    Args:
        footprints: their identifiers are the places of the rasters among the sources.
        sources: all rasters.
    """
    for feature in footprints:
        yield Subject(feature, None, NOWHERE, sources[feature.fid])


def _extremes(shape: Geometry, grid: GeoTransform) -> np.ndarray:
    """Return points ``(n, 2)`` of a geometry between which all of it lies on the raster."""
    if grid.row_x or grid.col_y:
        return vertices(shape)
    xmin, xmax, ymin, ymax = shape.GetEnvelope()
    return np.array([[xmin, ymin], [xmax, ymax]])


class CropReader:
    """Cuts objects from a raster."""

    def __init__(self, raster: RasterPool, model: Model, damaged: Damaged | None = None) -> None:
        self._raster = raster
        self._model = model
        self._damaged = damaged

    def __call__(self, subject: Subject) -> np.ndarray | None:
        """Return the normalised image of an object, or ``None`` when there are no data.

        The side is the model's in fixed crops; others still have the object's own size.
        """
        window = self._window(subject)
        if window is None:
            return None
        try:
            block = self._raster.read(window, self._model.bands)
        except RasterError as error:
            if self._damaged is None:
                raise
            self._damaged(str(error))
            return None
        if not block.valid.any():
            return None
        if self._model.blacken:
            block = self._blackened(block, subject, window)
        return self._model.normalise(block)

    def _window(self, subject: Subject) -> Window | None:
        xmin, ymin, xmax, ymax = subject.box
        whole = self._raster.window
        inside = _meets(xmin, xmax, whole.width) and _meets(ymin, ymax, whole.height)
        if subject.shape is None or not inside:
            return None
        if self._model.crop_mode == BOUNDING_BOX and xmax > xmin and ymax > ymin:
            return _limit(covering(subject.box, whole))
        return centred(subject.box, self._model.chip_size, self._model.chip_size, whole)

    def _blackened(self, block: Block, subject: Subject, window: Window) -> Block:
        place = self._raster.geotransform.of_window(window)
        inside = burn([(subject.shape, 1)], block.valid.shape, place, crs=self._raster.crs) > 0
        # Points and lines, and polygons smaller than a pixel, have no inside to keep.
        if not inside.any():
            return block
        return Block(block.pixels * inside, block.valid)


class WholeReader:
    """Reads rasters that are objects themselves.

    Args:
        model: what to read for which network.
        damaged: is told why a raster cannot be read, which then has no class; default is to raise.
    """

    def __init__(self, model: Model, damaged: Damaged | None = None) -> None:
        self._model = model
        self._damaged = damaged

    def __call__(self, subject: Subject) -> np.ndarray | None:
        """Return the normalised image of a raster, or ``None`` when it has no data."""
        try:
            with Raster.open(subject.source) as raster:
                model = self._model if self._model.runs_code else self._model.fitted(raster)
                check_bands(model, raster)
                block = raster.reduced(LARGEST_CROP, model.bands)
        except RasterError as error:
            if self._damaged is None:
                raise
            self._damaged(str(error))
            return None
        return self._model.normalise(block) if block.valid.any() else None


def _meets(low: float, high: float, length: int) -> bool:
    """Return whether an object has a part of its own within a raster, along one axis."""
    if low == high:
        return 0 <= low < length
    return low < length - TOUCHING and high > TOUCHING


def _limit(window: Window) -> Window:
    width, height = min(window.width, LARGEST_CROP), min(window.height, LARGEST_CROP)
    col = window.col + (window.width - width) // 2
    row = window.row + (window.height - height) // 2
    return Window(col, row, width, height)
