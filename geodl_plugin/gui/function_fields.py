"""Asks a model's Python function for its arguments and shows them in a tool's dialog."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QCoreApplication, QObject

from ..algorithms.base import PYTHON_SETTING
from ..core.arguments import Argument
from ..core.errors import ModelError
from ..core.inference.foreign.description import is_foreign
from ..core.inference.foreign.functions import function_of
from ..core.models.registry import Task
from ..core.packages.definition import ModelDefinition
from ..core.places import temporary_folder
from ..core.progress import Progress
from ..worker.client import run_task
from .arguments_form import ArgumentsForm
from .training_thread import TrainingThread


class FunctionThread(TrainingThread):
    """Follows a worker that asks a function, whose code may run, for its parameters.

    The result has ``arguments``.
    """

    def __init__(self, model: str) -> None:
        python = QgsSettings().value(PYTHON_SETTING) or None
        super().__init__({"model": model, "allow_code": True}, python, "describe_function")

    def work(self, progress: Progress) -> dict[str, Any]:
        """Ask, and remove what was unpacked even where the worker was ended by force."""
        with temporary_folder("function") as folder:
            options = {**self._options, "folder": str(folder)}
            result = run_task(self._task, options, progress, self._python)
        return {"arguments": [Argument.of(each) for each in result["arguments"]]}


class FunctionFields(QObject):
    """Keeps the fields of a form those of the model that is chosen; goes with the form."""

    def __init__(self, form: ArgumentsForm) -> None:
        super().__init__(form)
        self._form = form
        self._asked: tuple[str, str] | None = None
        self._thread: FunctionThread | None = None

    def follow(self, model: str, definition: ModelDefinition | None, consent: bool) -> None:
        """Ask the function of a model that has been chosen, or show that there is none.

        Args:
            model: its path or JSON.
            definition: of it; ``None`` where it cannot be used.
            consent: whether its author's code may run; nothing of it runs without.
        """
        asked = None
        if consent and definition is not None and has_function(definition):
            asked = (model, definition.to_json())
        if asked == self._asked:
            return  # the same model was looked at again
        self._stop()
        self._asked = asked
        self._form.tell("")
        self._form.show_function(())
        if asked is not None:
            self._ask(model)

    def _ask(self, model: str) -> None:
        self._thread = FunctionThread(model)
        self._thread.succeeded.connect(self._show)
        self._thread.failed.connect(self._fail)
        # The dialog may be closed while the function takes its time.
        self.destroyed.connect(self._thread.cancel)
        self._form.tell(self.tr("Reading the model's arguments…"))
        self._thread.start()

    def _stop(self) -> None:
        if self._thread is not None:
            self._thread.cancel()
            self._thread = None

    def _show(self, result: dict[str, Any]) -> None:
        if self._is_awaited():
            self._form.tell("")
            self._form.show_function(result["arguments"])

    def _fail(self, message: str) -> None:
        if self._is_awaited():
            self._form.tell(message, is_error=True)

    def _is_awaited(self) -> bool:
        """Return whether an answer is that to the last question; no other one counts."""
        awaited = self._thread is not None and self.sender() is self._thread
        if awaited:
            self._thread = None
        return awaited

    def tr(self, text: str) -> str:
        """Translate a literal."""
        return QCoreApplication.translate("GeoDL", text)


def has_function(definition: ModelDefinition) -> bool:
    """Return whether a model's author has a function that a tool would run, with consent."""
    # No tool hands two dates over to a function.
    if not is_foreign(definition) or definition.task == Task.CHANGE.value:
        return False
    try:
        return bool(function_of(definition, allow_code=True))
    except ModelError:
        return False
