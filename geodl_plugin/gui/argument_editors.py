"""Editors for the arguments of models, one for each kind of value."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from qgis.gui import QgsDoubleSpinBox, QgsSpinBox
from qgis.PyQt.QtCore import QCoreApplication, QLocale, QRegularExpression, pyqtSignal
from qgis.PyQt.QtGui import QRegularExpressionValidator
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLineEdit, QWidget

from ..core.arguments import Argument, convert
from ..core.errors import InputError
from ..core.packages.function_arguments import NUMBER

MOST = 1_000_000
DECIMALS = 6
DIGITS = 13  # as many as a number below MOST with its decimals has
CHOICE_LETTERS = 12  # that a list leaves room for; what is longer must not make the dialog wide


class ArgumentEditor(QWidget):
    """Edits one argument; a value that is none of its kind is not taken.

    Attributes:
        start: the value that is shown for the default.
    """

    changed = pyqtSignal()
    start: Any = None

    def __init__(self, argument: Argument, field: QWidget) -> None:
        super().__init__()
        self.argument = argument
        self.field = field
        told = f"{argument.help} ({argument.name})" if argument.help else argument.name
        # In tags, so that what looks like a tag of an author's is shown and not obeyed.
        self.setToolTip(f"<p>{escape(told)}</p>")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(field)
        self.setFocusProxy(field)

    def value(self) -> Any:
        """Return the value in the argument's own type."""
        raise NotImplementedError

    def is_empty(self) -> bool:
        """Return whether there is no value."""
        return self.value() in (None, "")

    def take(self, value: Any) -> bool:
        """Show a value; return whether the editor can."""
        raise NotImplementedError


class BooleanEditor(ArgumentEditor):
    """A box to tick."""

    def __init__(self, argument: Argument) -> None:
        super().__init__(argument, QCheckBox())
        self.take(argument.default)
        self.field.toggled.connect(lambda: self.changed.emit())

    def value(self) -> bool:
        return self.field.isChecked()

    def take(self, value: Any) -> bool:
        self.field.setChecked(bool(value))
        return True


class IntegerEditor(ArgumentEditor):
    """A whole number; the smallest one reads "Automatic" where the tool may choose."""

    def __init__(self, argument: Argument) -> None:
        super().__init__(argument, QgsSpinBox())
        # Where nothing is the default, 0 is a number like others.
        self._nothing = -1 if argument.default is None else None
        self.field.setRange(-1 if self._nothing is not None else min(0, argument.default), MOST)
        if argument.is_automatic:
            text = QCoreApplication.translate("GeoDL", "Automatic")
            self.field.setSpecialValueText(text)
        self.take(argument.default)
        self.field.setClearValue(self.field.value())
        self.field.valueChanged.connect(lambda: self.changed.emit())

    def value(self) -> int | None:
        return None if self.field.value() == self._nothing else self.field.value()

    def take(self, value: Any) -> bool:
        if value is None and self._nothing is not None:
            self.field.setValue(self._nothing)
            return True
        lowest = 0 if self._nothing is not None else self.field.minimum()
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= MOST:
            return False
        self.field.setValue(value)
        return True


class PlainSpinBox(QgsDoubleSpinBox):
    """A box that shows all digits of a number, without zeros at its end or marks of thousands."""

    def __init__(self) -> None:
        super().__init__()
        locale = self.locale()
        locale.setNumberOptions(QLocale.NumberOption.OmitGroupSeparator)
        self.setLocale(locale)
        self.setDecimals(DECIMALS)

    def textFromValue(self, value: float) -> str:  # noqa: N802
        return self.locale().toString(round(value, DECIMALS), "g", DIGITS)


class NumberEditor(ArgumentEditor):
    """A number; between 0 and 1 where it is a share."""

    def __init__(self, argument: Argument) -> None:
        super().__init__(argument, PlainSpinBox())
        self.field.setRange(0.0, 1.0 if argument.is_share else MOST)
        self.field.setSingleStep(0.05 if argument.is_share else 1.0)
        self.take(argument.default)
        self.field.setClearValue(self.field.value())
        self.field.valueChanged.connect(lambda: self.changed.emit())

    def value(self) -> float:
        return round(self.field.value(), DECIMALS)

    def take(self, value: Any) -> bool:
        if not _is_number(value) or not self.field.minimum() <= value <= self.field.maximum():
            return False
        self.field.setValue(value)
        return True


class AnyNumberEditor(ArgumentEditor):
    """A number of whatever sign and size; the smallest one is none, where none is the default."""

    def __init__(self, argument: Argument) -> None:
        super().__init__(argument, PlainSpinBox())
        self._nothing = -MOST - 1.0 if argument.default is None else None
        self.field.setRange(-MOST if self._nothing is None else self._nothing, MOST)
        if self._nothing is not None:
            self.field.setSpecialValueText(_absent(argument))
        default = argument.default or 0.0
        self.field.setSingleStep(0.05 if 0 < abs(default) < 1 else 1.0)
        self.take(argument.default)
        self.field.setClearValue(self.field.value(), self.field.specialValueText())
        self.field.valueChanged.connect(lambda: self.changed.emit())

    def value(self) -> float | None:
        value = round(self.field.value(), DECIMALS)
        if value == self._nothing:
            return None
        return int(value) if value.is_integer() else value

    def take(self, value: Any) -> bool:
        if value is None and self._nothing is not None:
            self.field.setValue(self._nothing)
            return True
        # What cannot be shown to its last digit is left as it was written.
        if not _is_number(value) or not -MOST <= value <= MOST or round(value, DECIMALS) != value:
            return False
        self.field.setValue(value)
        return True


class ChoiceEditor(ArgumentEditor):
    """One of a list of texts."""

    def __init__(self, argument: Argument) -> None:
        super().__init__(argument, QComboBox())
        shrinks = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        self.field.setSizeAdjustPolicy(shrinks)
        self.field.setMinimumContentsLength(CHOICE_LETTERS)
        # An author's default may be none of the values.
        self.field.addItems(list(dict.fromkeys([*self._first(), *argument.choices])))
        self.take(argument.default)
        self.field.currentIndexChanged.connect(lambda: self.changed.emit())

    def _first(self) -> list[str]:
        default = self.argument.default
        return [] if default in self.argument.choices else [default]

    def value(self) -> str:
        return self.field.currentText()

    def take(self, value: Any) -> bool:
        texts = [self.field.itemText(index) for index in range(self.field.count())]
        same = [each for each in texts if each.casefold() == str(value).casefold()]
        if not same:
            return False
        self.field.setCurrentIndex(texts.index(value if value in texts else same[0]))
        return True


class TextEditor(ArgumentEditor):
    """Any other value: text as it is, lists as in JSON."""

    def __init__(self, argument: Argument) -> None:
        super().__init__(argument, QLineEdit())
        # Semicolons part the arguments.
        self.field.setValidator(QRegularExpressionValidator(QRegularExpression("[^;]*"), self))
        if argument.required:
            self.field.setPlaceholderText(_absent(argument))
        self.take(argument.default)
        self.field.textChanged.connect(lambda: self.changed.emit())

    def value(self) -> Any:
        text = self.field.text().strip()
        if self.argument.kind == "str":
            return text
        try:
            return convert(self.argument.name, text, self.argument.default) if text else None
        except InputError:
            return text  # the tool refuses it, and says why

    def take(self, value: Any) -> bool:
        if value is None:
            self.field.clear()
        else:
            self.field.setText(value if isinstance(value, str) else json.dumps(value))
        return True


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def editor_of(argument: Argument) -> ArgumentEditor:
    """Return the editor for the kind of an argument."""
    kinds = {
        "bool": BooleanEditor,
        "int": IntegerEditor,
        "float": NumberEditor,
        NUMBER: AnyNumberEditor,
    }
    kind = ChoiceEditor if argument.choices else kinds.get(argument.kind, TextEditor)
    editor = kind(argument)
    if editor.value() != argument.default and argument.kind == NUMBER:
        editor = TextEditor(argument)  # a default with more digits
    editor.start = editor.value()
    return editor


def _absent(argument: Argument) -> str:
    """Return what a field says that is empty."""
    if argument.required:
        return QCoreApplication.translate("GeoDL", "Required")
    return QCoreApplication.translate("GeoDL", "Not set")
