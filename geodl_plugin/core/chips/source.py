"""The labels of an export: features with their classes, found by place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..geo.raster import Raster
from ..geo.sampling import Frame
from ..geo.shapes import rectangle, repaired, to_pixel_space, window_bounds
from ..geo.vector import Feature, Geometry, VectorReader
from ..samples.classes import Classes, read_classes, require_overlap


@dataclass(frozen=True)
class LabelledShape:
    """A feature as a chip sees it.

    Attributes:
        fid: of the feature.
        value: its class.
        outline: the whole feature, in map coordinates of the raster.
        geometry: in pixels of the chip, the part that lies on it.
        share: of the feature's area that lies on the chip.
        area: of the whole feature in square map units.
    """

    fid: int
    value: int
    outline: Geometry
    geometry: Geometry
    share: float
    area: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The envelope ``(xmin, ymin, xmax, ymax)`` in pixels of the chip."""
        xmin, xmax, ymin, ymax = self.geometry.GetEnvelope()
        return xmin, ymin, xmax, ymax


class LabelSource:
    """The features that label a raster; a thread takes its own by :meth:`reopen`.

    Args:
        path, layer: of the features; "" for the first layer.
        raster: what they label.
        class_field: holds the class; "" as :func:`read_classes` says.
        buffer: radius in units of the layer that turns points and lines into areas.
        classes: of the features, where they have been read before.

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
    ) -> None:
        self._arguments = (path, layer, raster, class_field, buffer)
        self.layer = VectorReader(path, layer or None)
        self.raster = raster
        self.buffer = buffer
        self.skipped: set[int] = set()
        self.mended: set[int] = set()
        if classes is None:
            classes = read_classes(self.layer, class_field)
            require_overlap(self.layer, raster, buffer)
        self.classes = classes

    def reopen(self) -> LabelSource:
        """Return another handle of the same features, for another thread."""
        other = LabelSource(*self._arguments, classes=self.classes)
        other.skipped, other.mended = self.skipped, self.mended
        return other

    def shapes(self, frame: Frame) -> Iterator[LabelledShape]:
        """Yield what lies on a chip, with a share of its area above 0."""
        rim = rectangle(0, 0, frame.width, frame.height)
        for feature in self._features(frame.bounds()):
            shape = self._shape(feature, frame, rim)
            if shape is not None:
                yield shape

    def boxes(self) -> Iterator[tuple[int, int, tuple[float, float, float, float]]]:
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

    def _shape(self, feature: Feature, frame: Frame, rim: Geometry) -> LabelledShape | None:
        value = self.classes.of(feature.attributes)
        geometry = repaired(feature.geometry)
        if value is None or geometry is None:
            self.skipped.add(feature.fid)
            return None
        if geometry is not feature.geometry:
            self.mended.add(feature.fid)
        if geometry.GetDimension() < 2:
            raise InputError(
                f"'{self.layer.name}' has points or lines, which cover no pixels. "
                "Give a buffer radius."
            )
        whole = to_pixel_space(geometry, frame.geotransform)
        part = whole.Intersection(rim)
        area = whole.GetArea()
        if part is None or part.IsEmpty() or area <= 0 or part.GetArea() <= 0:
            return None
        share = part.GetArea() / area
        return LabelledShape(feature.fid, value, geometry, part, share, geometry.GetArea())

    def _features(self, bounds: tuple[float, float, float, float]) -> Iterator[Feature]:
        return self.layer.features(bounds, self.raster.crs, self.classes.fields, self.buffer)
