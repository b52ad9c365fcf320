"""Writing vector layers through OGR."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from osgeo import gdal, ogr, osr

from ..errors import VectorError
from ..replacing import discard, replace
from .crs import spatial_reference
from .gdal_calls import attempt, last_error, quiet
from .vector import GEOMETRIES, LISTS, SHAPEFILE, copied_field
from .wkb import polygon_wkb, ring_wkbs

DRIVERS = {
    ".gpkg": "GPKG",
    ".shp": SHAPEFILE,
    ".geojson": "GeoJSON",
    ".json": "GeoJSON",
    ".fgb": "FlatGeobuf",
    ".csv": "CSV",
}
LAYER_OPTIONS = {
    "GPKG": ["SPATIAL_INDEX=YES"],
    "CSV": ["STRING_QUOTING=IF_NEEDED"],
    SHAPEFILE: ["ENCODING=UTF-8"],  # else all but the letters of western Europe are lost
}
NUMBER_COLUMN = "fid"  # of a GeoPackage, unless a field is called so
GEOMETRY_COLUMNS = ("geom", "geometry", "geodl_geometry")  # of a GeoPackage: the first free one
# In degrees, to a tenth of a millimetre: GeoJSON tells other systems by the codes of authorities.
IN_DEGREES = ["RFC7946=YES", "COORDINATE_PRECISION=9"]
CSV_SHAPES = ["GEOMETRY=AS_WKT", "CREATE_CSVT=YES"]  # the latter writes a .prj too
# What SQLite keeps beside a GeoPackage: of an earlier one it would be played into the new one.
JOURNALS = ("-wal", "-shm", "-journal")
SHAPEFILE_NAME = 10  # bytes of a field's name
SHAPEFILE_TEXT = 254  # bytes of a text
ANY_CASE = ("GPKG", "CSV")  # to which names in small and capital letters are one
FIELD_TYPES = {int: ogr.OFTInteger64, float: ogr.OFTReal, str: ogr.OFTString}
TRANSACTION = 20_000  # features between two commits
_writers = itertools.count(1)


def driver_of(path: str | Path) -> str:
    """Return GDAL's driver of a vector file by its extension.

    Raises:
        VectorError: when there is none.
    """
    path = Path(path)
    if path.suffix.lower() not in DRIVERS:
        raise VectorError(
            f"'{path.name}' is no known vector file. "
            f"Use one of the extensions {', '.join(DRIVERS)}."
        )
    return DRIVERS[path.suffix.lower()]


def check_table(path: str | Path) -> None:
    """Raise :class:`VectorError` where the format of a file holds nothing without shapes."""
    if driver_of(path) == SHAPEFILE:
        raise VectorError(
            f"'{Path(path).name}' is to be a table, and a shapefile holds none without shapes. "
            "Use .csv or .gpkg."
        )


class VectorWriter:
    """Writes a vector layer under a temporary name and renames it when it is whole.

    Args:
        path: the file to write; its extension chooses the format, ``.gpkg`` if unknown.
        crs: well-known text, "" for none.
        fields: names and types (``int``, ``float`` or ``str``), or another layer's definitions.
        geometry: a key of :data:`GEOMETRIES`, or the type of another layer; "MultiPolygon" takes
            polygons too.
        numbers: the column in which another layer numbers its features, "" for none: a
            GeoPackage has it, too, and :meth:`write_like` keeps them.

    Attributes:
        count: of features that are written.

    Raises:
        VectorError: when the file cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        crs: str,
        fields: Mapping[str, type | ogr.FieldDefn],
        geometry: str | int = "Polygon",
        numbers: str = "",
    ) -> None:
        self.path = Path(path)
        driver = driver_of(self.path)
        shape = GEOMETRIES[geometry] if isinstance(geometry, str) else geometry
        if driver == SHAPEFILE:
            self._check_shapefile(fields, shape)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VectorError(
                f"'{self.path.parent}' cannot be written: {error.strerror}."
            ) from error
        # QGIS may run a tool twice at a time, in one process.
        self._temporary = self.path.with_name(
            f"{self.path.name}.part-{os.getpid()}.{next(_writers)}{self.path.suffix}"
        )
        self._driver = ogr.GetDriverByName(driver)
        self._dataset = attempt(self._driver.CreateDataSource, str(self._temporary))
        if self._dataset is None:
            self._fail(last_error())
        reference = spatial_reference(crs) if crs else None
        options = _layer_options(driver, fields, reference, shape, numbers)
        self._layer = attempt(self._dataset.CreateLayer, self.path.stem, reference, shape, options)
        if self._layer is None:
            self._fail(last_error())
        self._definition = self._layer.GetLayerDefn()
        self._fields: list[str] = []
        self._losses: dict[str, None] = {}
        for name, kind in fields.items():
            self._add_field(name, kind)
        self._texts = self._limited_texts() if driver == SHAPEFILE else []
        self._shape = self._layer.GetGeomType()
        self._keeps_numbers = bool(numbers) and self._layer.GetFIDColumn() == numbers
        self._number = -1  # of the feature before
        # Those without one would be left out without a word.
        self._needs_shapes = driver == "FlatGeobuf" and shape != ogr.wkbNone
        self.count = 0
        # Where GDAL raises, to ask for what a format does not know is an error.
        self._commits = bool(self._dataset.TestCapability(ogr.ODsCTransactions))
        self._begin()

    def _check_shapefile(self, fields: Mapping[str, type | ogr.FieldDefn], shape: int) -> None:
        """Refuse what would be lost or renamed without a word."""
        if shape == ogr.wkbNone:
            check_table(self.path)
        for name, kind in fields.items():
            if isinstance(kind, type) and len(name.encode()) > SHAPEFILE_NAME:
                raise VectorError(
                    f"A shapefile cuts the field name '{name}' to {SHAPEFILE_NAME} letters. Choose "
                    f"a shorter name, or write '{self.path.stem}.gpkg'."
                )

    def _add_field(self, name: str, kind: type | ogr.FieldDefn) -> None:
        """Add a field; another layer's is left out where the format does not take its type."""
        own = isinstance(kind, type)
        field = ogr.FieldDefn(name, FIELD_TYPES[kind]) if own else self._writable(kind)
        added = attempt(self._layer.CreateField, field) == 0
        if added:
            self._fields.append(name)
        made = self._definition.GetFieldDefn(len(self._fields) - 1) if added else None
        # A shapefile gives another name to what is called like the first letters of a longer one.
        if own and not (made is not None and made.name == name):
            self._fail(f"it cannot have a field '{name}' too; choose another name or format")
        if made is None:
            self._losses[f"the field '{name}' is left out"] = None
        elif made.name != name:
            self._losses[f"the field '{name}' is called '{made.name}'"] = None
        if made is not None and (field.GetType(), made.GetType()) == (ogr.OFTDateTime, ogr.OFTDate):
            self._losses[f"the field '{name}' has no time of day"] = None

    def _writable(self, field: ogr.FieldDefn) -> ogr.FieldDefn:
        """Return another layer's field as the format can have it."""
        driver = self._driver.GetName()
        lists = driver == "FlatGeobuf" and field.GetType() in LISTS
        taken: set[str] = set()
        if driver in ANY_CASE:
            made = map(self._definition.GetFieldDefn, range(len(self._fields)))
            taken = {each.name.lower() for each in made}
        if not lists and field.name.lower() not in taken:
            return field
        field = copied_field(field)
        if lists:
            field.SetType(ogr.OFTString)
            field.SetSubType(ogr.OFSTJSON)
        names = (f"{field.name}_{number}" for number in itertools.count(2))
        if field.name.lower() in taken:
            field.SetName(next(name for name in names if name.lower() not in taken))
        return field

    def _limited_texts(self) -> list[tuple[int, str]]:
        """Return places and names of the fields whose texts may be cut."""
        kinds = [self._definition.GetFieldDefn(i).GetType() for i in range(len(self._fields))]
        return [each for each in enumerate(self._fields) if kinds[each[0]] == ogr.OFTString]

    @property
    def losses(self) -> str:
        """A sentence on what the format has not kept of the fields, "" for nothing."""
        if not self._losses:
            return ""
        better = "" if self._driver.GetName() == "GPKG" else " A GeoPackage keeps more."
        return f"'{self.path.name}' differs from its layer: {', '.join(self._losses)}.{better}"

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
        # A view of a GeoPackage may have a number twice: from there on they are new ones.
        self._keeps_numbers &= row.GetFID() > self._number
        if self._keeps_numbers:
            self._number = row.GetFID()
            feature.SetFID(self._number)
        if row.GetGeometryRef() is not None:
            feature.SetGeometryDirectly(self._fitted(row.GetGeometryRef().Clone()))
        self._create(feature, values, len(self._fields) - len(values))

    def _add(self, geometry: ogr.Geometry | None, values: Sequence[Any]) -> None:
        feature = ogr.Feature(self._definition)
        if geometry is not None:
            feature.SetGeometryDirectly(self._fitted(geometry))
        self._create(feature, values)

    def _fitted(self, geometry: ogr.Geometry) -> ogr.Geometry:
        """Return a geometry with the parts or the heights that the layer's type has."""
        if geometry.GetGeometryType() == self._shape:
            return geometry
        own, wanted = ogr.GT_Flatten(geometry.GetGeometryType()), ogr.GT_Flatten(self._shape)
        # Several parts forced into one polygon would be taken for its holes.
        fits = wanted in (own, ogr.GT_GetCollection(own))
        return ogr.ForceTo(geometry, self._shape) if fits else geometry

    def _create(self, feature: ogr.Feature, values: Sequence[Any], first: int = 0) -> None:
        for position, value in enumerate(values, first):
            if value is None:
                feature.SetFieldNull(position)  # what is not set is no field in GeoJSON
            else:
                feature.SetField(position, value)
        for place, name in self._texts:
            if len(feature.GetFieldAsString(place).encode()) > SHAPEFILE_TEXT:
                self._losses[f"texts of '{name}' end after {SHAPEFILE_TEXT} letters"] = None
        shape = feature.GetGeometryRef() if self._needs_shapes else None
        if self._needs_shapes and (shape is None or shape.IsEmpty()):
            self._fail("a FlatGeobuf holds no features without a geometry; write a .gpkg")
        if attempt(self._layer.CreateFeature, feature) != 0:
            self._fail(last_error())
        self.count += 1
        if self.count % TRANSACTION == 0:
            self._commit()
            self._begin()

    def _begin(self) -> None:
        if self._commits and attempt(self._dataset.StartTransaction) != 0:
            self._fail(last_error())

    def _commit(self) -> None:
        if self._commits and attempt(self._dataset.CommitTransaction) != 0:
            self._fail(last_error())

    def _is_whole(self) -> bool:
        """Return whether the file holds what was written; GeoJSON's writer hides its errors."""
        dataset = attempt(ogr.Open, str(self._temporary))
        return dataset is not None and dataset.GetLayer(0).GetFeatureCount() == self.count

    def _fail(self, reason: str) -> NoReturn:
        self.abort()
        reason = reason or "GDAL tells no reason; the disk may be full"
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
        try:
            if self._driver.GetName() == "GPKG":
                for suffix in JOURNALS:
                    Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            for part in self._parts(self._temporary):
                replace(part, self.path.with_name(self.path.stem + part.suffix))
        except OSError as error:
            self._fail(error.strerror or str(error))
        return self.path

    def abort(self) -> None:
        """Remove what was written."""
        self._layer = None
        self._dataset = None
        for part in self._parts(self._temporary):
            discard(part)

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


def _layer_options(
    driver: str,
    fields: Mapping[str, type | ogr.FieldDefn],
    reference: osr.SpatialReference | None,
    shape: int,
    numbers: str,
) -> list[str]:
    """Return the options of a format for a layer, and how a GeoPackage may call its numbers."""
    options = LAYER_OPTIONS.get(driver, [])
    if driver == "GPKG":
        taken = {name.lower() for name in fields}
        column = next(each for each in GEOMETRY_COLUMNS if each not in taken)
        numbers = numbers or NUMBER_COLUMN
        while numbers.lower() in taken:
            numbers = f"geodl_{numbers}"
        return [*options, f"GEOMETRY_NAME={column}", f"FID={numbers}"]
    if driver == "GeoJSON" and reference is not None and not reference.GetAuthorityCode(None):
        return IN_DEGREES
    if driver == "FlatGeobuf" and shape == ogr.wkbNone:
        return ["SPATIAL_INDEX=NO"]  # from GDAL 3.12 on it takes no features of a table
    return [*options, *CSV_SHAPES] if driver == "CSV" and shape != ogr.wkbNone else options
