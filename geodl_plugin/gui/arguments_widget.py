"""The form for a model's arguments in a tool's dialog, which fills itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from processing.gui.wrappers import WidgetWrapper
from qgis.core import QgsProcessingParameterDefinition
from qgis.gui import QgsProcessingGui
from qgis.PyQt.QtWidgets import QWidget

from ..core.arguments import Argument
from ..core.inference.foreign.description import is_foreign
from ..core.packages.summary import fixed_arguments, suggested_arguments
from .arguments_form import ArgumentsForm
from .function_fields import FunctionFields
from .model_widget import ModelWrapper, dialog_mode, usual_wrapper

MODEL = "MODEL"  # the parameter that the form follows


class ArgumentsWrapper(WidgetWrapper):
    """Puts the form into the dialog of a tool and follows the model that is chosen there."""

    form: ArgumentsForm
    _fields: FunctionFields
    _model: ModelWrapper | None = None

    def createWidget(self, arguments: Sequence[Argument]) -> QWidget:  # noqa: N802
        self.form = ArgumentsForm(arguments)
        self._fields = FunctionFields(self.form)
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
        if self._model is None:
            return
        field = self._model.field
        definition = field.definition
        # The fields of another model's function go before the form follows this one.
        self._fields.follow(field.text(), definition, field.allow_code)
        self.form.fix({} if definition is None else fixed_arguments(definition))
        self.form.suggest({} if definition is None else suggested_arguments(definition))
        # A network of another maker may not say all that is needed, then it has no definition.
        chosen = bool(field.line.text().strip())
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
        known = [Argument.of(each) for each in json.loads(arguments)]
        return ArgumentsWrapper(parameter, dialog, row, col, arguments=known)
