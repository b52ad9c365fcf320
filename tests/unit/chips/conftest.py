"""A small raster and labels on it."""

from __future__ import annotations

import numpy as np
import pytest

from geodl_plugin.core.geo.crs import spatial_reference
from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.raster_writer import write_chip
from geodl_plugin.core.geo.shapes import polygon
from geodl_plugin.core.geo.vector_writer import VectorWriter

UTM = spatial_reference("EPSG:32612").ExportToWkt()
NORTH_UP = GeoTransform(1000.0, 0.5, 0.0, 5000.0, 0.0, -0.5)


class Scene:
    """A raster of noise and boxes on it, in pixels, with their classes."""

    def __init__(self, folder):
        self.folder = folder
        self.raster = str(folder / "ortho ü.tif")
        self.labels = str(folder / "labels.gpkg")
        self.geotransform = NORTH_UP

    def paint(self, shape=(3, 300, 400), dtype=np.uint8, geotransform=NORTH_UP, empty=None):
        rng = np.random.default_rng(1)
        pixels = rng.integers(1, 250, shape).astype(dtype)
        if empty is not None:
            pixels[:, empty[0], empty[1]] = 0
        self.geotransform = geotransform
        self.pixels = pixels
        write_chip(self.raster, pixels, geotransform, UTM, nodata=None if empty is None else 0)
        return self

    def label(self, boxes, classes, field="kind", crs="EPSG:32612"):
        kind = type(classes[0])
        target = spatial_reference(crs)
        from geodl_plugin.core.geo.crs import transformation

        transform = transformation(UTM, target.ExportToWkt())
        with VectorWriter(self.labels, target.ExportToWkt(), {field: kind}) as writer:
            for corners, each in zip(self.geotransform.box_corners(np.array(boxes)), classes):
                shape = polygon(corners)
                if transform is not None:
                    shape.Transform(transform)
                writer.write(shape, {field: each})
        return self


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)
