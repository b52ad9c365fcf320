"""References to compare a class raster with: rasters, polygons or points, window by window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..errors import InputError
from ..geo.crs import transform_points
from ..geo.grid import EDGE, Window
from ..geo.raster import Raster
from ..geo.rasterize import burn
from ..geo.shapes import window_bounds
from ..geo.vector import VectorReader

CLASS_FIELDS = ("classvalue", "value", "classname")  # used when no field is named
SAMPLED_PIXELS = 4_000_000  # of a reference raster read at once
LEAST_VALUE = -(2**31)  # of a class
LARGEST_VALUE = 2**53  # longer numbers, of parcels for example, are names
MOST_VALUES = 65_535  # of polygons, which are burnt as numbers of 16 bits
LATTICE = 9  # points a side between which a transformation is taken as straight


@dataclass(frozen=True)
class Known:
    """Pixels of a window whose class is known; a pixel may occur more than once.

    Attributes:
        rows, cols: arrays ``(n,)``, positions in the window.
        values: array ``(n,)`` of class values.
    """

    rows: np.ndarray
    cols: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    def only(self, keep: np.ndarray) -> Known:
        """Return those where ``keep`` ``(n,)`` is true."""
        return Known(self.rows[keep], self.cols[keep], self.values[keep])


class Reference(Protocol):
    """What a class raster is compared with."""

    name: str
    class_names: Mapping[int, str]
    is_sample: bool  # whether it tells single points, not areas

    def known(self, window: Window) -> Known:
        """Return what is known in a window of the class raster."""


class VectorReference:
    """Polygons or points with a class.

    Only what they cover is compared. Where polygons overlap, the later one lies on top.

    Args:
        layer: the features.
        field: their class by name or value; "" for a field of :data:`CLASS_FIELDS`.
        result: the class raster.

    Raises:
        VectorError: when there is no such field.
        InputError: when the classes or the geometries do not fit.
    """

    def __init__(self, layer: VectorReader, field: str, result: Raster) -> None:
        self.name = layer.name
        self._layer = layer
        self._result = result
        self._field = layer.field(field) if field else _class_field(layer)
        contents = layer.unique_values(self._field)
        unknown = first_unknown(result)
        self._values = class_values(contents, result.class_names(), layer.name, unknown)
        self.class_names = {
            value: str(content) for content, value in self._values.items() if value <= unknown
        }
        self._codes = np.array(sorted(set(self._values.values())), dtype=np.int64)
        if len(self._codes) > MOST_VALUES:
            raise InputError(
                f"The field '{self._field}' of '{self.name}' has {len(self._codes):,} different "
                "values, so it tells no classes. Choose the field with the class."
            )
        self.is_sample = layer.holds_points

    def known(self, window: Window) -> Known:
        """Return the pixels that features cover."""
        bounds = window_bounds(window, self._result.geotransform)
        found = self._layer.features(bounds, self._result.crs, [self._field], around=bounds)
        # A GeoPackage answers in the order of its index: what lies on top would be by chance.
        found = sorted(found, key=lambda feature: feature.fid)
        features = [
            (feature.geometry, self._values[feature.attributes[self._field]])
            for feature in found
            if feature.attributes[self._field] in self._values
        ]
        if any(geometry.GetDimension() == 1 for geometry, _ in features):
            raise InputError(
                f"'{self.name}' holds lines, which cover no pixels. Choose polygons or points."
            )
        if self.is_sample:
            return self._at_points(features, window)
        place = self._result.geotransform.of_window(window)
        shapes = [
            (geometry, int(np.searchsorted(self._codes, value)) + 1) for geometry, value in features
        ]
        if not shapes:
            return _nothing()
        codes = burn(shapes, (window.height, window.width), place, crs=self._result.crs)
        rows, cols = np.nonzero(codes)
        return Known(rows, cols, self._codes[codes[rows, cols].astype(int) - 1])

    def _at_points(self, features: list[tuple[Any, int]], window: Window) -> Known:
        points, values = [], []
        for geometry, value in features:
            parts = [geometry.GetGeometryRef(i) for i in range(geometry.GetGeometryCount())]
            for part in parts or [geometry]:
                points.append((part.GetX(), part.GetY()))
                values.append(value)
        if not points:
            return _nothing()
        pixels = np.floor(self._result.geotransform.to_pixels(np.array(points))).astype(int)
        cols, rows = pixels[:, 0] - window.col, pixels[:, 1] - window.row
        inside = (cols >= 0) & (rows >= 0) & (cols < window.width) & (rows < window.height)
        return Known(rows, cols, np.array(values, dtype=np.int64)).only(inside)


class RasterReference:
    """A class raster on any grid; its nearest pixel counts.

    Args:
        raster: the reference.
        result: the class raster that is compared with it.
    """

    is_sample = False

    def __init__(self, raster: Raster, result: Raster) -> None:
        self.name = raster.name
        self._raster = raster
        self._result = result
        names = raster.class_names()
        self._renamed = own_values(names, result.class_names(), first_unknown(result))
        self.class_names = {self._renamed.get(value, value): name for value, name in names.items()}

    def known(self, window: Window) -> Known:
        """Return the pixels whose centre lies on a pixel of the reference that has data."""
        # Of finer pixels the corner of four may lie at a centre: the one behind it counts, as
        # GDAL has it, and not the one that rounding leads to.
        pixels = np.floor(self._positions(window) + EDGE).astype(np.int64)
        cols, rows = pixels[..., 0], pixels[..., 1]
        whole = self._raster.window
        inside = (cols >= 0) & (rows >= 0) & (cols < whole.width) & (rows < whole.height)
        if not inside.any():
            return _nothing()
        left, top = int(cols[inside].min()), int(rows[inside].min())
        box = Window(
            left, top, int(cols[inside].max()) - left + 1, int(rows[inside].max()) - top + 1
        )
        if box.width * box.height > SAMPLED_PIXELS and window.width * window.height > 1:
            return _joined([self._shifted(part, window) for part in _quarters(window)])
        block = self._raster.read(box, [0])
        at = np.nonzero(inside)
        place = rows[at] - top, cols[at] - left
        values = whole_numbers(block.pixels[0][place], block.valid[place], self.name)
        return Known(at[0], at[1], self._translated(values)).only(block.valid[place])

    def _positions(self, window: Window) -> np.ndarray:
        """Return the positions ``(rows, cols, 2)`` of the window's pixel centres in the raster."""
        cols = np.linspace(0.5, window.width - 0.5, min(LATTICE, window.width)) + window.col
        rows = np.linspace(0.5, window.height - 0.5, min(LATTICE, window.height)) + window.row
        lattice = np.stack(np.meshgrid(cols, rows), axis=-1).reshape(-1, 2)
        points = self._result.geotransform.to_map(lattice)
        points = transform_points(points, self._result.crs, self._raster.crs)
        pixels = self._raster.geotransform.to_pixels(points).reshape(len(rows), len(cols), 2)
        return _between(pixels, window.height, window.width)

    def _shifted(self, part: Window, window: Window) -> Known:
        known = self.known(part)
        return Known(
            known.rows + part.row - window.row, known.cols + part.col - window.col, known.values
        )

    def _translated(self, values: np.ndarray) -> np.ndarray:
        result = values.copy()
        for value, own in self._renamed.items():
            result[values == value] = own
        return result


def first_unknown(result: Raster) -> int:
    """Return the largest value below 0 that no pixel of a class raster can have."""
    kind = result.dtype if np.issubdtype(result.dtype, np.integer) else np.dtype(np.int64)
    # Class values of real numbers are counted as whole ones of few digits.
    return max(min(int(np.iinfo(kind).min), 0), LEAST_VALUE) - 1


def own_values(
    names: Mapping[int, str], own: Mapping[int, str], unknown: int = -1
) -> dict[int, int]:
    """Return the values of a reference that are others in the class raster.

    Values that mean the same are told by their names, where both have them. Once one name is in
    both, a name that the class raster lacks is a class of its own, even if its number is that of
    another one: it gets a value that the raster's pixels never have. Without a name in common
    the numbers count.

    Args:
        names: of the reference's values.
        own: names of the class raster's values.
        unknown: the first of those values; the next ones are below it.
    """
    by_name = {name.lower(): value for value, name in own.items()}
    lowered = {value: name.lower() for value, name in names.items()}
    known = {value: by_name[name] for value, name in lowered.items() if name in by_name}
    lacking = [value for value in names if value not in known and value in own] if known else []
    renamed = {value: target for value, target in known.items() if value != target}
    return {**renamed, **{value: unknown - place for place, value in enumerate(lacking)}}


def class_values(
    contents: list[Any], names: Mapping[int, str], layer_name: str, unknown: int = -1
) -> dict[Any, int]:
    """Return the class value of everything a field contains.

    Numbers are values. Text is a name of ``names`` or a number, in small or capital letters; names
    that the class raster does not have get values from ``unknown`` down: its pixels are never of
    these classes.

    Raises:
        InputError: when no content is a class of the raster.
    """
    by_name = {name.lower(): value for value, name in names.items()}
    values: dict[Any, int] = {}
    others: dict[str, list[Any]] = {}
    for content in contents:
        text = str(content).strip()
        if text.lower() in by_name and isinstance(content, str):
            values[content] = by_name[text.lower()]
        elif _is_whole(text):
            values[content] = int(float(text))
        else:
            others.setdefault(text.lower(), []).append(content)
    if not values:
        listed = ", ".join(f"'{content}'" for content in contents[:10]) or "none"
        own = ", ".join(f"{value} {name}" for value, name in sorted(names.items()))
        raise InputError(
            f"The reference '{layer_name}' has the classes {listed}, which the class raster lacks "
            f"({own or 'its values have no names'}). Choose a field with its names or values."
        )
    for place, same in enumerate(others.values()):
        values.update(dict.fromkeys(same, unknown - place))
    return values


def whole_numbers(pixels: np.ndarray, valid: np.ndarray, name: str) -> np.ndarray:
    """Return class values as integers.

    Raises:
        InputError: when a valid pixel is no whole number.
    """
    if np.issubdtype(pixels.dtype, np.floating):
        pixels = np.where(valid, pixels, 0)
        broken = pixels[pixels != np.floor(pixels)]
        if len(broken):
            raise InputError(
                f"'{name}' has pixels such as {broken[0]:g}, which is no class value. "
                "Choose a class raster with whole numbers."
            )
    return pixels.astype(np.int64)


def _class_field(layer: VectorReader) -> str:
    lowered = {each.lower(): each for each in layer.fields}
    found = next((lowered[each] for each in CLASS_FIELDS if each in lowered), None)
    if found is None:
        raise InputError(
            f"'{layer.name}' has no field 'Classvalue'. Give the field with the class; "
            f"its fields are: {', '.join(layer.fields) or 'none'}."
        )
    return found


def _is_whole(text: str) -> bool:
    try:
        number = float(text)
    except ValueError:
        return False
    return number.is_integer() and abs(number) < LARGEST_VALUE


def _nothing() -> Known:
    empty = np.empty(0, dtype=np.int64)
    return Known(empty, empty, empty)


def _joined(parts: list[Known]) -> Known:
    return Known(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.cols for part in parts]),
        np.concatenate([part.values for part in parts]),
    )


def _quarters(window: Window) -> list[Window]:
    width, height = (window.width + 1) // 2, (window.height + 1) // 2
    corners = [
        (window.col, window.row),
        (window.col + width, window.row),
        (window.col, window.row + height),
        (window.col + width, window.row + height),
    ]
    parts = (window.intersection(Window(col, row, width, height)) for col, row in corners)
    return [part for part in parts if part is not None]


def _between(lattice: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a lattice ``(m, n, 2)`` interpolated to ``(height, width, 2)``, ends on ends."""
    rows = np.linspace(0, lattice.shape[0] - 1, height)
    cols = np.linspace(0, lattice.shape[1] - 1, width)
    top = np.minimum(rows.astype(int), max(lattice.shape[0] - 2, 0))
    left = np.minimum(cols.astype(int), max(lattice.shape[1] - 2, 0))
    below, right = (
        np.minimum(top + 1, lattice.shape[0] - 1),
        np.minimum(left + 1, lattice.shape[1] - 1),
    )
    down, along = (rows - top)[:, None, None], (cols - left)[None, :, None]
    upper = lattice[top][:, left] * (1 - along) + lattice[top][:, right] * along
    lower = lattice[below][:, left] * (1 - along) + lattice[below][:, right] * along
    return upper * (1 - down) + lower * down
