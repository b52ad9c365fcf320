"""Saves every edit of the samples at once, and still lets QGIS undo it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from qgis.core import QgsFeature, QgsFeatureRequest, QgsVectorDataProvider, QgsVectorLayer
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from ..core.errors import VectorError
from .undo import QUndoCommand

EDITS = (
    QgsVectorDataProvider.Capability.AddFeatures
    | QgsVectorDataProvider.Capability.DeleteFeatures
    | QgsVectorDataProvider.Capability.ChangeAttributeValues
    | QgsVectorDataProvider.Capability.ChangeGeometries
)
# FlatGeobuf is sorted anew with each edit, and KML is counted when it is read.
UNNUMBERED = ("FlatGeobuf", "KML", "LIBKML")
LIMIT = 200  # edits that can be undone after QGIS has saved
Features = dict[int, QgsFeature]


@dataclass(frozen=True)
class Change:
    """What an edit did: the features it touched, by identifier, as they were and as they are."""

    text: str
    before: Features
    after: Features


class SampleHistory(QObject):
    """Keeps a layer saved while it is edited.

    QGIS empties a layer's undo stack when its edits are saved. Here every edit, drawn in the
    dock or made with QGIS's own tools, is saved to the file as soon as it is made, and put
    back on the layer's own undo stack as a command that reverses it in the file. So nothing
    is lost when QGIS dies, and QGIS's own undo, redo and their panel go on working.

    Args:
        layer: the samples.
        complete: returns what is still to be set of a feature that was edited elsewhere.
    """

    changed = pyqtSignal()
    failed = pyqtSignal(str)

    def __init__(
        self, layer: QgsVectorLayer, complete: Callable[[QgsFeature], dict[int, Any]]
    ) -> None:
        super().__init__()
        self._layer = layer
        # Commands written in Python live as long as this object for their stack.
        self._stack = layer.undoStack()
        self._complete = complete
        self._changes: list[Change] = []
        self._position = 0
        self._added: list[int] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.save)
        layer.layerModified.connect(self._timer.start)
        layer.committedFeaturesAdded.connect(self._note_added)
        layer.committedAttributesAdded.connect(self._leave_fields)
        layer.committedAttributesDeleted.connect(self._leave_fields)
        layer.editingStopped.connect(self.clear)
        self._stack.indexChanged.connect(self._stay_clean)

    def release(self) -> None:
        """Let go of the layer."""
        self._timer.stop()
        self.clear()
        self._layer.layerModified.disconnect(self._timer.start)
        self._layer.committedFeaturesAdded.disconnect(self._note_added)
        self._layer.committedAttributesAdded.disconnect(self._leave_fields)
        self._layer.committedAttributesDeleted.disconnect(self._leave_fields)
        self._layer.editingStopped.disconnect(self.clear)
        self._stack.indexChanged.disconnect(self._stay_clean)

    def clear(self) -> None:
        """Forget the edits: they can no longer be undone."""
        self._changes, self._position = [], 0
        self._stack.clear()

    # Edits of the dock

    def add(self, text: str, features: Iterable[QgsFeature]) -> list[int]:
        """Write new features and return their identifiers."""
        after = self._insert(list(features))
        self._record(Change(text, {}, after))
        return list(after)

    def change(self, text: str, values: dict[int, dict[int, Any]]) -> None:
        """Write new attributes ``{feature: {field: value}}``."""
        before = self.stored(values)
        self._require(self._provider.changeAttributeValues(values))
        self._record(Change(text, before, self.stored(values)))

    def remove(self, text: str, features: Iterable[int]) -> None:
        """Delete features."""
        before = self.stored(features)
        self._require(self._provider.deleteFeatures(list(before)))
        self._record(Change(text, before, {}))

    def stored(self, features: Iterable[int]) -> Features:
        """Return features as they are in the file."""
        wanted = list(features)
        if not wanted:
            return {}
        request = QgsFeatureRequest().setFilterFids(wanted)
        return {each.id(): QgsFeature(each) for each in self._provider.getFeatures(request)}

    # Edits of QGIS's own tools

    def pending(self) -> bool:
        """Return whether there are edits that are not in the file yet."""
        buffer = self._layer.editBuffer()
        return buffer is not None and bool(
            buffer.addedFeatures() or buffer.deletedFeatureIds() or self._touched()
        )

    def save(self) -> None:
        """Save what QGIS's own tools have edited, as one step that can be undone."""
        if self._layer.isEditCommandActive():
            self._timer.start(100)
            return
        if not self.pending():
            self._stay_clean()
            return
        if not keeps_features(self._layer):
            self._tell()  # QGIS saves them when the editing ends
            return
        touched = self._touched() | set(self._layer.editBuffer().deletedFeatureIds())
        before, text = self.stored(touched), self._stack.undoText() or "Edit"
        fields = self._provider.fields().names()
        self._added = []
        if not self._layer.commitChanges(False):
            self.failed.emit(" ".join(self._layer.commitErrors()))
            return
        kept = [*touched, *self._added]
        missing = {each.id(): self._complete(each) for each in self.stored(kept).values()}
        missing = {feature: values for feature, values in missing.items() if values}
        if missing:
            self._provider.changeAttributeValues(missing)
        if self._provider.fields().names() == fields:
            self._append(Change(text, before, self.stored(kept)))
            self._refill()
        else:
            self.clear()
        self._tell()

    def _touched(self) -> set[int]:
        buffer = self._layer.editBuffer()
        known = {*buffer.changedGeometries(), *buffer.changedAttributeValues()}
        return {each for each in known if each >= 0}

    def _note_added(self, _layer: str, features: list[QgsFeature]) -> None:
        self._added = [each.id() for each in features]

    def _leave_fields(self, _layer: str, _fields: list[Any]) -> None:
        # Features as they were have values of other fields at these places.
        self.clear()

    # Steps back and forth

    def step(self, change: Change, back: bool) -> None:
        """Undo or redo a change in the file."""
        old, new = (change.after, change.before) if back else (change.before, change.after)
        self._position += -1 if back else 1
        try:
            gone = [each for each in old if each not in new]
            self._require(not gone or self._provider.deleteFeatures(gone))
            self._insert([each for number, each in new.items() if number not in old], new)
            both = [number for number in new if number in old]
            fields = range(1 if self._has_key() else 0, self._provider.fields().count())
            self._require(
                not both
                or self._provider.changeFeatures(
                    {each: {field: new[each][field] for field in fields} for each in both},
                    {each: new[each].geometry() for each in both},
                )
            )
        except VectorError as error:
            self.failed.emit(str(error))
        self._tell()

    def _insert(self, features: list[QgsFeature], known: Features | None = None) -> Features:
        """Write features; those that come back get other identifiers in some formats."""
        if not features:
            return {}
        former = [each.id() for each in features]
        written, added = self._provider.addFeatures(features)
        self._require(written)
        if known is not None:
            for old, feature in zip(former, added):
                if feature.id() != old:
                    self._renumber(old, feature)
        return {each.id(): QgsFeature(each) for each in added}

    def _renumber(self, old: int, feature: QgsFeature) -> None:
        for change in self._changes:
            for side in (change.before, change.after):
                if old in side:
                    side[feature.id()] = side.pop(old)

    def _record(self, change: Change) -> None:
        self._append(change)
        if self._layer.isEditable():
            self._stack.push(_Step(self, change))
        self._stay_clean()
        self._tell()

    def _append(self, change: Change) -> None:
        del self._changes[self._position :]
        self._changes.append(change)
        self._position = len(self._changes)

    def _refill(self) -> None:
        """Put all steps on the undo stack, which QGIS empties whenever it saves."""
        self._stack.clear()
        self._changes = self._changes[-LIMIT:]
        self._position = len(self._changes)
        for change in self._changes:
            self._stack.push(_Step(self, change))
        self._stay_clean()

    def _stay_clean(self) -> None:
        # All is in the file: QGIS need not ask whether to save it. Of new fields it asks.
        buffer = self._layer.editBuffer()
        fields = buffer is not None and (buffer.addedAttributes() or buffer.deletedAttributeIds())
        if not self._layer.isEditCommandActive() and not self.pending() and not fields:
            self._stack.setClean()

    def _tell(self) -> None:
        self._layer.triggerRepaint()
        self.changed.emit()

    @property
    def _provider(self) -> Any:
        return self._layer.dataProvider()

    def _has_key(self) -> bool:
        return 0 in self._provider.pkAttributeIndexes()

    def _require(self, done: bool) -> None:
        if not done:
            reason = " ".join(self._provider.errors()) or "the file refuses it"
            self._provider.clearErrors()
            raise VectorError(f"'{self._layer.name()}' cannot be written: {reason}.")


def keeps_features(layer: QgsVectorLayer) -> bool:
    """Return whether each feature of a file can be changed, and has its number for good.

    Else undo would delete another feature.
    """
    provider = layer.dataProvider()
    return provider.storageType() not in UNNUMBERED and EDITS & provider.capabilities() == EDITS


class _Step(QUndoCommand):
    """A change on the undo stack; it is done already when it is put there."""

    def __init__(self, history: SampleHistory, change: Change) -> None:
        super().__init__(change.text)
        self._history = history
        self._change = change
        self._done = True

    def redo(self) -> None:
        if not self._done:
            self._history.step(self._change, back=False)
        self._done = True

    def undo(self) -> None:
        self._done = False
        self._history.step(self._change, back=True)
