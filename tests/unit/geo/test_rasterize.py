"""Burning polygons into arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from osgeo import ogr

from geodl_plugin.core.geo.grid import GeoTransform, Window
from geodl_plugin.core.geo.mask import PolygonMask
from geodl_plugin.core.geo.raster import Raster
from geodl_plugin.core.geo.rasterize import burn
from tests.unit.inference.support import write_polygons, write_raster

CIRCLE = "CURVEPOLYGON (CIRCULARSTRING (2 8, 8 14, 14 8, 8 2, 2 8))"
RING = "COMPOUNDCURVE (CIRCULARSTRING (2 8, 8 14, 14 8), (14 8, 14 2, 2 2, 2 8))"


@pytest.mark.parametrize(
    ("text", "pixels"),
    [
        (CIRCLE, 112),
        (f"MULTISURFACE ({CIRCLE})", 112),
        (f"GEOMETRYCOLLECTION ({CIRCLE})", 112),
        (f"CURVEPOLYGON ({RING})", 128),
        ("CURVEPOLYGON ((2 2, 14 2, 14 8, 2 8, 2 2))", 72),
        ("MULTISURFACE (((2 2, 14 2, 14 8, 2 8, 2 2)))", 72),
    ],
)
def test_polygons_with_arcs_are_burnt(text: str, pixels: int) -> None:
    shape = ogr.CreateGeometryFromWkt(text)
    assert (burn([(shape, 7)], (16, 16), GeoTransform()) == 7).sum() == pixels


def test_a_mask_may_have_arcs(tmp_path: Path) -> None:
    place = (0.0, 1.0, 0.0, 16.0, 0.0, -1.0)
    raster = write_raster(tmp_path / "a.tif", np.ones((1, 16, 16), np.uint8), place)
    mask = write_polygons(tmp_path / "mask.gpkg", [CIRCLE], 32616)
    with Raster.open(raster) as opened:
        inside = PolygonMask(mask, "", opened).inside(Window(0, 0, 16, 16))
    assert inside.sum() == 112
