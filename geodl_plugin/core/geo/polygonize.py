"""From a class raster to polygons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from osgeo import gdal, gdal_array, ogr

from ..errors import RasterError
from .crs import spatial_reference
from .dataset_facts import is_alpha, value_names
from .gdal_calls import attempt, last_error
from .grid import GeoTransform
from .shapes import point, repaired, rings_of

FIELDS = {"value": ogr.OFTInteger64, "Classname": ogr.OFTString}
COLORS = ("RED", "GREEN", "BLUE")


def polygonize(raster: str, target: Path) -> Path:
    """Write the regions of equal value of a class raster as polygons.

    The polygons follow the pixels' edges exactly. Value 0 and no data make none.

    Args:
        raster: a class raster; its class names and colours go along.
        target: GeoPackage to write, with the fields ``value``, ``Classname`` and the colours.

    Raises:
        RasterError: when the raster cannot be read or is no class raster.
    """
    source = attempt(gdal.OpenEx, raster, gdal.OF_RASTER)
    if source is None:
        raise RasterError(f"'{raster}' cannot be opened as a raster: {last_error()}.")
    band = source.GetRasterBand(1)
    bands = [source.GetRasterBand(index + 1) for index in range(source.RasterCount)]
    if sum(not is_alpha(each) for each in bands) > 1:
        raise RasterError(
            f"'{raster}' has several bands, as a picture has. Choose a raster of one band, whose "
            "pixels are the values of the classes."
        )
    if band.DataType in (gdal.GDT_Float32, gdal.GDT_Float64):
        raise RasterError(
            f"'{raster}' holds real numbers, not classes. Choose a raster of whole numbers."
        )
    database = ogr.GetDriverByName("GPKG").CreateDataSource(str(target))
    reference = spatial_reference(source.GetProjection()) if source.GetProjection() else None
    layer = database.CreateLayer(target.stem, reference, ogr.wkbPolygon)
    for name, kind in FIELDS.items():
        layer.CreateField(ogr.FieldDefn(name, kind))
    for name in COLORS:
        layer.CreateField(ogr.FieldDefn(name, ogr.OFTInteger))
    database.StartTransaction()
    if attempt(gdal.Polygonize, band, band.GetMaskBand(), layer, 0) != 0:
        raise RasterError(f"'{raster}' cannot be turned into polygons: {last_error()}.")
    database.CommitTransaction()
    database.ExecuteSQL(f'DELETE FROM "{target.stem}" WHERE value = 0')  # noqa: S608 # nosec B608
    _describe(layer, band)
    layer = None
    database = None
    return target


def outline(mask: np.ndarray, place: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Return the rings of the region of a mask in which a pixel lies.

    Args:
        mask: ``(rows, cols)``.
        place: row and column of the pixel.

    Returns:
        Positions ``(n, 2)`` as (col, row) along the pixels' edges, the outer ring first; the
        rings are not closed.
    """
    row, col = place
    middle = point(col + 0.5, row + 0.5)
    for region in _regions(mask):
        if region.Contains(middle):
            return rings_of(region)
    return ()


def mask_polygons(mask: np.ndarray, col: int, row: int, geotransform: GeoTransform) -> ogr.Geometry:
    """Return the pixels of a mask as a valid multipolygon in map coordinates.

    It follows the pixels' edges exactly and has their area.

    Args:
        mask: ``(rows, cols)``, not zero where the object is.
        col, row: of the mask's first pixel in the raster.
        geotransform: of the raster.
    """
    shape = ogr.Geometry(ogr.wkbMultiPolygon)
    for region in _regions(mask):
        polygon = ogr.Geometry(ogr.wkbPolygon)
        for ring in rings_of(region):
            line = ogr.Geometry(ogr.wkbLinearRing)
            for x, y in geotransform.to_map(ring + np.array([col, row])).tolist():
                line.AddPoint_2D(x, y)
            line.CloseRings()
            polygon.AddGeometry(line)
        shape.AddGeometry(polygon)
    # A hole that touches the rim in one corner must become a part of it.
    return ogr.ForceToMultiPolygon(repaired(shape) or shape)


def _regions(mask: np.ndarray) -> list[ogr.Geometry]:
    """Return the connected regions of a mask as polygons along the pixels' edges."""
    pixels = np.ascontiguousarray(mask, np.uint8)
    source = gdal_array.OpenArray(pixels)
    database = ogr.GetDriverByName("Memory").CreateDataSource("regions")
    layer = database.CreateLayer("regions")
    band = source.GetRasterBand(1)
    if attempt(gdal.Polygonize, band, band, layer, -1) != 0:
        raise RasterError(f"The mask cannot be turned into polygons: {last_error()}.")
    return [feature.GetGeometryRef().Clone() for feature in layer]


def _describe(layer: ogr.Layer, band: gdal.Band) -> None:
    names, table = value_names(band), band.GetColorTable()
    if not names and table is None:
        return
    layer.ResetReading()
    for feature in layer:
        value = feature.GetField("value")
        if value in names:
            feature.SetField("Classname", names[value])
        if table is not None and 0 <= value < table.GetCount():
            for name, part in zip(COLORS, table.GetColorEntry(value)):
                feature.SetField(name, part)
        layer.SetFeature(feature)
