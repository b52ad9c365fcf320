"""The field for a model in a tool's dialog: a path or JSON text, and what the model is."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from processing.gui.wrappers import WidgetWrapper, dialogTypes
from qgis.core import QgsProcessingParameterDefinition, QgsSettings
from qgis.gui import QgsFilterLineEdit, QgsGui, QgsProcessingGui
from qgis.PyQt.QtCore import QCoreApplication, QEvent, Qt, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QDragEnterEvent, QDropEvent
from qgis.PyQt.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMenu,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ..core.errors import GeoDLError
from ..core.inference.model import read_model
from ..core.models.registry import Task
from ..core.packages.archive import peek_definition
from ..core.packages.definition import ModelDefinition, understood
from ..core.packages.store import installed
from ..core.packages.summary import facts, fixed_arguments, summary
from ..core.places import unquoted

ALLOW_CODE = "ALLOW_CODE"  # the parameter that the field follows
FOLDER_SETTING = "geodl/model_folder"
PATIENCE = 400  # milliseconds after the last key before the model is looked at
ERROR_COLOR = "#d0402f"  # legible on light and dark windows


class ModelLine(QgsFilterLineEdit):
    """A line that takes dropped files as paths."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAcceptDrops(True)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        if _dropped_file(event):
            event.acceptProposedAction()
        else:
            super().dragEnterEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        path = _dropped_file(event)
        if path:
            event.acceptProposedAction()
            self.setText(path)
        else:
            super().dropEvent(event)


class ModelField(QWidget):
    """Asks for a model and says what it is, or why it cannot be used.

    Args:
        task: what the model must be made for; empty for any.
        compact: no line below the field, only a tooltip: for the cells of a table.
    """

    changed = pyqtSignal()  # the text
    looked_at = pyqtSignal()  # the definition

    def __init__(self, task: str = "", compact: bool = False, parent: QWidget | None = None):
        super().__init__(parent)
        self.definition: ModelDefinition | None = None
        self.problem = ""
        self.allow_code = False  # whether Python code of the model's author may run
        self.setObjectName("geodl_model")
        self._task = Task(task) if task else None
        self._seen = ""
        self.line = ModelLine()
        self.line.setShowClearButton(not compact)
        self.line.setPlaceholderText(
            self.tr("Model package (.dlpk, .emd), network (.onnx, .xml, .pt, .pt2) or name")
        )
        self.line.textChanged.connect(self._wait)
        self.line.editingFinished.connect(self.look)
        self.button = QToolButton()
        self.button.setText("…")
        self.button.setToolTip(self.tr("Choose an installed model or a file"))
        self.button.clicked.connect(self.choose)
        self.note = QLabel()
        self.note.setTextFormat(Qt.TextFormat.PlainText)  # its author may write tags
        self.note.setWordWrap(True)
        # A long sentence must not make the dialog wide.
        self.note.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.note.hide()
        self._compact = compact
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PATIENCE)
        self._timer.timeout.connect(self.look)
        self._arrange()

    def _arrange(self) -> None:
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2 if self._compact else 6)
        row.addWidget(self.line, 1)
        row.addWidget(self.button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addLayout(row)
        layout.addWidget(self.note)
        self.setFocusProxy(self.line)

    def text(self) -> str:
        """Return the path or JSON text."""
        return unquoted(self.line.text())

    def set_text(self, text: str) -> None:
        """Show a path or JSON text and look at the model at once."""
        self.line.setText(text)
        if text.startswith("{"):
            self.line.setCursorPosition(0)  # a path tells by its end, JSON by its beginning
        self.look()

    def allow(self, consent: bool) -> None:
        """Take the consent to run the code of the model's author, or its end."""
        self.allow_code = consent
        self.look()

    def choose(self) -> None:
        """Offer the installed models and the files; the files alone where none is installed."""
        names = list(installed())
        if names:
            self.make_menu(names).exec(self.button.mapToGlobal(self.button.rect().bottomLeft()))
        else:
            self.browse()

    def make_menu(self, names: list[str]) -> QMenu:
        """Return a menu of installed models and the way to files."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for name in names:
            # An ampersand would underline what follows it.
            action = menu.addAction(name.replace("&", "&&"))
            action.triggered.connect(lambda _, chosen=name: self.set_text(chosen))
        menu.addSeparator()
        menu.addAction(self.tr("Choose a file…")).triggered.connect(lambda: self.browse())
        return menu

    def browse(self) -> None:
        """Ask for a file."""
        settings = QgsSettings()
        path, _ = QFileDialog.getOpenFileName(
            self,
            self.tr("Choose a model"),
            self._folder() or settings.value(FOLDER_SETTING, ""),
            self.tr("Models")
            + " (*.dlpk *.emd *.onnx *.xml *.pt *.pt2);;"
            + self.tr("All files")
            + " (*)",
        )
        if path:
            settings.setValue(FOLDER_SETTING, str(Path(path).parent))
            self.set_text(path)

    def _folder(self) -> str:
        text = self.text()
        if not text or text.startswith("{"):
            return ""
        folder = Path(text).parent
        return str(folder) if folder.is_dir() and str(folder) != "." else ""

    def _wait(self) -> None:
        self.changed.emit()
        self._timer.start()

    def look(self) -> None:
        """Read the definition of the model and show what it says."""
        self._timer.stop()
        text = self.text()
        self.definition, self.problem = None, ""
        said = ""
        if text:
            try:
                definition = read_definition(text, self._task, self.allow_code)
                said = summary(definition)
                self.definition = definition
            except GeoDLError as error:
                self.problem = str(error)
        self._show(said)
        self.looked_at.emit()

    def _show(self, said: str) -> None:
        self.note.setStyleSheet(f"color: {ERROR_COLOR};" if self.problem else "")
        # Zero-width spaces let long paths break at their slashes.
        self.note.setText((self.problem or said).replace("/", "/\u200b").replace("\\", "\\\u200b"))
        self.note.setVisible(bool(self.note.text()) and not self._compact)
        tooltip = escape(self.problem)
        if self.definition is not None:
            tooltip = _table(facts(self.definition))
        for widget in (self.line, self.note):
            widget.setToolTip(tooltip)
        color = f"color: {ERROR_COLOR};" if self.problem and self._compact else ""
        self.line.setStyleSheet(color)

    def event(self, event: QEvent) -> bool:
        """Look again when the window is come back to: the file may be there by now."""
        if event.type() == QEvent.Type.WindowActivate and self.problem:
            self.look()
        return super().event(event)

    def tr(self, text: str) -> str:
        """Translate a literal of the field."""
        return QCoreApplication.translate("GeoDL", text)


class ModelWrapper(WidgetWrapper):
    """Puts the field into the dialog of a tool, and into the table of its batch."""

    field: ModelField

    def createWidget(self, task: str) -> QWidget:  # noqa: N802
        compact = self.dialogType == QgsProcessingGui.WidgetType.Batch
        self.field = ModelField(task, compact)
        self.field.changed.connect(lambda: self.widgetValueHasChanged.emit(self))
        return self.field

    def setValue(self, value: Any) -> None:  # noqa: N802
        self.field.set_text("" if value is None else str(value))

    def value(self) -> str:
        return self.field.text()

    def postInitialize(self, wrappers: list[Any]) -> None:  # noqa: N802
        """Follow the box for the consent to run the model's own code, in a tool's dialog."""
        super().postInitialize(wrappers)
        if self.dialogType != QgsProcessingGui.WidgetType.Standard:
            return
        for each in wrappers:
            if each.parameterDefinition().name() == ALLOW_CODE:
                each.widgetValueHasChanged.connect(self._take_consent)
                self._take_consent(each)

    def _take_consent(self, box: Any) -> None:
        self.field.allow(bool(box.parameterValue()))


class ModelWidgetWrapper:
    """What the parameter names as its widget: the one that fits the kind of dialog."""

    def __new__(
        cls,
        parameter: QgsProcessingParameterDefinition,
        dialog: Any,
        row: int = 0,
        col: int = 0,
        task: str = "",
    ) -> Any:
        if dialog_mode(dialog) == QgsProcessingGui.WidgetType.Modeler:
            return usual_wrapper(parameter, dialog)
        return ModelWrapper(parameter, dialog, row, col, task=task)


def dialog_mode(dialog: Any) -> Any:
    """Return whether a dialog is a tool's own, a batch or that of the modeler."""
    return dialogTypes.get(type(dialog).__name__, QgsProcessingGui.WidgetType.Standard)


def usual_wrapper(parameter: QgsProcessingParameterDefinition, dialog: Any) -> Any:
    """Return the widget that QGIS has for a parameter.

    The modeler's one offers the outputs of other steps, 'Train model' among them.
    """
    registry, mode = QgsGui.processingGuiRegistry(), dialog_mode(dialog)
    if mode == QgsProcessingGui.WidgetType.Modeler:
        wrapper = registry.createModelerParameterWidget(
            dialog.model, dialog.childId, parameter, dialog.context
        )
    else:
        wrapper = registry.createParameterWidgetWrapper(parameter, mode)
    wrapper.setDialog(dialog)
    return wrapper


def read_definition(model: str, task: Task | None, allow_code: bool = False) -> ModelDefinition:
    """Return the definition of a model that can be used for ``task``.

    Raises:
        GeoDLError: the sentence that the tool itself would end with.
    """
    definition = peek_definition(model)
    with understood(definition.name):
        if task is not None:
            read_model(definition, task, allow_code=allow_code)
        # What is not complete is found out here, not when it is shown.
        summary(definition), facts(definition), fixed_arguments(definition)
    return definition


def _dropped_file(event: QDropEvent) -> str:
    """Return the path of the first file that is dragged, or nothing."""
    paths = [url.toLocalFile() for url in event.mimeData().urls()]
    return next((path for path in paths if path), "")


def _table(found: dict[str, str]) -> str:
    rows = "".join(
        f"<tr><td><b>{escape(name)}</b>&nbsp;&nbsp;</td><td>{escape(text)}</td></tr>"
        for name, text in found.items()
    )
    return f"<table>{rows}</table>"
