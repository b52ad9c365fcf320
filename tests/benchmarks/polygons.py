"""Measures the polygons of Classify pixels beside GDAL's Polygonize alone, in turns.

A class raster of 4,096² pixels with blobs of all sizes; both write a GeoPackage. GDAL alone
leaves out neither the background nor what is invalid, and gives no names.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

SIDE, ROUNDS = 4096, 3


def classes() -> np.ndarray:
    """Return classes 0 to 2 ``(SIDE, SIDE)`` as a network gives them: blobs and crumbs."""
    draw = np.random.default_rng(0)
    total = np.zeros((SIDE, SIDE), np.float32)
    for cells, weight in ((32, 1.0), (128, 0.6), (1024, 0.25)):
        noise = draw.normal(size=(cells, cells)).astype(np.float32)
        total += weight * np.kron(noise, np.ones((SIDE // cells, SIDE // cells), np.float32))
    return np.digitize(total, [0.3, 1.1]).astype(np.uint8)


def alone(source: str, target: str) -> float:
    """Return the seconds of GDAL's Polygonize."""
    from osgeo import gdal, ogr

    began = time.perf_counter()
    raster = gdal.Open(source)
    database = ogr.GetDriverByName("GPKG").CreateDataSource(target)
    layer = database.CreateLayer("regions", None, ogr.wkbPolygon)
    layer.CreateField(ogr.FieldDefn("value", ogr.OFTInteger))
    database.StartTransaction()
    band = raster.GetRasterBand(1)
    gdal.Polygonize(band, band.GetMaskBand(), layer, 0)
    database.CommitTransaction()
    layer = None
    database = None
    return time.perf_counter() - began


def main() -> None:
    """Print seconds, counts and ratios."""
    from geodl_plugin.core.geo.class_polygons import write_class_polygons
    from geodl_plugin.core.samples.schema import Schema
    from tests.unit.inference.support import write_raster

    schema = Schema.from_text("1:Some;2:More")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = write_raster(folder / "classes.tif", classes()[None], nodata=255)
        seconds: dict[str, list[float]] = {"GDAL alone": [], "exact": [], "simplified": []}
        for number in range(ROUNDS):
            seconds["GDAL alone"].append(alone(source, str(folder / f"alone{number}.gpkg")))
            for kind, tolerance in (("exact", 0.0), ("simplified", 1.0)):
                began = time.perf_counter()
                count = write_class_polygons(
                    source, folder / f"{kind}{number}.gpkg", schema, tolerance=tolerance
                )
                seconds[kind].append(time.perf_counter() - began)
        base = min(seconds["GDAL alone"])
        for kind, each in seconds.items():
            print(f"{kind:11} {min(each):6.2f} s  {min(each) / base:.2f} × GDAL alone")
        print(f"{count} polygons")


if __name__ == "__main__":
    main()
