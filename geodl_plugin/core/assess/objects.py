"""The objects that are compared: polygons with class and confidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..geo.crs import transform_points
from ..geo.shapes import point, valid
from ..geo.vector import Geometry, VectorReader
from ..progress import Progress
from .overlaps import Shapes

CONFIDENCE_FIELD = "Confidence"


@dataclass(frozen=True)
class Objects:
    """Polygons of one layer, in the coordinates of the detections.

    Attributes:
        shapes: the polygons.
        classes: the class of each, "" where classes are not compared.
        confidences: array ``(n,)``; 1 where the layer has none.
        counted: array ``(n,)``, false for objects outside the mask.
        ranked: whether the layer has confidences.
    """

    shapes: Shapes
    classes: tuple[str, ...]
    confidences: np.ndarray
    counted: np.ndarray
    ranked: bool = True

    def __len__(self) -> int:
        return len(self.shapes)


@dataclass(frozen=True)
class Region:
    """The polygons of a layer joined to one geometry, in their own coordinate reference system.

    The points are brought to it: a region may reach where theirs has no coordinates.
    """

    name: str
    geometry: Geometry
    crs: str

    @classmethod
    def of(cls, layer: VectorReader) -> Region:
        """Join the polygons of a layer."""
        return cls(layer.name, layer.union(), layer.crs)

    def holds(self, points: np.ndarray, crs: str) -> np.ndarray:
        """Return which points ``(n, 2)`` of a system lie in the region, as ``(n,)``."""
        places = transform_points(points, crs, self.crs) if len(points) else points
        prepared = self.geometry.CreatePreparedGeometry()  # else it is read for each point again
        return np.array(
            [
                bool(np.isfinite(place).all()) and prepared.Intersects(point(*place))
                for place in places.tolist()
            ],
            dtype=bool,
        )


def read_objects(
    layer: VectorReader, class_field: str, crs: str, mask: Region | None, progress: Progress
) -> Objects:
    """Read the polygons of a layer, in the system ``crs``.

    Args:
        layer: polygons.
        class_field: the field with the class, "" for none.
        crs: well-known text.
        mask: inside which the centre of an object must lie, or ``None``.
        progress: asked for cancelling.

    Raises:
        InputError: when a feature is no polygon.
    """
    field = layer.field(class_field) if class_field else ""
    confidence = next(
        (name for name in layer.fields if name.lower() == CONFIDENCE_FIELD.lower()), ""
    )
    geometries, classes, confidences = [], [], []
    centres = []
    for position, feature in enumerate(layer.features(crs=crs)):
        if position % 1000 == 0:
            progress.check()
        geometry = feature.geometry
        if geometry.GetDimension() != 2:
            raise InputError(
                f"'{layer.name}' holds {layer.geometry_type} features. Objects are compared by "
                "their areas: choose a polygon layer."
            )
        if not geometry.IsValid():
            geometry = valid(geometry) or geometry
        geometries.append(geometry)
        classes.append(class_text(feature.attributes[field]) if field else "")
        confidences.append(_number(feature.attributes[confidence]) if confidence else 1.0)
        centres.append(geometry.Centroid().GetPoint_2D())
    inside = np.ones(len(geometries), bool)
    if mask is not None:
        inside = mask.holds(np.array(centres, float).reshape(-1, 2), crs)
    return Objects(
        Shapes.of(geometries),
        tuple(classes),
        np.array(confidences, dtype=float),
        inside,
        bool(confidence),
    )


def class_text(value: Any) -> str:
    """Return a class as text, so that 1, 1.0 and "1" are the same class."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value).strip()


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
