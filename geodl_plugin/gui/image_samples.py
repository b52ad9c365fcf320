"""Where the samples of the images of a folder are, and how many each has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeatureRequest,
    QgsField,
    QgsFields,
    QgsProject,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QVariant

from ..algorithms.styling import SampleStyler, store_style
from ..core.errors import VectorError
from ..core.geo.raster import Raster
from ..core.geo.shapes import window_bounds
from ..core.samples.document import SchemaDocument
from ..core.samples.layer import FIELDS
from .sample_layer import open_samples

# Fields of 3.22 take no QMetaType; PyQt6 has no QVariant.Type, but QGIS gives it these names.
KINDS = {
    str: QVariant.String,  # noqa: QGS402
    int: QVariant.LongLong,  # noqa: QGS402
    float: QVariant.Double,  # noqa: QGS402
}


@dataclass(frozen=True)
class ImagePlace:
    """Where an image lies.

    Attributes:
        bounds: in its own coordinates.
        crs: well-known text, "" for none.
        has_place: false for photos, which all lie at 0, 0.
    """

    bounds: tuple[float, float, float, float]
    crs: str
    has_place: bool

    @classmethod
    def of(cls, path: str) -> ImagePlace:
        """Look at an image; raise :class:`RasterError` when it cannot be opened."""
        with Raster.open(path) as raster:
            bounds = window_bounds(raster.window, raster.geotransform)
            return cls(bounds, raster.crs, raster.has_place)


def file_of(layer: QgsVectorLayer) -> str:
    """Return the file in which the samples of a layer are."""
    return layer.source().split("|", maxsplit=1)[0]


def table_of(image: str) -> str:
    """Return the name of the table for the samples of an image without a place."""
    return Path(image).name.replace(".", "_")


def open_table(path: str, table: str) -> QgsVectorLayer | None:
    """Return a table of a GeoPackage as a layer, ``None`` when there is none."""
    layer = open_samples(f"{path}|layername={table}", table)
    return layer if layer.isValid() else None


def make_table(path: str, table: str, document: SchemaDocument) -> QgsVectorLayer:
    """Add a table of samples without a coordinate reference system to a GeoPackage.

    Raises:
        VectorError: when the file cannot be written.
    """
    fields = QgsFields()
    for name, kind in FIELDS.items():
        fields.append(QgsField(name, KINDS[kind]))
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.layerName = table
    options.actionOnExistingFile = QgsVectorFileWriter.ActionOnExistingFile.CreateOrOverwriteLayer
    writer = QgsVectorFileWriter.create(
        path,
        fields,
        QgsWkbTypes.Type.Polygon,
        QgsCoordinateReferenceSystem(),
        QgsProject.instance().transformContext(),
        options,
    )
    message = writer.errorMessage()
    del writer  # only now it is in the file
    layer = None if message else open_table(path, table)
    if layer is None:
        raise VectorError(f"'{path}' takes no table '{table}': {message or 'unknown error'}.")
    SampleStyler(document).apply(layer)
    store_style(layer, Path(path))
    return layer


def count_samples(samples: QgsVectorLayer, image: str, place: ImagePlace) -> int:
    """Return how many samples an image has.

    Args:
        samples: for an image that has a place: all of them; else any table of their file.
        image: its path.
        place: where it lies.
    """
    if not place.has_place:
        own = open_table(file_of(samples), table_of(image))
        return 0 if own is None else int(own.featureCount())
    box = QgsRectangle(*place.bounds)
    system = QgsCoordinateReferenceSystem.fromWkt(place.crs)
    try:
        across = QgsCoordinateTransform(system, samples.crs(), QgsProject.instance())
        box = across.transformBoundingBox(box)
    except QgsCsException:
        return 0
    request = QgsFeatureRequest(box).setFlags(
        QgsFeatureRequest.Flag.ExactIntersect | QgsFeatureRequest.Flag.NoGeometry
    )
    return sum(1 for _ in samples.getFeatures(request.setSubsetOfAttributes([])))
