"""The labels of an export: features with their classes, found by place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import InputError
from ..geo.grid import Window
from ..geo.raster import Raster
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
        geometry: in pixels of the raster, the part inside the window.
        share: of the feature's area that lies inside the window (1 for points and lines).
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
        """The envelope ``(xmin, ymin, xmax, ymax)`` in pixels of the raster."""
        xmin, xmax, ymin, ymax = self.geometry.GetEnvelope()
        return xmin, ymin, xmax, ymax


class LabelSource:
    """The features that label a raster.

    Args:
        layer: the features.
        raster: what they label.
        class_field: holds the class; "" as :func:`read_classes` says.
        buffer: radius in units of the layer that turns points and lines into areas.

    Raises:
        InputError: when a point or line layer has no buffer, or nothing lies on the raster.
    """

    def __init__(
        self, layer: VectorReader, raster: Raster, class_field: str = "", buffer: float = 0.0
    ) -> None:
        self.layer = layer
        self.raster = raster
        self.buffer = buffer
        self.classes: Classes = read_classes(layer, class_field)
        self.skipped: set[int] = set()
        self.mended: set[int] = set()
        require_overlap(layer, raster, buffer)

    def shapes(self, window: Window) -> Iterator[LabelledShape]:
        """Yield what lies in a window, with a share of its area above 0."""
        frame = rectangle(window.col, window.row, window.right, window.bottom)
        for feature in self._features(window, self.classes.fields):
            shape = self._shape(feature, frame)
            if shape is not None:
                yield shape

    def centres(self) -> Iterator[tuple[int, tuple[float, float]]]:
        """Yield the class and the centre (col, row) of every feature on the raster."""
        for feature in self._features(self.raster.window, self.classes.fields):
            value = self.classes.of(feature.attributes)
            geometry = to_pixel_space(feature.geometry, self.raster.geotransform)
            xmin, xmax, ymin, ymax = geometry.GetEnvelope()
            centre = (xmin + xmax) / 2, (ymin + ymax) / 2
            if value is not None and _inside(centre, self.raster):
                yield value, centre

    def _shape(self, feature: Feature, frame: Geometry) -> LabelledShape | None:
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
        whole = to_pixel_space(geometry, self.raster.geotransform)
        part = whole.Intersection(frame)
        area = whole.GetArea()
        if part is None or part.IsEmpty() or area <= 0 or part.GetArea() <= 0:
            return None
        share = part.GetArea() / area
        return LabelledShape(feature.fid, value, geometry, part, share, geometry.GetArea())

    def _features(self, window: Window, fields: list[str]) -> Iterator[Feature]:
        bounds = window_bounds(window, self.raster.geotransform)
        return self.layer.features(bounds, self.raster.crs, fields, self.buffer)


def _inside(point: tuple[float, float], raster: Raster) -> bool:
    return 0 <= point[0] < raster.width and 0 <= point[1] < raster.height
