"""Where the chips of an export lie."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import OutsideError
from ..geo.grid import EDGE, Window, centred, chip_windows, covering, moved_inside, positions
from ..geo.raster import Raster
from ..geo.sampling import Frame, turned
from ..geo.shapes import bounds_window, polygon, together, window_bounds
from ..geo.vector import Geometry, VectorReader
from .options import ExportOptions
from .source import LabelSource


@dataclass(frozen=True)
class Place:
    """A chip that may be written: its grid, and the feature that it is made for, if any."""

    frame: Frame
    fid: int | None = None
    value: int | None = None


class Plan:
    """The places of the chips on one raster.

    Args:
        options: sizes, strides, extent, mask, rotation.
        raster: what is cut.
        source: the features, for one chip a feature.

    Raises:
        OutsideError: when the extent or the mask does not meet the raster.
    """

    def __init__(self, options: ExportOptions, raster: Raster, source: LabelSource | None) -> None:
        self.options = options
        self.raster = raster
        self.source = source
        self.area = self._area()
        mask = self._whole_mask()
        # Prepared: else all of a mask would be read again for each chip.
        self._mask = None if mask is None else mask.CreatePreparedGeometry()

    def places(self) -> Iterator[Place]:
        """Yield the places, row by row; turned passes come after the straight one."""
        found = self._of_features() if self.options.stride_x == 0 else self._of_grid()
        return (place for place in found if self._allowed(place.frame))

    def count(self) -> int:
        """Return how many places there are, without keeping them."""
        return sum(1 for _ in self.places())

    def runs(self, limit: int) -> Iterator[list[Place]]:
        """Yield the places in runs of at most ``limit`` neighbours in a row of the grid.

        They share a query and the blocks of the file that they lie on.
        """
        run: list[Place] = []
        for place in self.places():
            if run and (len(run) == limit or not _follows(run[-1], place)):
                yield run
                run = []
            run.append(place)
        if run:
            yield run

    def _of_grid(self) -> Iterator[Place]:
        options = self.options
        size = (options.width, options.height, options.stride_x, options.stride_y)
        for window in chip_windows(self.area, *size):
            # A chip larger than the extent shows more of the raster, not what lies beyond it.
            window = moved_inside(window, self.raster.window)
            yield Place(Frame.of_window(window, self.raster))
        for angle in _angles(options.rotation):
            for frame in self._turned(angle):
                yield Place(frame)

    def _of_features(self) -> Iterator[Place]:
        options = self.options
        whole = self.raster.window
        for fid, value, box in self.source.boxes() if self.source else ():
            if options.bounding_box:
                window = covering(box, whole)
            else:
                window = centred(box, options.width, options.height, whole)
            yield Place(Frame.of_window(window, self.raster), fid, value)

    def _turned(self, angle: float) -> Iterator[Frame]:
        """Yield the chips of the grid turned around the centre of the area."""
        options = self.options
        grid = self.raster.geotransform.of_window(self.area)
        centre = grid.to_map(np.array([[self.area.width / 2, self.area.height / 2]]))[0]
        grid = turned(grid, angle, centre)
        # The turned grid must cover the whole area, so it begins and ends outside of it.
        area = Frame.of_window(self.area, self.raster)
        corners = grid.to_pixels(area.corners())
        low, high = np.floor(corners.min(axis=0) + EDGE), np.ceil(corners.max(axis=0) - EDGE)
        width, height = (high - low).astype(int)
        for row in positions(int(height), options.height, options.stride_y):
            for col in positions(int(width), options.width, options.stride_x):
                start = Window(int(low[0]) + col, int(low[1]) + row, options.width, options.height)
                frame = Frame(grid.of_window(start), options.width, options.height)
                # No chip hangs over the edge: what is lost there the straight pass has.
                if _contains(self.area, self.raster.geotransform.to_pixels(frame.corners())):
                    yield frame

    def _allowed(self, frame: Frame) -> bool:
        if frame.window is not None and self.area.intersection(frame.window) is None:
            return False
        return self._mask is None or self._mask.Contains(polygon(frame.corners()))

    def _area(self) -> Window:
        if self.options.extent is None:
            return self.raster.window
        area = bounds_window(self.options.extent, self.raster.geotransform, self.raster.window)
        if area is None:
            raise OutsideError(
                f"The extent {self.options.extent} does not meet '{self.raster.name}'."
            )
        return area

    def _whole_mask(self) -> Geometry | None:
        """Return all polygons of the mask near the raster as one: a chip may lie on several."""
        options, raster = self.options, self.raster
        if not options.mask:
            return None
        layer = VectorReader(options.mask, options.mask_layer or None)
        tolerance = EDGE * math.sqrt(raster.geotransform.cell_area())
        # A chip may hang over the raster's edge.
        whole = Window(
            -options.width,
            -options.height,
            raster.width + 2 * options.width,
            raster.height + 2 * options.height,
        )
        bounds = window_bounds(whole, raster.geotransform)
        found = layer.features(bounds, raster.crs, [], around=bounds)
        mask = together(feature.geometry for feature in found)
        if mask is None:
            raise OutsideError(
                f"The mask '{layer.name}' lies outside of '{raster.name}'. "
                "Choose polygons that meet the raster."
            )
        return mask.Buffer(tolerance)


def _follows(one: Place, other: Place) -> bool:
    """Return whether a place lies beside another one or overlaps with it, in the same row."""
    left, right = one.frame.window, other.frame.window
    if left is None or right is None or left.row != right.row:
        return False
    return left.col <= right.col <= left.right


def _angles(step: float) -> Iterator[float]:
    """Yield step, 2 step … below 360 degrees."""
    count = 1
    while step > 0 and count * step < 360:
        yield count * step
        count += 1


def _contains(area: Window, points: np.ndarray) -> bool:
    first, last = np.array([area.col, area.row]), np.array([area.right, area.bottom])
    inside = (points >= first - EDGE) & (points <= last + EDGE)
    return bool(inside.all())
