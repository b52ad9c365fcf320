"""Reading vector layers through OGR."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from osgeo import gdal, ogr, osr

from ..errors import VectorError
from .crs import Bounds, bounds_through, transformation
from .gdal_calls import attempt, last_error
from .shapes import rectangle, straight, together

FIELD_KINDS = {
    ogr.OFTInteger: "integer",
    ogr.OFTInteger64: "integer",
    ogr.OFTReal: "real",
    ogr.OFTString: "text",
}
LISTS = (ogr.OFTIntegerList, ogr.OFTInteger64List, ogr.OFTRealList, ogr.OFTStringList)
DISTINCT = ("integer", "real", "text")  # whose values a query returns as the layer does
GEOMETRIES = {
    "Point": ogr.wkbPoint,
    "MultiPoint": ogr.wkbMultiPoint,
    "LineString": ogr.wkbLineString,
    "MultiLineString": ogr.wkbMultiLineString,
    "Polygon": ogr.wkbPolygon,
    "MultiPolygon": ogr.wkbMultiPolygon,
    "Unknown": ogr.wkbUnknown,
    "None": ogr.wkbNone,
}
UNDEFINED = "Undefined"
OWN_NUMBERS = "geodl_fid"  # such a column where the user has none, or a field called fid
SHAPEFILE = "ESRI Shapefile"  # a driver
Geometry = ogr.Geometry


@dataclass(frozen=True)
class Feature:
    """A feature: its identifier, geometry and attributes, and the row that it was read from."""

    fid: int
    geometry: ogr.Geometry
    attributes: Mapping[str, Any]
    row: ogr.Feature | None = None

    @property
    def bounds(self) -> Bounds:
        """The envelope ``(xmin, ymin, xmax, ymax)``."""
        xmin, xmax, ymin, ymax = self.geometry.GetEnvelope()
        return xmin, ymin, xmax, ymax

    @property
    def area(self) -> float:
        """The area in square units of the geometry's coordinates; 0 for points and lines."""
        return float(self.geometry.GetArea())

    @property
    def wkb(self) -> bytes:
        """The geometry as well-known binary."""
        return bytes(self.geometry.ExportToWkb())


class VectorReader:
    """A vector layer opened for reading.

    Raises:
        VectorError: when the file or the layer in it cannot be opened.
    """

    def __init__(self, path: str | Path, layer: str | None = None) -> None:
        self.path = str(path)
        self.name = Path(self.path).stem if layer is None else layer
        self._dataset = _opened(self.path)
        encoding = _encoding_of(self._dataset)
        if encoding:
            # QGIS tells GDAL to leave the letters of shapefiles alone, as it decodes them itself.
            self._dataset = _opened(self.path, [f"ENCODING={encoding}"])
        find = self._dataset.GetLayerByName if layer else self._dataset.GetLayer
        self._layer = attempt(find, layer or 0)
        if self._layer is None:
            raise VectorError(f"There is no layer '{layer or 0}' in '{self.path}'.")
        reference = self._layer.GetSpatialRef()
        # A GeoPackage has systems of its own for layers that have none.
        known = reference is not None and not (reference.GetName() or "").startswith(UNDEFINED)
        self.crs: str = reference.ExportToWkt() if known else ""
        self._transformations: dict[tuple[str, str], osr.CoordinateTransformation | None] = {}
        definition = self._layer.GetLayerDefn()
        self.fields: dict[str, str] = {}
        self.definitions: dict[str, ogr.FieldDefn] = {}
        for index in range(definition.GetFieldCount()):
            field = definition.GetFieldDefn(index)
            self.fields[field.GetName()] = FIELD_KINDS.get(field.GetType(), "other")
            self.definitions[field.GetName()] = copied_field(field)

    @property
    def count(self) -> int:
        """How many features there are."""
        return self._layer.GetFeatureCount()

    def count_where(self, condition: str) -> int:
        """Return how many features fulfil a condition, written as OGR's SQL has it."""
        self._layer.SetAttributeFilter(condition)
        found = self._layer.GetFeatureCount()
        self._layer.SetAttributeFilter(None)
        return found

    @property
    def geometry_type(self) -> str:
        """The name of the layer's geometry type, "Polygon" for example."""
        return ogr.GeometryTypeToName(self._layer.GetGeomType())

    @property
    def holds_points(self) -> bool:
        """Whether its geometries are points; of a layer for any geometry they are looked at."""
        points = {ogr.wkbPoint, ogr.wkbMultiPoint}
        own = ogr.GT_Flatten(self._layer.GetGeomType())
        if own != ogr.wkbUnknown:
            return own in points
        kinds = {
            ogr.GT_Flatten(each.geometry.GetGeometryType()) for each in self.features(fields=())
        }
        return bool(kinds) and kinds <= points

    @property
    def writable_type(self) -> int:
        """OGR's geometry type of a layer that takes the layer's geometries."""
        own = self._layer.GetGeomType()
        flat = ogr.GT_Flatten(own)
        if flat not in GEOMETRIES.values():
            return ogr.wkbUnknown
        # What a shapefile calls a line or a polygon may have several parts.
        several = self._dataset.GetDriver().ShortName == SHAPEFILE
        several &= flat in (ogr.wkbLineString, ogr.wkbPolygon)
        return ogr.GT_GetCollection(own) if several else own

    @property
    def number_column(self) -> str:
        """The user's column that numbers the features and is no field, "fid" in GeoPackages."""
        column = str(self._layer.GetFIDColumn())
        return "" if column == OWN_NUMBERS else column

    def field(self, name: str) -> str:
        """Return the name of a field as it is spelt in the layer, if need be in other letters.

        Raises:
            VectorError: when there is no such field, with those that there are.
        """
        same = [field for field in self.fields if field.lower() == name.lower()]
        if same:
            return name if name in same else same[0]
        raise VectorError(
            f"There is no field '{name}' in '{self.name}'. "
            f"Its fields are: {', '.join(self.fields) or 'none'}."
        )

    def features(
        self,
        bounds: Bounds | None = None,
        crs: str = "",
        fields: Sequence[str] | None = None,
        buffer: float = 0.0,
        empty: bool = False,
        around: Bounds | None = None,
    ) -> Iterator[Feature]:
        """Yield the features that have a geometry.

        Args:
            bounds: only those whose envelope meets these bounds, in ``crs`` if that is given.
            crs: transform the geometries to this coordinate reference system.
            fields: only these attributes; default all.
            buffer: grow the geometries by this radius, in units of the layer.
            empty: also yield features without a geometry, with an empty one.
            around: of geometries that are transformed, take what lies near these bounds, in
                ``crs``: what is far away may have no place there, or a wrong one.
        """
        transform = self._transformation(self.crs, crs)
        if bounds is not None:
            own = bounds_through(bounds, self._transformation(crs, self.crs))
            self._layer.SetSpatialFilterRect(
                own[0] - buffer, own[1] - buffer, own[2] + buffer, own[3] + buffer
            )
        near: Bounds | None = None
        if around is not None and transform is not None:
            xmin, ymin, xmax, ymax = bounds_through(around, self._transformation(crs, self.crs))
            width, height = xmax - xmin, ymax - ymin
            near = (xmin - width, ymin - height, xmax + width, ymax + height)
        names = list(self.fields) if fields is None else list(fields)
        self._layer.ResetReading()
        for feature in self._layer:
            geometry = feature.GetGeometryRef()
            if geometry is None or geometry.IsEmpty():
                if not empty:
                    continue
                geometry = ogr.Geometry(ogr.wkbGeometryCollection)
            geometry = geometry.Buffer(buffer) if buffer else geometry.Clone()
            if near is not None and not _within(geometry, near):
                geometry = attempt(straight(geometry).Intersection, rectangle(*near)) or geometry
                if geometry.IsEmpty():
                    continue
            if transform is not None and attempt(geometry.Transform, transform) != 0:
                raise VectorError(
                    f"Feature {feature.GetFID()} of '{self.name}' cannot be transformed to the "
                    "raster's coordinate reference system."
                )
            attributes = {name: feature.GetField(name) for name in names}
            yield Feature(feature.GetFID(), geometry, attributes, feature)
        self._layer.SetSpatialFilter(None)

    def _transformation(self, source: str, target: str) -> osr.CoordinateTransformation | None:
        """Return the transformation between two systems; making one costs more than a query."""
        if (source, target) not in self._transformations:
            self._transformations[source, target] = transformation(source, target)
        return self._transformations[source, target]

    def union(self) -> ogr.Geometry:
        """Return all polygons joined to one geometry, an empty one when there are none."""
        found = together(feature.geometry for feature in self.features(fields=()))
        return found or ogr.Geometry(ogr.wkbMultiPolygon)

    def unique_values(self, field: str) -> list[Any]:
        """Return the different values of a field that are not empty, sorted.

        Blank text is empty, which is what QGIS leaves where somebody clears a value.

        Raises:
            VectorError: when there is no such field, or it holds lists.
        """
        name = self.field(field)
        if self.definitions[name].GetType() in LISTS:
            raise VectorError(
                f"The field '{name}' of '{self.name}' holds lists of values. Choose a field of "
                "single ones."
            )
        values = self._distinct(name) if self.fields[name] in DISTINCT else None
        if values is None:
            self._layer.ResetReading()
            values = {feature.GetField(name) for feature in self._layer}
        return sorted(value for value in values if not _is_blank(value))

    def _distinct(self, field: str) -> set[Any] | None:
        """Return the values of a field as the file's own engine finds them, if it can."""
        names = (each.replace('"', '""') for each in (field, self._layer.GetName()))
        query = 'SELECT DISTINCT "{}" FROM "{}"'.format(*names)  # noqa: S608 # nosec B608: quoted
        result = attempt(self._dataset.ExecuteSQL, query)
        if result is None:
            return None
        try:
            return {feature.GetField(0) for feature in result}
        finally:
            self._dataset.ReleaseResultSet(result)


def told_encoding(path: str | Path) -> str:
    """Return the encoding of a shapefile's text as it tells it, "" where nobody does."""
    return _encoding_of(_opened(str(path)))


def _opened(path: str, options: Sequence[str] = ()) -> gdal.Dataset:
    dataset = attempt(gdal.OpenEx, path, gdal.OF_VECTOR, open_options=list(options))
    if dataset is None:
        raise VectorError(
            f"'{path}' cannot be opened as a vector layer: {last_error() or 'no file'}."
        )
    return dataset


def _encoding_of(dataset: gdal.Dataset) -> str:
    if dataset.GetDriver().ShortName != SHAPEFILE or not dataset.GetLayerCount():
        return ""
    about = dataset.GetLayer(0).GetMetadata("SHAPEFILE") or {}
    return about.get("ENCODING_FROM_CPG") or about.get("ENCODING_FROM_LDID") or ""


def _is_blank(value: object) -> bool:
    """Return whether the value of a field says nothing."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or value != value  # what is no number differs from itself


def _within(geometry: ogr.Geometry, bounds: Bounds) -> bool:
    xmin, xmax, ymin, ymax = geometry.GetEnvelope()
    return xmin >= bounds[0] and ymin >= bounds[1] and xmax <= bounds[2] and ymax <= bounds[3]


def copied_field(field: ogr.FieldDefn) -> ogr.FieldDefn:
    """Return a definition that outlives its layer."""
    copy = ogr.FieldDefn(field.GetName(), field.GetType())
    copy.SetSubType(field.GetSubType())
    copy.SetWidth(field.GetWidth())
    copy.SetPrecision(field.GetPrecision())
    copy.SetNullable(field.IsNullable())
    copy.SetDefault(field.GetDefault())
    copy.SetAlternativeName(field.GetAlternativeName())
    return copy


def geometry_of(wkb: bytes) -> ogr.Geometry:
    """Return the geometry of well-known binary."""
    return ogr.CreateGeometryFromWkb(wkb)


def vertices(geometry: ogr.Geometry) -> np.ndarray:
    """Return all vertices ``(n, 2)`` of a geometry, whatever its type; of arcs, enough of them."""
    geometry = straight(geometry)
    parts = [vertices(geometry.GetGeometryRef(i)) for i in range(geometry.GetGeometryCount())]
    own = [point[:2] for point in geometry.GetPoints() or ()] if not parts else []
    return np.concatenate([np.array(own, float).reshape(-1, 2), *parts])
