"""Shapefiles as programs of another day write them."""

from __future__ import annotations

from pathlib import Path

from osgeo import gdal, ogr

from geodl_plugin.core.geo.crs import spatial_reference
from geodl_plugin.core.geo.shapes import rectangle

ENCODING = "SHAPE_ENCODING"  # QGIS tells GDAL to leave the letters alone


def write_encoded(path: Path, crs: str, encoding: str, field: str, text: str) -> None:
    """Write a shapefile of one square of 5 units with one text, whose letters have an encoding."""
    before = gdal.GetConfigOption(ENCODING)
    gdal.SetConfigOption(ENCODING, None)
    try:
        dataset = ogr.GetDriverByName("ESRI Shapefile").CreateDataSource(str(path))
        layer = dataset.CreateLayer(
            path.stem, spatial_reference(crs), ogr.wkbPolygon, options=[f"ENCODING={encoding}"]
        )
        layer.CreateField(ogr.FieldDefn(field, ogr.OFTString))
        feature = ogr.Feature(layer.GetLayerDefn())
        feature.SetField(0, text)
        feature.SetGeometry(rectangle(500000, 10, 500005, 15))
        layer.CreateFeature(feature)
        layer = dataset = None  # closes the file
    finally:
        gdal.SetConfigOption(ENCODING, before)
