"""Vector layers written to files for OGR, where QGIS shows other features than a file holds."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from qgis.core import (
    QgsFeature,
    QgsFeatureRequest,
    QgsFeatureSink,
    QgsFeedback,
    QgsFields,
    QgsProcessingContext,
    QgsProcessingFeatureSource,
    QgsProcessingUtils,
    QgsProviderRegistry,
    QgsVectorFileWriter,
    QgsVectorLayer,
)

from ..core.errors import CancelledError, VectorError
from ..core.geo.vector import OWN_NUMBERS, told_encoding

AS_THEY_ARE = ["gpkg", "shp", "geojson", "fgb"]  # the extensions of files that OGR reads alike
# A field called geom, as many layers have, is no column of the GeoPackage's own then.
GEOMETRY = "geodl_geometry"
# In the source of a layer: a table by its number, geometries of one type.
PARTS = ("|layerid=", "|geometrytype=")
LONGEST_NAME = 60
RESERVED = ("gpkg_", "rtree_", "sqlite_")  # names that a GeoPackage keeps for itself begin so
# Since QGIS 3.36 without the prefix.
UNCHECKED = (
    getattr(QgsProcessingFeatureSource.Flag, "FlagSkipGeometryValidityChecks", None)
    or QgsProcessingFeatureSource.FlagSkipGeometryValidityChecks
)


def differs(layer: QgsVectorLayer) -> bool:
    """Return whether QGIS shows other features of a layer than OGR reads in its file.

    That is, a filter, edits that are not saved, joined and virtual fields, a chosen coordinate
    reference system or encoding, another table, the geometries of one type where a file mixes
    them, and whatever is no file of a usual format.
    """
    provider = layer.dataProvider()
    parts = QgsProviderRegistry.instance().decodeUri(layer.providerType(), layer.source())
    path = Path(str(parts.get("path") or ""))
    return (
        layer.providerType() != "ogr"
        or path.suffix.lower()[1:] not in AS_THEY_ARE
        or (path.suffix.lower() == ".shp" and _is_decoded_otherwise(layer, path))
        or bool(layer.subsetString())
        or layer.isModified()
        or layer.fields().count() != provider.fields().count()
        or layer.crs() != provider.crs()
        or any(part in layer.source().lower() for part in PARTS)
    )


def _is_decoded_otherwise(layer: QgsVectorLayer, path: Path) -> bool:
    """Return whether QGIS takes a shapefile's text for another encoding than the file tells."""
    return layer.dataProvider().encoding().casefold() != told_encoding(path).casefold()


def copied(
    layer: QgsVectorLayer,
    source: QgsProcessingFeatureSource,
    name: str,
    context: QgsProcessingContext,
    feedback: QgsFeedback,
) -> tuple[str, str]:
    """Write features to a temporary GeoPackage and return its path and the name of its layer.

    Args:
        layer: whose features they are.
        source: of the features.
        name: of the file, and of its layer where the user's cannot name it.
        context: of the run.
        feedback: asked for cancelling.

    Raises:
        VectorError: when a feature cannot be read or written; none is left out.
        CancelledError: when cancelled.
    """
    numbers = layer.primaryKeyAttributes() if layer.providerType() == "ogr" else []
    column = OWN_NUMBERS
    # Features that are not saved have no number yet. A field that is none of OGR's may hold one
    # twice, and features with the same number would replace each other.
    if numbers and not layer.isModified():
        column = layer.fields().at(numbers.pop(0)).name()
    fields, places = _fields(source, numbers)
    path = QgsProcessingUtils.generateTempFilename(f"{name}.gpkg")
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.layerName = _table_of(layer) or name
    options.layerOptions = [f"FID={column}", f"GEOMETRY_NAME={GEOMETRY}"]
    writer = QgsVectorFileWriter.create(
        path,
        fields,
        source.wkbType(),
        source.sourceCrs(),
        context.transformContext(),
        options,
    )
    count = 0
    for feature in _features(source):
        if feedback.isCanceled():
            raise CancelledError
        feature.setAttributes([feature.attribute(place) for place in places])
        if not writer.addFeature(feature, QgsFeatureSink.Flag.FastInsert):
            break
        count += 1
    problem = writer.errorMessage()
    if not count and source.featureCount() > 0:  # as a busy database does, without an error
        problem = problem or (
            f"of its {source.featureCount()} features none can be read; save its edits, or export "
            "it and choose the new file"
        )
    del writer  # closes the file
    if problem:
        raise VectorError(f"'{layer.name()}' cannot be copied to a file: {problem}.")
    return path, options.layerName


def _features(source: QgsProcessingFeatureSource) -> Iterator[QgsFeature]:
    """Yield all features; read a second time where none come of some.

    QGIS from 3.24 on reads a GeoPackage without locks, and may find nothing in one that is edited
    since. Reading again at once finds nothing either; after asking for their number it does.
    """
    for _ in range(2):
        feature = None
        for feature in source.getFeatures(QgsFeatureRequest(), UNCHECKED):
            yield feature
        if feature is not None or source.featureCount() < 1:
            return


def _table_of(layer: QgsVectorLayer) -> str:
    """Return a name for a copy that tells the user which layer is meant; "" for none."""
    name = re.sub(r"[^\w .()-]", "_", layer.name()).strip()[:LONGEST_NAME]
    return "" if name.lower().startswith(RESERVED) else name


def _fields(
    source: QgsProcessingFeatureSource, left_out: Collection[int]
) -> tuple[QgsFields, list[int]]:
    """Return the fields that are written and their places."""
    fields = QgsFields()
    places = [place for place in range(source.fields().count()) if place not in left_out]
    for place in places:
        fields.append(source.fields().at(place))
    return fields, places
