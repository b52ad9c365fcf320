"""The drafts in a layer of samples: listed, added, accepted, rejected, each saved at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from qgis.core import NULL, QgsFeatureRequest, QgsGeometry
from qgis.PyQt.QtCore import QCoreApplication

from ..algorithms.styling import number_field
from ..core.errors import InputError
from ..core.samples.document import SchemaDocument
from ..core.samples.layer import sample_attributes
from ..core.samples.prelabel import CONFIDENCE, IS_DRAFT, Draft
from ..core.samples.schema import ClassDefinition
from .sample_layer import SampleLayer


@dataclass(frozen=True)
class DraftSample:
    """A draft in the layer."""

    feature: int
    value: int | None
    confidence: float


class Drafts:
    """Works on the drafts of a layer through its history, so that QGIS undoes every step."""

    def __init__(self, samples: SampleLayer) -> None:
        self.samples = samples

    @property
    def _place(self) -> int:
        return number_field(self.samples.layer, CONFIDENCE)

    def require(self) -> None:
        """Raise :class:`InputError` unless the layer can hold drafts."""
        if self._place < 0:
            raise InputError(
                f"'{self.samples.layer.name()}' has no field {CONFIDENCE} of numbers, which tells "
                "drafts from samples. Make a new layer of it with the tool 'Label objects'."
            )

    def listed(self) -> list[DraftSample]:
        """Return the drafts, the least certain first."""
        layer, place = self.samples.layer, self._place
        if place < 0:
            return []
        value = layer.fields().lookupField("Classvalue")
        request = QgsFeatureRequest().setFilterExpression(IS_DRAFT)
        request.setFlags(QgsFeatureRequest.Flag.NoGeometry)
        request.setSubsetOfAttributes([value, place])
        found = [
            DraftSample(
                each.id(),
                None if each[value] in (None, NULL) else int(each[value]),
                float(each[place]),
            )
            for each in layer.getFeatures(request)
        ]
        return sorted(found, key=lambda each: (each.confidence, each.feature))

    def add(self, drafts: Sequence[Draft], document: SchemaDocument, model: str) -> int:
        """Write what a model has found, as one step, and return how many drafts it is."""
        fields = self.samples.layer.dataProvider().fields()
        kinds = {node.value: sample_attributes(node.definition) for node in document.walk()}
        features = []
        for each in drafts:
            geometry = QgsGeometry()
            geometry.fromWkb(bytes(each.geometry.ExportToWkb()))
            values = {
                **kinds[each.value],
                "Count": self.samples.pixels(geometry),
                CONFIDENCE: each.confidence,
            }
            places = {fields.lookupField(name): value for name, value in values.items()}
            places.pop(-1, None)
            features.append(self.samples.new_feature(geometry, places))
        if features:
            self.samples.edit()
            self.samples.history.add(self.tr("Pre-label with {}").format(model), features)
        return len(features)

    def accept(self, features: Iterable[int], kind: ClassDefinition | None = None) -> None:
        """Make drafts samples, of another class if one is given."""
        wanted = list(features)
        values: dict[int, Any] = {self._place: NULL}
        if kind is not None:
            fields = self.samples.layer.fields()
            for name, value in sample_attributes(kind).items():
                if fields.lookupField(name) >= 0:
                    values[fields.lookupField(name)] = value
        self._begin()
        text = self.tr("Accept {} drafts").format(len(wanted))
        if len(wanted) == 1:
            text = self.tr("Accept a draft")
        self.samples.history.change(text, {each: dict(values) for each in wanted})

    def reject(self, features: Iterable[int]) -> None:
        """Delete drafts."""
        wanted = list(features)
        self._begin()
        text = self.tr("Reject {} drafts").format(len(wanted))
        if len(wanted) == 1:
            text = self.tr("Reject a draft")
        self.samples.history.remove(text, wanted)

    def _begin(self) -> None:
        # What QGIS's own tools have just changed comes before.
        self.samples.edit()
        self.samples.history.save()

    def tr(self, text: str) -> str:
        """Translate a literal."""
        return QCoreApplication.translate("GeoDL", text)
