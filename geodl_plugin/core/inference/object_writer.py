"""Detected objects as features: boxes, or the outlines of masks."""

from __future__ import annotations

from typing import Any

from ..geo.polygonize import mask_polygons
from ..geo.vector_writer import VectorWriter
from ..models.registry import Task
from .checks import Job
from .merge import Detections
from .options import DetectionOptions
from .polygons import ObjectPolygon


class ObjectWriter:
    """Writes objects as polygons with class, value and confidence."""

    def __init__(self, options: DetectionOptions, job: Job) -> None:
        self._schema = job.model.schema
        self._geotransform = job.raster.geotransform
        self._names = (options.class_field, "Classvalue", options.confidence_field)
        fields = dict(zip(self._names, (str, int, float)))
        # What covers an object may leave it in several parts.
        outlines = job.model.task is Task.INSTANCES or job.model.runs_code
        geometry = "MultiPolygon" if outlines else "Polygon"
        self._writer = VectorWriter(options.output, job.raster.crs, fields, geometry)

    @property
    def count(self) -> int:
        """How many objects were written."""
        return self._writer.count

    def write(self, found: Detections) -> None:
        """Write detections in the raster's pixels."""
        if found.outlined:
            for index, mask in enumerate(found.masks):
                if isinstance(mask, ObjectPolygon):
                    shape = mask.on_map(self._geotransform)
                else:
                    shape = mask_polygons(mask.pixels, mask.col, mask.row, self._geotransform)
                self._writer.write(shape, dict(zip(self._names, self._values(found, index))))
            return
        rows = [self._values(found, index) for index in range(len(found))]
        if rows:
            columns = dict(zip(self._names, zip(*rows)))
            self._writer.write_rings(self._geotransform.box_corners(found.boxes), columns)

    def _values(self, found: Detections, index: int) -> tuple[str, int, float]:
        each = self._schema.classes[int(found.labels[index])]
        return each.name, each.value, round(100 * float(found.scores[index]), 2)

    def __enter__(self) -> ObjectWriter:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._writer.__exit__(*exception)
