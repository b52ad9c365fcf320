"""Polygons of the classes of a class raster: exact, valid, and simplified without gaps."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from osgeo import gdal, ogr

from ..errors import MissingLibraryError, RasterError
from ..progress import Progress
from ..samples.schema import Schema
from .crs import spatial_reference
from .gdal_calls import attempt, last_error
from .grid import GeoTransform
from .vector_writer import FIELD_TYPES, VectorWriter

FIELDS = {"Class": str, "Classvalue": int}
BATCH = 20_000  # features between two commits
EXACT = 1e-9  # of an area: as exact as it is known
_TRACED = 0.6


def write_class_polygons(
    raster: str | Path,
    target: str | Path,
    schema: Schema,
    min_area: float = 0.0,
    tolerance: float = 0.0,
    progress: Progress | None = None,
) -> int:
    """Write the regions of a class raster as polygons and return how many there are.

    The polygons follow the pixels' edges exactly, pixels meet at sides, not at corners. The
    value 0, which is the background, and no data make none.

    Args:
        raster: a class raster with whole numbers.
        target: the layer to write, with the fields ``Class`` and ``Classvalue``.
        schema: names of the classes.
        min_area: of a polygon, in square map units; smaller ones are left out.
        tolerance: bends of borders that cover less than its square are straightened, in map
            units, however far narrow ones reach (GEOS's coverage simplification); 0 keeps
            them. Neighbours keep a common border. Memory grows with the borders then.
        progress: told how far it is.

    Raises:
        RasterError: when the raster cannot be read.
        VectorError: when the layer cannot be written.
        MissingLibraryError: when the library that simplifies is not there.
    """
    progress = progress or Progress()
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RasterError(f"'{target.parent}' cannot be written: {error.strerror}.") from error
    scratch = target.with_name(f"{target.name}.part-{os.getpid()}.scratch.gpkg")
    source = _open(str(raster))
    names = {each.value: each.name for each in schema.classes}
    try:
        _trace(source, scratch, progress)
        progress.update(_TRACED, "Writing polygons")
        transform, crs = GeoTransform(*source.GetGeoTransform()), source.GetProjection()
        least = min_area / transform.cell_area() * (1 - EXACT)
        # Closed in time: what an error's traceback holds cannot be removed on Windows.
        with contextlib.closing(_regions(scratch, least, transform, progress)) as found:
            regions = found
            if tolerance > 0:
                regions = _simplified(found, transform, tolerance, least)
            return _write(regions, target, crs, names)
    finally:
        source = None
        for each in list(target.parent.iterdir()):
            if each.name.startswith(scratch.stem):
                with contextlib.suppress(OSError):
                    each.unlink()


def _open(path: str) -> gdal.Dataset:
    dataset = attempt(gdal.OpenEx, path, gdal.OF_RASTER)
    if dataset is None:
        raise RasterError(f"'{path}' cannot be opened as a raster: {last_error()}.")
    return dataset


def _trace(source: gdal.Dataset, scratch: Path, progress: Progress) -> None:
    """Polygonize the classes into a file of its own."""
    database = attempt(ogr.GetDriverByName("GPKG").CreateDataSource, str(scratch))
    if database is None:
        raise RasterError(f"'{scratch.parent}' cannot be written: {last_error()}.")
    layer = mask = None
    try:
        layer, mask = _regions_layer(database, source), _class_mask(source)
        done = attempt(
            gdal.Polygonize,
            source.GetRasterBand(1),
            mask.GetRasterBand(1),
            layer,
            0,
            callback=lambda share, *_: _tell(progress, share),
        )
        progress.check()
        if done != 0:
            raise RasterError(f"'{source.GetDescription()}' has no polygons: {last_error()}.")
        database.CommitTransaction()
    finally:
        source = layer = mask = database = None


def _regions_layer(database: ogr.DataSource, source: gdal.Dataset) -> ogr.Layer:
    reference = spatial_reference(source.GetProjection()) if source.GetProjection() else None
    layer = database.CreateLayer(
        "regions", reference, ogr.wkbPolygon, ["SPATIAL_INDEX=NO", "FID=fid"]
    )
    layer.CreateField(ogr.FieldDefn("value", FIELD_TYPES[int]))
    database.StartTransaction()
    return layer


def _tell(progress: Progress, share: float) -> int:
    progress.update(_TRACED * share, "Tracing polygons")
    return 0 if progress.cancelled() else 1


def _class_mask(source: gdal.Dataset) -> gdal.Dataset:
    """Return a raster that is 0 where a class raster is 0 or has no data, else 1."""
    band = source.GetRasterBand(1)
    nodata = band.GetNoDataValue()
    last = 65535 if band.DataType == gdal.GDT_UInt16 else 255
    # Between two entries values are interpolated; between 1 and the last but one all are 1.
    table = f"0:0,1:1,{last - 1}:1,{last}:{0 if nodata == last else 1}"
    return gdal.Open(
        f'<VRTDataset rasterXSize="{source.RasterXSize}" rasterYSize="{source.RasterYSize}">'
        '<VRTRasterBand dataType="Byte" band="1"><ComplexSource>'
        f'<SourceFilename relativeToVRT="0">{escape(source.GetDescription())}</SourceFilename>'
        f"<SourceBand>1</SourceBand><LUT>{table}</LUT>"
        "</ComplexSource></VRTRasterBand></VRTDataset>"
    )


def _regions(
    path: Path, least: float, transform: GeoTransform, progress: Progress
) -> Generator[tuple[int, ogr.Geometry], None, None]:
    """Yield value and valid polygon of each region that has at least that many pixels."""
    database = gdal.OpenEx(str(path), gdal.OF_VECTOR)
    layer = database.GetLayer(0)
    feature = geometry = part = None
    try:
        count = max(layer.GetFeatureCount(), 1)
        for position, feature in enumerate(layer):
            if position % BATCH == 0:
                progress.check()
                progress.update(_TRACED + (1 - _TRACED) * position / count, "Writing polygons")
            geometry = feature.GetGeometryRef()
            # In map units an area is not exact, but the pixels of a region are whole.
            if least > 0 and round(geometry.GetArea() / transform.cell_area()) < least:
                continue
            # A ring that touches itself at a corner is none by the rules of simple features.
            if not attempt(geometry.IsValid):
                geometry = geometry.MakeValid() or geometry
            for part in _polygons(geometry):
                yield feature.GetField(0), part
    finally:
        part = geometry = feature = layer = database = None


def _polygons(geometry: ogr.Geometry) -> Iterable[ogr.Geometry]:
    if geometry.GetGeometryType() == ogr.wkbPolygon:
        return [geometry]
    parts = [geometry.GetGeometryRef(index) for index in range(geometry.GetGeometryCount())]
    return [each for each in parts if each.GetGeometryType() == ogr.wkbPolygon]


def _write(
    regions: Iterable[tuple[int, ogr.Geometry]],
    target: Path,
    crs: str,
    names: Mapping[int, str],
) -> int:
    with VectorWriter(target, crs, FIELDS) as writer:
        for value, geometry in regions:
            writer.write(geometry, {"Class": names.get(value, str(value)), "Classvalue": value})
    return writer.count


def _simplified(
    regions: Iterable[tuple[int, ogr.Geometry]],
    transform: GeoTransform,
    tolerance: float,
    least: float,
) -> Iterator[tuple[int, ogr.Geometry]]:
    """Yield the regions with simplified borders, those that have at least that many pixels.

    Work is done in pixels, where corners are whole numbers: neighbours must have the same
    corners, so each border first gets all the corners of the pixels along it.
    """
    shapely = simplifier()
    values, shapes = [], []
    for value, geometry in regions:
        values.append(value)
        shapes.append(bytes(geometry.ExportToWkb()))
    if not shapes:
        return
    across, down = transform.cell_size()

    def to_pixels(points: np.ndarray) -> np.ndarray:
        return np.rint(transform.to_pixels(points))

    polygons = shapely.transform(shapely.from_wkb(shapes), to_pixels)
    polygons = shapely.transform(shapely.segmentize(polygons, 1.0), np.rint)
    polygons = shapely.coverage_simplify(polygons, tolerance / math.sqrt(across * down))
    polygons, places = shapely.get_parts(polygons, return_index=True)
    areas = shapely.area(polygons)
    large = (areas > 0) & (areas >= least)
    polygons = shapely.transform(polygons[large], transform.to_map)
    for place, wkb in zip(places[large], shapely.to_wkb(polygons)):
        yield values[place], ogr.CreateGeometryFromWkb(bytes(wkb))


def simplifier() -> Any:
    """Return the library that simplifies borders.

    Raises:
        MissingLibraryError: when it is not there.
    """
    try:
        import shapely

        shapely.coverage_simplify  # noqa: B018
    except (ImportError, AttributeError):
        raise MissingLibraryError(
            "Simplified polygons need the library shapely 2.1. Run the tool 'Set up deep learning "
            "libraries' with REPAIR, or set SIMPLIFY to 0."
        ) from None
    return shapely
