"""The arguments of a model in a tool's dialog: a form that fills itself, written as text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from processing.gui.wrappers import WidgetWrapper
from qgis.core import QgsProcessingParameterDefinition
from qgis.gui import QgsProcessingGui
from qgis.PyQt.QtCore import QCoreApplication, pyqtSignal
from qgis.PyQt.QtGui import QFontMetrics
from qgis.PyQt.QtWidgets import QFrame, QGridLayout, QLabel, QLineEdit, QWidget

from ..core.arguments import Argument, compose, convert, entries
from ..core.errors import InputError
from ..core.inference.foreign.description import is_foreign
from ..core.packages.summary import fixed_arguments, suggested_arguments
from .argument_editors import editor_of
from .model_widget import ModelWrapper, dialog_mode, usual_wrapper

MODEL = "MODEL"  # the parameter that the form follows
LONG_NAME = 18  # letters, from which two arguments side by side are wider than a dialog


class ArgumentsForm(QFrame):
    """One editor for each argument; the text holds only what is not as it is by default."""

    changed = pyqtSignal()

    def __init__(self, arguments: Sequence[Argument], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("geodl_arguments")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.editors = {each.name: editor_of(each) for each in arguments}
        self._labels = {name: QLabel(name) for name in self.editors}
        self._fixed: dict[str, Any] = {}
        self._chosen: dict[str, Any] = {}
        self._suggested: dict[str, Any] = {}
        self._others_wanted = False
        # What no editor can show, kept as it was written.
        self.others = QLineEdit()
        self.others.setPlaceholderText("name=value;name=value")
        self.others.textChanged.connect(lambda: self.changed.emit())
        self._others_label = QLabel(self.tr("Others"))
        self._arrange()
        for editor in self.editors.values():
            editor.changed.connect(self._notice)

    def _arrange(self) -> None:
        grid = QGridLayout(self)
        columns = 1 if any(len(name) > LONG_NAME for name in self.editors) else 2
        grid.setContentsMargins(8, 6, 8, 6)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(4)
        for place, (name, editor) in enumerate(self.editors.items()):
            row, column = divmod(place, columns)
            label = self._labels[name]
            label.setBuddy(editor)
            label.setToolTip(editor.toolTip())
            label.setMinimumWidth(_bold_width(label))
            grid.addWidget(label, row, 2 * column)
            grid.addWidget(editor, row, 2 * column + 1)
            grid.setColumnStretch(2 * column + 1, 1)
        last = grid.rowCount()
        grid.addWidget(self._others_label, last, 0)
        grid.addWidget(self.others, last, 1, 1, 2 * columns - 1)
        self._show_others()

    def text(self) -> str:
        """Return the arguments that differ from their defaults, as ``name=value;…``."""
        changed = {
            name: editor.value()
            for name, editor in self.editors.items()
            if name not in self._fixed and editor.value() != self._usual(name)
        }
        return ";".join(filter(None, (compose(changed), self.others.text().strip(" ;"))))

    def set_text(self, text: str) -> None:
        """Show the arguments of a text; those it does not name are as by default."""
        left = []
        given = set()
        for entry in entries(text):
            name, _, value = (part.strip() for part in entry.partition("="))
            if name in self._fixed or not self._take(name, value):
                left.append(entry)
            else:
                given.add(name)
        for name, editor in self.editors.items():
            if name not in given and name not in self._fixed:
                editor.take(self._usual(name))
        self.others.setText(";".join(left))
        self._show_others()
        self._notice()

    def _take(self, name: str, text: str) -> bool:
        """Show a value that is written as text; return whether there is an editor that can."""
        editor = self.editors.get(name)
        if editor is None:
            return False
        try:
            return editor.take(convert(name, text, editor.argument.default))
        except InputError:
            return False

    def fix(self, values: dict[str, Any]) -> None:
        """Show the values that the model itself decides; they cannot be edited."""
        for name in set(self._fixed) - set(values):
            if name in self.editors:
                self.editors[name].take(self._chosen.pop(name))
        for name, value in values.items():
            editor = self.editors.get(name)
            if editor is not None:
                self._chosen.setdefault(name, editor.value())
                editor.take(value)
        self._fixed = {name: value for name, value in values.items() if name in self.editors}
        for name, editor in self.editors.items():
            editor.setEnabled(name not in self._fixed)
        self._notice()

    def suggest(self, values: dict[str, Any]) -> None:
        """Start from the values of the model's maker where nothing else has been chosen."""
        for name, editor in self.editors.items():
            if name not in self._fixed and editor.value() == self._usual(name):
                editor.take(values.get(name, editor.argument.default))
        self._suggested = {name: value for name, value in values.items() if name in self.editors}
        self._notice()

    def ask_for_others(self, wanted: bool) -> None:
        """Show the line for arguments that no editor has, which models of other makers need."""
        self._others_wanted = wanted
        self._show_others()

    def _usual(self, name: str) -> Any:
        """Return the value that the tool takes when the argument is not given."""
        return self._suggested.get(name, self.editors[name].argument.default)

    def _notice(self) -> None:
        """Mark what is not as by default."""
        for name, editor in self.editors.items():
            font = self._labels[name].font()
            font.setBold(name not in self._fixed and editor.value() != self._usual(name))
            self._labels[name].setFont(font)
        self.changed.emit()

    def _show_others(self) -> None:
        # A tool that names no arguments has only this line.
        shown = bool(self.others.text()) or not self.editors or self._others_wanted
        self.others.setVisible(shown)
        self._others_label.setVisible(shown and bool(self.editors))

    def tr(self, text: str) -> str:
        """Translate a literal of the form."""
        return QCoreApplication.translate("GeoDL", text)


def _bold_width(label: QLabel) -> int:
    """Return the width of a label that is marked, so that marking it moves nothing."""
    font = label.font()
    font.setBold(True)
    return QFontMetrics(font).horizontalAdvance(label.text())


class ArgumentsWrapper(WidgetWrapper):
    """Puts the form into the dialog of a tool and follows the model that is chosen there."""

    form: ArgumentsForm
    _model: ModelWrapper | None = None

    def createWidget(self, arguments: Sequence[Argument]) -> QWidget:  # noqa: N802
        self.form = ArgumentsForm(arguments)
        self.form.changed.connect(lambda: self.widgetValueHasChanged.emit(self))
        return self.form

    def setValue(self, value: Any) -> None:  # noqa: N802
        self.form.set_text("" if value is None else str(value))

    def value(self) -> str:
        return self.form.text()

    def postInitialize(self, wrappers: list[Any]) -> None:  # noqa: N802
        """Follow the field for the model."""
        super().postInitialize(wrappers)
        for each in wrappers:
            if isinstance(each, ModelWrapper) and each.parameterDefinition().name() == MODEL:
                self._model = each
                each.field.looked_at.connect(self._fill)
                self._fill()

    def _fill(self) -> None:
        definition = self._model.field.definition if self._model is not None else None
        self.form.fix({} if definition is None else fixed_arguments(definition))
        self.form.suggest({} if definition is None else suggested_arguments(definition))
        # A network of another maker may not say all that is needed, then it has no definition.
        chosen = self._model is not None and bool(self._model.field.line.text().strip())
        self.form.ask_for_others(chosen and (definition is None or is_foreign(definition)))


class ArgumentsWidgetWrapper:
    """What the parameter names as its widget: a form in a tool's dialog, else a line."""

    def __new__(
        cls,
        parameter: QgsProcessingParameterDefinition,
        dialog: Any,
        row: int = 0,
        col: int = 0,
        arguments: str = "[]",
    ) -> Any:
        if dialog_mode(dialog) != QgsProcessingGui.WidgetType.Standard:
            return usual_wrapper(parameter, dialog)
        known = [Argument(**each) for each in json.loads(arguments)]
        return ArgumentsWrapper(parameter, dialog, row, col, arguments=known)
