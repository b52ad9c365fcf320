"""The arguments of a model in a tool's dialog: a form that is written as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.PyQt.QtCore import QCoreApplication, Qt, pyqtSignal
from qgis.PyQt.QtGui import QFontMetrics
from qgis.PyQt.QtWidgets import QFrame, QGridLayout, QLabel, QLineEdit, QSizePolicy, QWidget

from ..core.arguments import Argument, compose, convert, entries
from ..core.errors import InputError
from ..core.packages.function_arguments import shared_arguments
from .argument_editors import ArgumentEditor, editor_of
from .model_widget import ERROR_COLOR

LONG_NAME = 18  # letters, from which two arguments side by side are wider than a dialog
LONGEST_NAME = 40  # letters of it that are shown


class ArgumentsForm(QFrame):
    """One editor for each argument; the text holds what is not as it is by default.

    Besides it holds what a text has named that was shown, whatever the default is.

    Args:
        arguments: those of the tool.
    """

    changed = pyqtSignal()

    def __init__(self, arguments: Sequence[Argument], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("geodl_arguments")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.editors: dict[str, ArgumentEditor] = {}
        self._own = tuple(arguments)
        self._shared: dict[str, Argument] = {}  # by the tool and the model's function
        self._more: dict[str, str] = {}  # names of the function's other ones, by their lower case
        self._labels: dict[str, QLabel] = {}
        self._given: set[str] = set()
        self._fixed: dict[str, Any] = {}
        self._chosen: dict[str, Any] = {}
        self._suggested: dict[str, Any] = {}
        self._others_wanted = False
        # What no editor can show, kept as it was written.
        self.others = QLineEdit()
        self.others.setPlaceholderText("name=value;name=value")
        self.others.textChanged.connect(lambda: self.changed.emit())
        self._others_label = QLabel(self.tr("Others"))
        self.note = QLabel()
        self.note.setTextFormat(Qt.TextFormat.PlainText)
        self.note.setWordWrap(True)
        # A long sentence must not make the dialog wide.
        self.note.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.note.hide()
        self._make_editors(self._own)
        self._arrange()

    def _make_editors(self, arguments: Sequence[Argument]) -> None:
        """Make the editors that are missing, drop those of other arguments, and sort them."""
        kept = {name: each for name, each in self.editors.items() if each.argument in arguments}
        for name in set(self.editors) - set(kept):
            for widget in (self.editors[name], self._labels.pop(name)):
                widget.hide()
                widget.deleteLater()
        self.editors = {each.name: kept.get(each.name) or editor_of(each) for each in arguments}
        for name, editor in self.editors.items():
            if name not in kept:
                editor.changed.connect(lambda name=name: self._edited(name))
                self._labels[name] = _label(editor)

    def _arrange(self) -> None:
        grid = self.layout() or QGridLayout(self)
        while grid.count():
            grid.takeAt(0)
        columns = 1 if any(len(name) > LONG_NAME for name in self.editors) else 2
        grid.setContentsMargins(8, 6, 8, 6)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(3, columns - 1)
        for place, (name, editor) in enumerate(self.editors.items()):
            row, column = divmod(place, columns)
            grid.addWidget(self._labels[name], row, 2 * column)
            grid.addWidget(editor, row, 2 * column + 1)
        last = (len(self.editors) + columns - 1) // columns
        grid.addWidget(self._others_label, last, 0)
        grid.addWidget(self.others, last, 1, 1, 2 * columns - 1)
        grid.addWidget(self.note, last + 1, 0, 1, 2 * columns)
        stops = [*(each.field for each in self.editors.values()), self.others]
        for before, after in zip(stops, stops[1:]):
            self.setTabOrder(before, after)
        self._show_others()

    def text(self) -> str:
        """Return the arguments that differ from their defaults, as ``name=value;…``."""
        changed = {
            name: editor.value()
            for name, editor in self.editors.items()
            if name not in self._fixed and self._is_written(name)
        }
        return ";".join(filter(None, (compose(changed), self.others.text().strip(" ;"))))

    def _is_written(self, name: str) -> bool:
        editor = self.editors[name]
        if editor.argument.required and not editor.is_empty():
            return True
        return name in self._given or editor.value() != self._usual(name)

    def set_text(self, text: str) -> None:
        """Show the arguments of a text; those it does not name are as by default."""
        left = []
        given = set()
        for entry in entries(text):
            name, equals, value = (part.strip() for part in entry.partition("="))
            # A function's arguments have names in capitals or not, the tool's have not.
            name = name if name in self.editors else self._more.get(name.casefold(), name)
            if name in self._fixed or not equals or not self._take(name, value):
                left.append(entry)
            else:
                given.add(name)
        for name, editor in self.editors.items():
            if name not in given and name not in self._fixed:
                editor.take(self._usual(name))
        self._given = given  # after the editors have told of their changes
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

    def show_function(self, told: Sequence[Argument]) -> None:
        """Show the arguments of a model's function beside the tool's own; none takes them away.

        Where the function has one of the tool's, one editor starts from the function's default.
        The text stays as it is: what it says moves into the new editors, or out of those that go.
        """
        if not (told or self._shared or self._more):
            return
        text = self.text()
        free = [each for each in self._own if each.name not in self._fixed]
        self._shared = shared_arguments(free, told)
        taken = {each.name.casefold() for each in self._own}
        more = [each for each in told if each.name.casefold() not in taken]
        self._more = {each.name.casefold(): each.name for each in more}
        self._make_editors([*(self._shared.get(each.name, each) for each in self._own), *more])
        self._arrange()
        self.set_text(text)

    def tell(self, sentence: str, is_error: bool = False) -> None:
        """Show a sentence below the arguments; none hides it."""
        self.note.setStyleSheet(f"color: {ERROR_COLOR};" if is_error else "")
        # Zero-width spaces let long paths break at their slashes.
        self.note.setText(sentence.replace("/", "/\u200b").replace("\\", "\\\u200b"))
        self.note.setVisible(bool(sentence))

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
        own = {each.name: each for each in self._own}
        for name, argument in own.items():
            # What the function itself says goes before.
            if name not in {*self._fixed, *self._shared} and not self._is_written(name):
                self.editors[name].take(values.get(name, argument.default))
        self._suggested = {name: value for name, value in values.items() if name in own}
        self._notice()

    def ask_for_others(self, wanted: bool) -> None:
        """Show the line for arguments that no editor has, which models of other makers need."""
        self._others_wanted = wanted
        self._show_others()

    def _usual(self, name: str) -> Any:
        """Return the value that is taken when the argument is not given."""
        start = self.editors[name].start
        return start if name in self._shared else self._suggested.get(name, start)

    def _edited(self, name: str) -> None:
        self._given.discard(name)
        self._notice()

    def _notice(self) -> None:
        """Mark what is not as by default, and what is missing."""
        for name, editor in self.editors.items():
            label = self._labels[name]
            font = label.font()
            font.setBold(name not in self._fixed and editor.value() != self._usual(name))
            label.setFont(font)
            missing = editor.argument.required and editor.is_empty()
            label.setStyleSheet(f"color: {ERROR_COLOR};" if missing else "")
        self.changed.emit()

    def _show_others(self) -> None:
        # A tool that names no arguments has only this line.
        shown = bool(self.others.text()) or not self.editors or self._others_wanted
        self.others.setVisible(shown)
        self._others_label.setVisible(shown and bool(self.editors))

    def tr(self, text: str) -> str:
        """Translate a literal of the form."""
        return QCoreApplication.translate("GeoDL", text)


def _label(editor: ArgumentEditor) -> QLabel:
    """Return the label of an editor, so wide that marking it moves nothing."""
    name = editor.argument.name
    shown = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
    label = QLabel(shown.replace("&", "&&"))  # a single one would underline what follows it
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setBuddy(editor)
    label.setToolTip(editor.toolTip())
    font = label.font()
    font.setBold(True)
    label.setMinimumWidth(QFontMetrics(font).horizontalAdvance(shown))
    return label
