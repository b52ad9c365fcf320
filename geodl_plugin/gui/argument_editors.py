"""Editors for the arguments of models, one for each kind of value."""

from __future__ import annotations

import json
from typing import Any

from qgis.gui import QgsDoubleSpinBox, QgsSpinBox
from qgis.PyQt.QtCore import QCoreApplication, pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QHBoxLayout, QLineEdit, QWidget

from ..core.arguments import Argument, convert
from ..core.errors import InputError

MOST = 1_000_000
DECIMALS = 6


class ArgumentEditor(QWidget):
    """Edits one argument; a value that is none of its kind is not taken."""

    changed = pyqtSignal()

    def __init__(self, argument: Argument, field: QWidget) -> None:
        super().__init__()
        self.argument = argument
        self.field = field
        self.setToolTip(f"{argument.help} ({argument.name})" if argument.help else argument.name)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(field)
        self.setFocusProxy(field)

    def value(self) -> Any:
        """Return the value in the argument's own type."""
        raise NotImplementedError

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
    """A box for a number that is shown without zeros at its end."""

    def textFromValue(self, value: float) -> str:  # noqa: N802
        return self.locale().toString(round(value, DECIMALS), "g", DECIMALS)


class NumberEditor(ArgumentEditor):
    """A number; between 0 and 1 where it is a share."""

    def __init__(self, argument: Argument) -> None:
        super().__init__(argument, PlainSpinBox())
        self.field.setDecimals(DECIMALS)
        self.field.setRange(0.0, 1.0 if argument.is_share else MOST)
        self.field.setSingleStep(0.05 if argument.is_share else 1.0)
        self.take(argument.default)
        self.field.setClearValue(self.field.value())
        self.field.valueChanged.connect(lambda: self.changed.emit())

    def value(self) -> float:
        return round(self.field.value(), DECIMALS)

    def take(self, value: Any) -> bool:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not self.field.minimum() <= value <= self.field.maximum():
            return False
        self.field.setValue(value)
        return True


class TextEditor(ArgumentEditor):
    """Any other value: text as it is, lists as in JSON."""

    def __init__(self, argument: Argument) -> None:
        super().__init__(argument, QLineEdit())
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


def editor_of(argument: Argument) -> ArgumentEditor:
    """Return the editor for the kind of an argument."""
    kinds = {"bool": BooleanEditor, "int": IntegerEditor, "float": NumberEditor}
    return kinds.get(argument.kind, TextEditor)(argument)
