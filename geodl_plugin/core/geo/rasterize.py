"""Burning polygons into arrays."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from osgeo import gdal, ogr

from ..errors import RasterError
from .crs import spatial_reference
from .gdal_calls import attempt, last_error
from .grid import GeoTransform
from .shapes import straight


def burn(
    shapes: Iterable[tuple[ogr.Geometry, int]],
    shape: tuple[int, int],
    geotransform: GeoTransform,
    fill: int = 0,
    crs: str = "",
) -> np.ndarray:
    """Burn geometries into an array, in the order given: later ones lie on top.

    A pixel belongs to a polygon when its centre lies inside, as in ``gdal_rasterize``.

    Args:
        shapes: geometries in map coordinates, each with its value (0 to 65535).
        shape: rows and columns of the array.
        geotransform: of the array's top left corner.
        fill: the value where there is no geometry.
        crs: of the geometries and the array alike; only told to GDAL.

    Returns:
        Array ``(rows, cols)`` of ``uint16``.
    """
    rows, cols = shape
    target = gdal.GetDriverByName("MEM").Create("", cols, rows, 1, gdal.GDT_UInt16)
    target.SetGeoTransform(geotransform.as_gdal())
    band = target.GetRasterBand(1)
    if fill:
        band.Fill(fill)
    source = ogr.GetDriverByName("Memory").CreateDataSource("")
    reference = spatial_reference(crs) if crs else None
    if reference is not None:
        target.SetSpatialRef(reference)
    layer = source.CreateLayer("shapes", reference, ogr.wkbUnknown)
    layer.CreateField(ogr.FieldDefn("value", ogr.OFTInteger))
    count = 0
    for geometry, value in shapes:
        feature = ogr.Feature(layer.GetLayerDefn())
        feature.SetField(0, int(value))
        feature.SetGeometry(straight(geometry))  # of arcs GDAL burns nothing, and says nothing
        layer.CreateFeature(feature)
        count += 1
    if count:
        answer = attempt(gdal.RasterizeLayer, target, [1], layer, options=["ATTRIBUTE=value"])
        if answer != 0:
            raise RasterError(f"The polygons cannot be turned into pixels: {last_error()}.")
    return band.ReadAsArray()
