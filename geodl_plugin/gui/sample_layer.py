"""The layer of samples in the project: its classes, its features, its style."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qgis.core import (
    NULL,
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsFeatureRequest,
    QgsGeometry,
    QgsProject,
    QgsRasterLayer,
    QgsTransaction,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QCoreApplication, QObject, QTimer, pyqtSignal

from ..algorithms.styling import SCHEMA_PROPERTY, SampleStyler, number_field, store_style
from ..core.errors import GeoDLError, InputError, VectorError
from ..core.samples.document import SchemaDocument, SchemaNode
from ..core.samples.layer import COUNT, sample_attributes
from ..core.samples.prelabel import CONFIDENCE
from ..core.samples.schema import ClassDefinition, default_color
from ..core.samples.schema_files import json_document
from .sample_history import SampleHistory, keeps_features

SETTLED = 300  # milliseconds without another change, until the style is written


@dataclass(frozen=True)
class Sample:
    """A sample as the list shows it."""

    feature: int
    value: int | None
    pixels: int
    confidence: float | None = None  # of a draft


class SampleLayer(QObject):
    """A layer of samples that is being labelled.

    Args:
        layer: polygons with the fields Classname and Classvalue.
    """

    changed = pyqtSignal()
    failed = pyqtSignal(str)

    def __init__(self, layer: QgsVectorLayer) -> None:
        super().__init__()
        self.layer = layer
        self.raster: QgsRasterLayer | None = None
        self.current: ClassDefinition | None = None
        self.document = read_document(layer)
        self.history = SampleHistory(layer, self._missing)
        self.history.changed.connect(self.changed)
        self.history.failed.connect(self.failed)
        self._style = QTimer(self)
        self._style.setSingleShot(True)
        self._style.timeout.connect(self._save_style)

    def edit(self) -> None:
        """Let QGIS's own tools edit the layer too.

        Raises:
            VectorError: when the layer is read-only, in its file or by the project's settings, its
                format does not do, or the project edits it in a transaction.
        """
        self._require_writable()
        if not keeps_features(self.layer):
            raise VectorError(
                f"'{self.layer.name()}' is a file of a format in which single samples cannot be "
                "changed and undone. Export it as a GeoPackage and label in that."
            )
        if not self.layer.isEditable():
            self.layer.startEditing()

    def _require_writable(self) -> None:
        if not self.layer.supportsEditing():
            raise VectorError(
                f"'{self.layer.name()}' is read-only. Choose another layer of samples, or allow "
                "edits of it in the project's properties, under Data sources."
            )
        if is_in_transaction(self.layer):
            # What is written meanwhile is undone as soon as the editing ends.
            raise VectorError(
                "Samples are saved one by one, which transactions do not allow. Turn those of "
                f"'{self.layer.name()}' off in the project's properties, under Data sources."
            )

    def rest(self) -> None:
        """Save all and end the editing."""
        self.history.save()
        if self._style.isActive():
            self._style.stop()
            self._save_style()
        if self.layer.isEditable():
            self.layer.commitChanges()

    def release(self) -> None:
        """Save all and let go of the layer."""
        self.rest()
        self.history.release()

    # Samples

    def samples(self) -> Iterator[Sample]:
        """Yield the samples in the order of the file; a filter of the layer hides some."""
        yield from self._samples_of(self.layer)

    def _all_samples(self) -> Iterator[Sample]:
        """Yield those too that a filter hides."""
        if not self.layer.subsetString():
            yield from self.samples()
            return
        self.history.save()
        whole = self.layer.clone()
        whole.setSubsetString("")
        yield from self._samples_of(whole)

    def _samples_of(self, layer: QgsVectorLayer) -> Iterator[Sample]:
        places = [number_field(layer, name) for name in ("Classvalue", COUNT, CONFIDENCE)]
        request = QgsFeatureRequest().setFlags(QgsFeatureRequest.Flag.NoGeometry)
        request.setSubsetOfAttributes([index for index in places if index >= 0])
        for each in layer.getFeatures(request):
            value, pixels, confidence = (
                None if index < 0 or each[index] in (None, NULL) else each[index]
                for index in places
            )
            own = None if value is None else int(value)
            yield Sample(each.id(), own, int(pixels or 0), confidence)

    def draw(self, geometry: QgsGeometry, kind: ClassDefinition) -> int:
        """Write a sample in the layer's coordinates and return its identifier."""
        self.edit()
        feature = self.new_feature(geometry, self._attributes(kind, geometry))
        text = self.tr("Draw {}").format(kind.name)
        return self.history.add(text, [feature])[0]

    def new_feature(self, geometry: QgsGeometry, values: dict[int, Any]) -> QgsFeature:
        """Return a feature with the values of its fields, elsewhere QGIS's default values."""
        fields = self.layer.dataProvider().fields()
        feature = QgsFeature(fields)
        feature.setGeometry(geometry)
        for index, value in values.items():
            feature.setAttribute(index, value)
        context = self.layer.createExpressionContext()
        for index in range(fields.count()):
            if index not in values and self.layer.defaultValueDefinition(index).isValid():
                feature.setAttribute(index, self.layer.defaultValue(index, feature, context))
        return feature

    def reassign(self, features: Iterable[int], kind: ClassDefinition) -> None:
        """Give samples another class."""
        self.edit()
        values = self._attributes(kind)
        text = self.tr("Make {}").format(kind.name)
        self.history.change(text, {each: dict(values) for each in features})

    def remove(self, features: Iterable[int]) -> None:
        """Delete samples."""
        self.edit()
        self.history.remove(self.tr("Delete samples"), features)

    def zoom_box(self, features: Iterable[int]) -> Any:
        """Return the bounds of samples, in the layer's coordinates."""
        boxes = [each.geometry().boundingBox() for each in self.history.stored(features).values()]
        joined = boxes[0] if boxes else None
        for box in boxes[1:]:
            joined.combineExtentWith(box)
        return joined

    # Classes

    def adopt(self, document: SchemaDocument, moves: dict[int, int]) -> None:
        """Take over the classes, for the samples that are there too.

        Args:
            document: the classes.
            moves: from the values that classes had to those that they have.

        Raises:
            VectorError: when there are samples to change in a layer that is read-only.
        """
        former, values = self.document, {}
        for sample in self._all_samples():
            node = document.find(moves.get(sample.value, sample.value))
            before = former.find(sample.value)
            if node is not None and (before is None or before.definition != node.definition):
                values[sample.feature] = self._attributes(node.definition)
        if values:
            self._require_writable()
        self.document = document
        if values:
            self.history.save()
            self.layer.dataProvider().changeAttributeValues(values)
            # What was drawn under the former classes cannot come back under them.
            self.history.clear()
        SampleStyler(document).apply(self.layer)
        self.layer.triggerRepaint()
        self.layer.emitStyleChanged()
        self._style.start(SETTLED)
        self.changed.emit()

    def _save_style(self) -> None:
        store_style(self.layer, Path(self.layer.source().split("|", maxsplit=1)[0]))

    # Attributes

    def _attributes(
        self, kind: ClassDefinition, geometry: QgsGeometry | None = None
    ) -> dict[int, Any]:
        values = {self._index(name): each for name, each in sample_attributes(kind).items()}
        if geometry is not None:
            values[number_field(self.layer, COUNT)] = self.pixels(geometry)
        return {index: value for index, value in values.items() if index >= 0}

    def _missing(self, feature: QgsFeature) -> dict[int, Any]:
        """Return what QGIS's own tools leave out or out of date: the class, the pixels."""
        values: dict[int, Any] = {}
        place = self._index("Classvalue")  # gone when someone has deleted the field
        if self.current is not None and place >= 0 and feature[place] in (None, NULL):
            values = self._attributes(self.current)
        count, pixels = number_field(self.layer, COUNT), self.pixels(feature.geometry())
        if count >= 0 and pixels is not None and feature[count] != pixels:
            values[count] = pixels
        return values

    def pixels(self, geometry: QgsGeometry) -> int | None:
        """Return how many pixels of the raster a geometry covers, ``None`` without a raster."""
        if self.raster is None or not self.raster.width():
            return None
        on_raster = QgsGeometry(geometry)
        on_raster.transform(
            QgsCoordinateTransform(self.layer.crs(), self.raster.crs(), QgsProject.instance())
        )
        extent = self.raster.extent()
        cell = extent.width() * extent.height() / self.raster.width() / self.raster.height()
        if not cell or not on_raster.boundingBox().isFinite():
            return None  # far off, where the raster's system ends, there are no pixels
        return round(on_raster.area() / cell)

    def _index(self, name: str) -> int:
        return self.layer.fields().lookupField(name)

    def tr(self, text: str) -> str:
        """Translate a literal."""
        return QCoreApplication.translate("GeoDL", text)


def open_samples(source: str, name: str) -> QgsVectorLayer:
    """Open a layer of a file, valid or not; "undefined" is no coordinate reference system."""
    layer = QgsVectorLayer(source, name, "ogr")
    if layer.crs().description().startswith("Undefined"):
        layer.setCrs(QgsCoordinateReferenceSystem())
    return layer


def is_in_transaction(layer: QgsVectorLayer) -> bool:
    """Return whether the project edits a layer, with others of its database, in a transaction."""
    project = QgsProject.instance()
    if hasattr(project, "transactionMode"):  # since QGIS 3.26
        automatic = project.transactionMode() == Qgis.TransactionMode.AutomaticGroups
    else:
        automatic = project.autoTransaction()
    return automatic and QgsTransaction.supportsTransaction(layer)


def is_sample_layer(layer: Any) -> bool:
    """Return whether a layer of the project holds samples that can be edited."""
    return (
        isinstance(layer, QgsVectorLayer)
        and layer.isValid()
        and layer.geometryType() == QgsWkbTypes.GeometryType.PolygonGeometry
        and layer.providerType() == "ogr"
        and layer.fields().lookupField("Classname") >= 0
        and number_field(layer, "Classvalue") >= 0
    )


def read_document(layer: QgsVectorLayer) -> SchemaDocument:
    """Return the classes of a layer of samples: those it was given, and those it has."""
    document = SchemaDocument()
    stored = layer.customProperty(SCHEMA_PROPERTY)
    if stored:
        try:
            document = json_document(str(stored))
            document.check()
        except GeoDLError:
            document = SchemaDocument()
    return completed(document, layer)


def completed(document: SchemaDocument, layer: QgsVectorLayer) -> SchemaDocument:
    """Return a document with the classes too that only the samples of a layer have."""
    names = ("Classvalue", "Classname", "RED", "GREEN", "BLUE")
    places = [layer.fields().lookupField(name) for name in names]
    request = QgsFeatureRequest().setFlags(QgsFeatureRequest.Flag.NoGeometry)
    for each in layer.getFeatures(request.setSubsetOfAttributes([p for p in places if p >= 0])):
        value, name, *color = (each[place] if place >= 0 else None for place in places)
        if value in (None, NULL) or document.find(int(value)) is not None:
            continue
        usable = all(isinstance(part, int) and 0 <= part <= 255 for part in color)
        tint = tuple(color) if usable else default_color(len(document))
        text = str(value) if name in (None, NULL) else str(name)
        document = document.added(SchemaNode(int(value), text, tint))
    return document


def require_samples(layer: QgsVectorLayer) -> None:
    """Raise :class:`InputError` unless a layer can hold samples."""
    if not is_sample_layer(layer):
        raise InputError(
            f"'{layer.name()}' is no layer of samples: it has no polygons with the fields "
            "Classname and Classvalue, a number. Import it with the tool 'Label objects'."
        )
