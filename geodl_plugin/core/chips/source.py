"""The labels of an export: features with their classes, found by place."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..geo.gdal_calls import attempt
from ..geo.raster import Raster
from ..geo.sampling import Frame
from ..geo.shapes import area_of, rectangle, repaired, solid, to_pixel_space, window_bounds
from ..geo.vector import Feature, Geometry, VectorReader
from ..samples.classes import Classes, read_classes, require_overlap
from ..samples.schema import Schema

Box = tuple[float, float, float, float]  # (xmin, ymin, xmax, ymax)
# Pixels: what reaches less far onto a chip, or beyond it, does so by the rounding of coordinates,
# and boxes are written to this precision.
LEAST_REACH = 0.01
DECIMALS = 4  # of a pixel: what lies on a chip's edge lies there exactly


@dataclass(frozen=True)
class LabelledShape:
    """A feature as a chip sees it.

    Attributes:
        fid: of the feature.
        value: its class.
        outline: the whole feature, in map coordinates of the raster.
        frame: the chip's grid.
        box: the envelope ``(xmin, ymin, xmax, ymax)`` of the part on the chip, in its pixels.
        share: of the feature's area that lies on the chip.
        area: of the whole feature in square map units.
        part: in pixels of the chip, what lies on it; ``None`` for the whole feature.
    """

    fid: int
    value: int
    outline: Geometry
    frame: Frame
    box: Box
    share: float
    area: float
    part: Geometry | None = None

    @functools.cached_property
    def geometry(self) -> Geometry:
        """The part that lies on the chip, in pixels of the chip."""
        if self.part is not None:
            return self.part
        return to_pixel_space(self.outline, self.frame.geotransform)


@dataclass(frozen=True)
class _Labelled:
    """A feature with its class, read once for all chips that it lies on."""

    fid: int
    value: int
    outline: Geometry
    bounds: Box
    area: float


class LabelSource:
    """The features that label a raster; a thread takes its own by :meth:`reopen`.

    Args:
        path, layer: of the features; "" for the first layer.
        raster: what they label.
        class_field: holds the class; "" as :func:`read_classes` says.
        buffer: radius in units of the layer that turns points and lines into areas.
        classes: of the features, where they have been read before.
        must_meet: refuse features of which none lies on the raster.

    Raises:
        InputError: when a point or line layer has no buffer, or nothing lies on the raster.
    """

    def __init__(
        self,
        path: str | Path,
        layer: str,
        raster: Raster,
        class_field: str = "",
        buffer: float = 0.0,
        classes: Classes | None = None,
        must_meet: bool = True,
    ) -> None:
        self._arguments = (path, layer, raster, class_field, buffer)
        self.layer = VectorReader(path, layer or None)
        self.raster = raster
        self.buffer = buffer
        self.skipped: set[int] = set()
        self.mended: set[int] = set()
        if classes is None:
            classes = read_classes(self.layer, class_field)
            if must_meet:
                require_overlap(self.layer, raster, buffer)
        self.classes = classes

    def reopen(self) -> LabelSource:
        """Return another handle of the same features, for another thread."""
        other = LabelSource(*self._arguments, classes=self.classes)
        other.skipped, other.mended = self.skipped, self.mended
        return other

    def shapes(self, frame: Frame) -> list[LabelledShape]:
        """Return what lies on a chip, with a share of its area above 0."""
        return self.shapes_of([frame])[0]

    def shapes_of(self, frames: Sequence[Frame]) -> list[list[LabelledShape]]:
        """Return what lies on each of several chips, by one query for all of them.

        Features come in the order of their identifiers, so that where they overlap every chip
        shows the same one on top.
        """
        bounds = np.array([frame.bounds() for frame in frames])
        union = (*bounds[:, :2].min(axis=0).tolist(), *bounds[:, 2:].max(axis=0).tolist())
        found = sorted(self._features(union), key=lambda feature: feature.fid)
        labelled = [each for each in map(self._labelled, found) if each is not None]
        if not labelled:
            return [[] for _ in frames]
        envelopes = np.array([each.bounds for each in labelled])
        return [
            [
                shape
                for index in np.flatnonzero(_meet(envelopes, rim)).tolist()
                if (shape := _shape(labelled[index], frame)) is not None
            ]
            for frame, rim in zip(frames, bounds)
        ]

    def boxes(self) -> Iterator[tuple[int, int, Box]]:
        """Yield identifier, class and box, in pixels of the raster, of every feature on it."""
        for feature in self._features(window_bounds(self.raster.window, self.raster.geotransform)):
            value = self.classes.of(feature.attributes)
            geometry = to_pixel_space(feature.geometry, self.raster.geotransform)
            xmin, xmax, ymin, ymax = geometry.GetEnvelope()
            inside = (
                0 <= (xmin + xmax) / 2 < self.raster.width
                and 0 <= (ymin + ymax) / 2 < self.raster.height
            )
            if value is not None and inside:
                yield feature.fid, value, (xmin, ymin, xmax, ymax)

    def _labelled(self, feature: Feature) -> _Labelled | None:
        value = self.classes.of(feature.attributes)
        geometry = repaired(feature.geometry)
        # A polygon without an area is repaired to a line or a point, which no buffer would mend.
        shrunk = geometry is not None and geometry.GetDimension() < feature.geometry.GetDimension()
        if value is None or geometry is None or shrunk:
            self.skipped.add(feature.fid)
            return None
        if geometry is not feature.geometry:
            self.mended.add(feature.fid)
        if geometry.GetDimension() < 2:
            raise InputError(
                f"'{self.layer.name}' has points or lines, which cover no pixels. "
                "Give a buffer radius."
            )
        xmin, xmax, ymin, ymax = geometry.GetEnvelope()
        return _Labelled(feature.fid, value, geometry, (xmin, ymin, xmax, ymax), geometry.GetArea())

    def _features(self, bounds: Box) -> Iterator[Feature]:
        whole = window_bounds(self.raster.window, self.raster.geotransform)
        return self.layer.features(
            bounds, self.raster.crs, self.classes.fields, self.buffer, around=whole
        )


def share_classes(one: LabelSource, other: LabelSource) -> None:
    """Let two layers that label the same chips have the same classes.

    Where both name them by text, the names of both are numbered together.

    Raises:
        InputError: when a class of one layer contradicts one of the other.
    """
    sources = (one, other)
    if all(each.layer.fields.get(each.classes.field) == "text" for each in sources):
        joint = Schema.from_names(one.classes.schema.names + other.classes.schema.names)
        for each in sources:
            each.classes = read_classes(each.layer, each.classes.field, joint)
    for first in one.classes.schema.classes:
        for second in other.classes.schema.classes:
            if (first.value == second.value) != (first.name == second.name):
                raise InputError(
                    f"The class {first.value} '{first.name}' of '{one.layer.name}' contradicts "
                    f"{second.value} '{second.name}' of '{other.layer.name}'. Give both layers "
                    "the same values and names, or choose text fields for both."
                )


def _meet(envelopes: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Return which of the envelopes ``(n, 4)`` meet the bounds ``(4,)``."""
    return (envelopes[:, :2] <= bounds[2:]).all(axis=1) & (envelopes[:, 2:] >= bounds[:2]).all(
        axis=1
    )


def _shape(feature: _Labelled, frame: Frame) -> LabelledShape | None:
    if feature.area <= 0:
        return None
    about = (feature.fid, feature.value, feature.outline, frame)
    box = _upright_box(feature.bounds, frame)
    if box is not None and _holds(frame, box):
        return LabelledShape(*about, box, 1.0, feature.area)
    whole, cut = _cut(feature.outline, frame)
    area, left = area_of(whole), area_of(cut)
    if area <= 0 or left <= 0:
        return None
    part = solid(cut)
    box, extent = _envelope(part), _envelope(whole)
    thin = min(box[2] - box[0], box[3] - box[1]) < LEAST_REACH
    inside = _holds(frame, extent, LEAST_REACH)
    if thin and not inside:
        return None
    return LabelledShape(*about, box, 1.0 if inside else left / area, feature.area, part)


def _cut(outline: Geometry, frame: Frame) -> tuple[Geometry, Geometry | None]:
    """Return a feature in the pixels of a chip, and what lies on the chip."""
    chip = rectangle(0, 0, frame.width, frame.height)
    whole = to_pixel_space(outline, frame.geotransform, DECIMALS)
    cut = attempt(whole.Intersection, chip)
    if cut is None:  # vertices that lie closer together have made it cross itself
        whole = to_pixel_space(outline, frame.geotransform)
        cut = attempt(whole.Intersection, chip)
    return whole, cut


def _upright_box(bounds: Box, frame: Frame) -> Box | None:
    """Return map bounds in pixels of a frame, ``None`` where the frame is turned."""
    grid = frame.geotransform
    if grid.row_x or grid.col_y:
        return None
    cols = sorted((x - grid.x_origin) / grid.col_x for x in bounds[::2])
    rows = sorted((y - grid.y_origin) / grid.row_y for y in bounds[1::2])
    return cols[0], rows[0], cols[1], rows[1]


def _envelope(geometry: Geometry) -> Box:
    xmin, xmax, ymin, ymax = geometry.GetEnvelope()
    return xmin, ymin, xmax, ymax


def _holds(frame: Frame, box: Box, slack: float = 0.0) -> bool:
    xmin, ymin, xmax, ymax = box
    right, bottom = frame.width + slack, frame.height + slack
    return xmin >= -slack and ymin >= -slack and xmax <= right and ymax <= bottom
