"""Reading and writing vector layers through OGR."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from osgeo import gdal, ogr, osr

from ..errors import VectorError
from .raster import attempt, last_error, quiet
from .wkb import polygon_wkb, ring_wkbs

DRIVERS = {
    ".gpkg": "GPKG",
    ".shp": "ESRI Shapefile",
    ".geojson": "GeoJSON",
    ".json": "GeoJSON",
    ".fgb": "FlatGeobuf",
    ".csv": "CSV",
}
LAYER_OPTIONS = {
    "GPKG": ["SPATIAL_INDEX=YES", "GEOMETRY_NAME=geom", "FID=fid"],
    "CSV": ["STRING_QUOTING=IF_NEEDED"],
}
FIELD_TYPES = {int: ogr.OFTInteger64, float: ogr.OFTReal, str: ogr.OFTString}
FIELD_KINDS = {
    ogr.OFTInteger: "integer",
    ogr.OFTInteger64: "integer",
    ogr.OFTReal: "real",
    ogr.OFTString: "text",
}
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
TRANSACTION = 20_000  # features between two commits
Bounds = tuple[float, float, float, float]
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
        self._dataset = attempt(gdal.OpenEx, self.path, gdal.OF_VECTOR)
        if self._dataset is None:
            raise VectorError(
                f"'{self.path}' cannot be opened as a vector layer: {last_error() or 'no file'}."
            )
        self._layer = self._dataset.GetLayerByName(layer) if layer else self._dataset.GetLayer(0)
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
            self.definitions[field.GetName()] = field

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
    def writable_type(self) -> str:
        """The key of :data:`GEOMETRIES` that takes the layer's geometries."""
        flat = self.geometry_type.replace("3D ", "").replace("Measured ", "").replace(" ", "")
        return flat if flat in GEOMETRIES else "Unknown"

    def field(self, name: str) -> str:
        """Return the name of a field as it is spelt in the layer.

        Raises:
            VectorError: when there is no such field, with those that there are.
        """
        for field in self.fields:
            if field.lower() == name.lower():
                return field
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
    ) -> Iterator[Feature]:
        """Yield the features that have a geometry.

        Args:
            bounds: only those whose envelope meets these bounds, in ``crs`` if that is given.
            crs: transform the geometries to this coordinate reference system.
            fields: only these attributes; default all.
            buffer: grow the geometries by this radius, in units of the layer.
            empty: also yield features without a geometry, with an empty one.
        """
        transform = self._transformation(self.crs, crs)
        if bounds is not None:
            own = _transformed_bounds(bounds, self._transformation(crs, self.crs))
            self._layer.SetSpatialFilterRect(
                own[0] - buffer, own[1] - buffer, own[2] + buffer, own[3] + buffer
            )
        names = list(self.fields) if fields is None else list(fields)
        self._layer.ResetReading()
        for feature in self._layer:
            geometry = feature.GetGeometryRef()
            if geometry is None or geometry.IsEmpty():
                if not empty:
                    continue
                geometry = ogr.Geometry(ogr.wkbGeometryCollection)
            geometry = geometry.Buffer(buffer) if buffer else geometry.Clone()
            if transform is not None and geometry.Transform(transform) != 0:
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

    def union(self, crs: str = "") -> ogr.Geometry:
        """Return all geometries joined to one, in ``crs`` if that is given."""
        joined = ogr.Geometry(ogr.wkbPolygon)
        for feature in self.features(crs=crs):
            joined = joined.Union(feature.geometry) or joined
        return joined

    def unique_values(self, field: str) -> list[Any]:
        """Return the different values of a field that are not empty, sorted."""
        name = self.field(field)
        values = self._distinct(name) if self.fields[name] in DISTINCT else None
        if values is None:
            self._layer.ResetReading()
            values = {feature.GetField(name) for feature in self._layer}
        return sorted(value for value in values if value is not None)

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


class VectorWriter:
    """Writes a vector layer under a temporary name and renames it when it is whole.

    Args:
        path: the file to write; its extension chooses the format, ``.gpkg`` if unknown.
        crs: well-known text, "" for none.
        fields: names and types (``int``, ``float`` or ``str``), or another layer's definitions.
        geometry: a key of :data:`GEOMETRIES`; "MultiPolygon" takes polygons too.

    Raises:
        VectorError: when the file cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        crs: str,
        fields: Mapping[str, type | ogr.FieldDefn],
        geometry: str = "Polygon",
    ) -> None:
        self.path = Path(path)
        driver = DRIVERS.get(self.path.suffix.lower())
        if driver is None:
            raise VectorError(
                f"'{self.path.name}' is no known vector file. "
                f"Use one of the extensions {', '.join(DRIVERS)}."
            )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VectorError(
                f"'{self.path.parent}' cannot be written: {error.strerror}."
            ) from error
        self._temporary = self.path.with_name(
            f"{self.path.stem}.part-{os.getpid()}{self.path.suffix}"
        )
        self._driver = ogr.GetDriverByName(driver)
        self._dataset = attempt(self._driver.CreateDataSource, str(self._temporary))
        if self._dataset is None:
            raise VectorError(f"'{self.path}' cannot be written: {last_error()}.")
        self._layer = attempt(
            self._dataset.CreateLayer,
            self.path.stem,
            spatial_reference(crs) if crs else None,
            GEOMETRIES[geometry],
            LAYER_OPTIONS.get(driver, []),
        )
        if self._layer is None:
            self._fail(last_error())
        self._fields = []  # some formats do not take every type
        for name, kind in fields.items():
            known = isinstance(kind, ogr.FieldDefn)
            field = kind if known else ogr.FieldDefn(name, FIELD_TYPES[kind])
            if attempt(self._layer.CreateField, field) == 0:
                self._fields.append(name)
        self._definition = self._layer.GetLayerDefn()
        self._multiple = self._layer.GetGeomType() == ogr.wkbMultiPolygon
        self.count = 0
        self._dataset.StartTransaction()

    def write_polygon(self, rings: Sequence[np.ndarray], attributes: Mapping[str, Any]) -> None:
        """Write a polygon from rings of map coordinates ``(n, 2)``; the first is the outer one."""
        self.write(ogr.CreateGeometryFromWkb(polygon_wkb(rings)), attributes)

    def write_rings(self, rings: np.ndarray, columns: Mapping[str, Sequence[Any]]) -> None:
        """Write polygons from rings of map coordinates ``(n, k, 2)``, with their attributes."""
        values = [columns[name] for name in self._fields]
        for wkb, row in zip(ring_wkbs(rings), zip(*values)):
            self._add(ogr.CreateGeometryFromWkb(wkb), row)

    def write(self, geometry: ogr.Geometry | None, attributes: Mapping[str, Any]) -> None:
        """Write a feature; attributes that are no fields are left out."""
        # The writer gives the geometry away.
        own = None if geometry is None else geometry.Clone()
        self._add(own, [attributes.get(name) for name in self._fields])

    def places(self, names: Sequence[str]) -> list[int]:
        """Return the positions of fields, -1 for those that the layer does not have."""
        return [self._fields.index(name) if name in self._fields else -1 for name in names]

    def write_like(self, row: ogr.Feature, places: Sequence[int], values: Sequence[Any]) -> None:
        """Write a feature with the geometry and the fields of another layer's.

        Args:
            row: of the other layer.
            places: where each of its fields comes, -1 for those that are left out.
            values: of the last fields.
        """
        feature = ogr.Feature(self._definition)
        feature.SetFromWithMap(row, True, places)
        if self._multiple and row.GetGeometryRef() is not None:
            parts = ogr.ForceToMultiPolygon(row.GetGeometryRef().Clone())
            feature.SetGeometryDirectly(parts)
        self._create(feature, values, len(self._fields) - len(values))

    def _add(self, geometry: ogr.Geometry | None, values: Sequence[Any]) -> None:
        feature = ogr.Feature(self._definition)
        if geometry is not None:
            if self._multiple:
                geometry = ogr.ForceToMultiPolygon(geometry)
            feature.SetGeometryDirectly(geometry)
        self._create(feature, values)

    def _create(self, feature: ogr.Feature, values: Sequence[Any], first: int = 0) -> None:
        for position, value in enumerate(values, first):
            if value is not None:
                feature.SetField(position, value)
        if attempt(self._layer.CreateFeature, feature) != 0:
            self._fail(last_error())
        self.count += 1
        if self.count % TRANSACTION == 0:
            self._commit()
            self._dataset.StartTransaction()

    def _commit(self) -> None:
        # Formats without transactions say so.
        if attempt(self._dataset.CommitTransaction) not in (0, ogr.OGRERR_UNSUPPORTED_OPERATION):
            self._fail(last_error())

    def _is_whole(self) -> bool:
        """Return whether the file holds what was written; GeoJSON's writer hides its errors."""
        dataset = attempt(ogr.Open, str(self._temporary))
        return dataset is not None and dataset.GetLayer(0).GetFeatureCount() == self.count

    def _fail(self, reason: str) -> NoReturn:
        self.abort()
        raise VectorError(f"'{self.path}' cannot be written: {reason}.")

    def finish(self) -> Path:
        """Close the file, give it its name and return that.

        Raises:
            VectorError: when the last of it cannot be written.
        """
        self._commit()
        self._layer = None
        with quiet():  # much is written only now, and closing has no answer but this
            gdal.ErrorReset()
            self._dataset = None
            if gdal.GetLastErrorType() >= gdal.CE_Failure:
                self._fail(last_error())
        if self._driver.GetName() == "GeoJSON" and not self._is_whole():
            self._fail("the disk is full")
        if self.path.exists():
            attempt(self._driver.DeleteDataSource, str(self.path))
        for part in self._parts(self._temporary):
            part.replace(self.path.with_name(self.path.stem + part.suffix))
        return self.path

    def abort(self) -> None:
        """Remove what was written."""
        self._layer = None
        self._dataset = None
        for part in self._parts(self._temporary):
            part.unlink()

    def __enter__(self) -> VectorWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if self._dataset is None:
            return
        if kind is None:
            self.finish()
        else:
            self.abort()

    @staticmethod
    def _parts(path: Path) -> list[Path]:
        # A shapefile is several files of one stem.
        return [each for each in path.parent.iterdir() if each.stem == path.stem]


def spatial_reference(crs: str) -> osr.SpatialReference:
    """Return OSR's object of a coordinate reference system, x before y.

    Raises:
        VectorError: when the text names none.
    """
    reference = osr.SpatialReference()
    if attempt(reference.SetFromUserInput, crs) != 0:
        raise VectorError(f"'{crs[:60]}' is no coordinate reference system.")
    reference.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    return reference


def same_crs(one: str, other: str) -> bool:
    """Return whether two coordinate reference systems are the same; unknown equals any."""
    if not one or not other or one == other:
        return True
    return bool(spatial_reference(one).IsSame(spatial_reference(other)))


def transformation(source: str, target: str) -> osr.CoordinateTransformation | None:
    """Return the transformation between two systems, or ``None`` when nothing is to be done."""
    if same_crs(source, target):
        return None
    transform = attempt(
        osr.CoordinateTransformation, spatial_reference(source), spatial_reference(target)
    )
    if transform is None:
        raise VectorError(
            "There is no transformation between the coordinate reference systems of the labels "
            "and the raster. Reproject the layer first."
        )
    return transform


def transform_points(points: np.ndarray, source: str, target: str) -> np.ndarray:
    """Return points ``(n, 2)`` in ``target``; infinite where there is no such place."""
    transform = transformation(source, target)
    if transform is None:
        return points
    return np.array(transform.TransformPoints(points.tolist()))[:, :2]


def geometry_of(wkb: bytes) -> ogr.Geometry:
    """Return the geometry of well-known binary."""
    return ogr.CreateGeometryFromWkb(wkb)


def vertices(geometry: ogr.Geometry) -> np.ndarray:
    """Return all vertices ``(n, 2)`` of a geometry, whatever its type."""
    parts = [vertices(geometry.GetGeometryRef(i)) for i in range(geometry.GetGeometryCount())]
    own = [point[:2] for point in geometry.GetPoints() or ()] if not parts else []
    return np.concatenate([np.array(own, float).reshape(-1, 2), *parts])


def transform_bounds(bounds: Bounds, source: str, target: str) -> Bounds:
    """Return the bounds, in ``target``, of ``bounds`` in ``source``; edges are densified."""
    return _transformed_bounds(bounds, transformation(source, target))


def _transformed_bounds(bounds: Bounds, transform: osr.CoordinateTransformation | None) -> Bounds:
    if transform is None:
        return bounds
    xmin, ymin, xmax, ymax = bounds
    ratios = np.linspace(0, 1, 21)
    edge = [
        *((xmin + (xmax - xmin) * t, y) for t in ratios for y in (ymin, ymax)),
        *((x, ymin + (ymax - ymin) * t) for t in ratios for x in (xmin, xmax)),
    ]
    points = np.array(transform.TransformPoints(edge))[:, :2]
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        raise VectorError("The layer lies outside the area of the coordinate reference system.")
    (xmin, ymin), (xmax, ymax) = points.min(axis=0), points.max(axis=0)
    return float(xmin), float(ymin), float(xmax), float(ymax)
