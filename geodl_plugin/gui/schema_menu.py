"""The menu of the classes: schema files, layers to take classes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qgis.core import QgsApplication, QgsMapLayer, QgsProject
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtWidgets import QFileDialog, QInputDialog, QMenu, QToolButton

from ..core.errors import GeoDLError, InputError
from ..core.places import temporary_folder
from ..core.samples.document import SchemaDocument
from ..core.samples.schema_files import open_document, save_document
from .sample_layer import is_sample_layer, read_document

if TYPE_CHECKING:
    from .schema_editor import SchemaEditor

FILES = "GeoDL (*.json);;ArcGIS (*.ecs)"


class SchemaMenu(QToolButton):
    """Opens and saves the classes of an editor."""

    def __init__(self, editor: SchemaEditor) -> None:
        super().__init__(editor)
        self._editor = editor
        self.setIcon(QgsApplication.getThemeIcon("/mIconHamburgerMenu.svg"))
        self.setToolTip(self.tr("Schema files and layers"))
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self)
        menu.addAction(self.tr("Open a schema…"), self._ask_open)
        menu.addAction(self.tr("Save the schema…"), self._ask_save)
        menu.addAction(self.tr("Take classes from a layer…"), self._ask_layer)
        self.setMenu(menu)

    def open(self, path: str) -> None:
        """Take the classes of a file over."""
        try:
            self._editor.take_over(open_document(path), self.tr("Open a schema"))
        except GeoDLError as error:
            self._editor.failed.emit(str(error))

    def save(self, path: str) -> None:
        """Write the classes to a file."""
        try:
            save_document(self._editor.document, path)
        except GeoDLError as error:
            self._editor.failed.emit(str(error))

    def take(self, layer: QgsMapLayer) -> None:
        """Take the classes of a layer over: of its samples, or of its style."""
        try:
            self._editor.take_over(classes_of(layer), self.tr("Take classes from a layer"))
        except GeoDLError as error:
            self._editor.failed.emit(str(error))

    def _ask_open(self) -> None:
        title, kinds = self.tr("Open a schema"), self.tr("Schemas and styles")
        path, _ = QFileDialog.getOpenFileName(self, title, _home(), f"{kinds} (*.json *.ecs *.qml)")
        if path:
            self.open(path)

    def _ask_save(self) -> None:
        title = self.tr("Save the schema")
        path, kind = QFileDialog.getSaveFileName(self, title, _home(), FILES)
        if path:
            suffix = ".ecs" if "ecs" in kind else ".json"
            self.save(path if Path(path).suffix else path + suffix)

    def _ask_layer(self) -> None:
        layers = named_layers()
        title, text = self.tr("Take classes from a layer"), self.tr("Layer")
        name, chosen = QInputDialog.getItem(self, title, text, list(layers), 0, False)
        if chosen and name:
            self.take(layers[name])

    def tr(self, text: str) -> str:
        """Translate a literal of the menu."""
        return QCoreApplication.translate("GeoDL", text)


def named_layers() -> dict[str, QgsMapLayer]:
    """Return the layers of the project by name, those that share one with a number."""
    found: dict[str, QgsMapLayer] = {}
    for layer in sorted(QgsProject.instance().mapLayers().values(), key=lambda each: each.name()):
        name, number = layer.name(), 2
        while name in found:
            name, number = f"{layer.name()} ({number})", number + 1
        found[name] = layer
    return found


def classes_of(layer: QgsMapLayer) -> SchemaDocument:
    """Return the classes of a layer: of its samples, or of its style.

    Raises:
        InputError: when it has neither.
    """
    if is_sample_layer(layer):
        return read_document(layer)
    with temporary_folder("style") as folder:
        path = folder / "style.qml"
        layer.saveNamedStyle(str(path))
        try:
            return open_document(path)
        except InputError as error:
            raise InputError(
                f"'{layer.name()}' has no classes. Style it by categories first."
            ) from error


def _home() -> str:
    return QgsProject.instance().homePath() or str(Path.home())
