"""Applies a trained model to a raster of the project and adds the styled result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import processing
from processing.gui.Postprocessing import handleAlgorithmResults
from qgis.core import (
    QgsApplication,
    QgsFileUtils,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputLayerDefinition,
    QgsProject,
    QgsRasterLayer,
)

from ..core.errors import GeoDLError, ModelError
from ..core.models.registry import Task
from ..core.packages.archive import peek_definition

TOOLS = {
    Task.DETECTION: "geodl:detectobjects",
    Task.PIXELS: "geodl:classifypixels",
    Task.OBJECTS: "geodl:classifyobjects",
    Task.INSTANCES: "geodl:detectobjects",
    Task.CHANGE: "geodl:detectchange",
}
# How the files are called that a tool makes of a raster alone.
RESULTS = {
    Task.DETECTION: ("detections", ".gpkg"),
    Task.INSTANCES: ("objects", ".gpkg"),
    Task.PIXELS: ("classes", ".tif"),
}
# What other models need, besides a raster, and the tool that takes it.
_NEEDS = {
    Task.OBJECTS: ("classifies objects and needs their outlines", "Classify objects"),
    Task.CHANGE: ("detects change and needs rasters of two dates", "Detect change"),
}
_open_dialogs: list[Any] = []


class ModelApplication:
    """One run of a model over a raster, as a task of QGIS that shows in its task manager.

    Args:
        model: path of the package.
        layer: the raster.
        folder: where the result goes.
        ended: told by a sentence and whether it went well, in the window's thread.

    Raises:
        GeoDLError: when the model has no tool that needs a raster alone.
    """

    def __init__(
        self,
        model: str,
        layer: QgsRasterLayer,
        folder: str,
        ended: Callable[[bool, str], None],
    ) -> None:
        task = task_of(model)
        if task not in RESULTS:
            what, tool = _NEEDS[task]
            raise ModelError(f"This model {what}. Use the tool '{tool}'.")
        suffix, extension = RESULTS[task]
        self._ended = ended
        self._name = layer.name()
        self._tool = QgsApplication.processingRegistry().createAlgorithmById(TOOLS[task])
        if self._tool is None:
            raise GeoDLError(f"There is no tool '{TOOLS[task]}'. Enable GeoDL in Processing.")
        name = QgsFileUtils.stringToSafeFilename(f"{layer.name()} {suffix}")
        self.output = _free_path(Path(folder), name, extension)
        destination = QgsProcessingOutputLayerDefinition(str(self.output), QgsProject.instance())
        self._parameters: dict[str, Any] = {
            "INPUT": [layer.id()],
            "MODEL": model,
            "OUTPUT": destination,
        }
        self._context = QgsProcessingContext()
        self._context.setProject(QgsProject.instance())
        self.feedback = QgsProcessingFeedback()

    def start(self) -> None:
        """Hand the run to QGIS's task manager."""
        self._task = QgsProcessingAlgRunnerTask(
            self._tool, self._parameters, self._context, self.feedback
        )
        self._task.executed.connect(self._finish)
        QgsApplication.taskManager().addTask(self._task)

    def cancel(self) -> None:
        """End the run."""
        self.feedback.cancel()

    def _finish(self, successful: bool, results: dict[str, Any]) -> None:
        if successful and results and not self.feedback.isCanceled():
            handleAlgorithmResults(
                self._tool, self._context, self.feedback, parameters=self._parameters
            )
            self._ended(True, f"The result for '{self._name}' was added to the project.")
        elif self.feedback.isCanceled():
            self._ended(False, "Cancelled: the model was kept, but not applied.")
        else:
            self._ended(False, _last_error(self.feedback))


def task_of(model: str) -> Task:
    """Return what a model answers; raise :class:`ModelError` when it is not readable."""
    return Task(peek_definition(model).task)


def open_tool(model: str) -> None:
    """Open the dialog of the tool that applies a model, filled in with it."""
    open_dialog(TOOLS[task_of(model)], {"MODEL": model})


def open_dialog(tool: str, parameters: dict[str, Any]) -> Any:
    """Open the dialog of a tool, filled in, and return it; ``None`` without such a tool."""
    dialog = processing.createAlgorithmDialog(tool, parameters)
    if dialog is not None:
        # Written in Python, the dialog does nothing once Python has let go of it.
        _open_dialogs.append(dialog)
        dialog.destroyed.connect(lambda: _open_dialogs.remove(dialog))
        dialog.show()
    return dialog


def _free_path(folder: Path, stem: str, extension: str) -> Path:
    """Return a path that no file has: a layer of the project may still show the last result."""
    path = folder / f"{stem}{extension}"
    number = 2
    while path.exists():
        path = folder / f"{stem} {number}{extension}"
        number += 1
    return path


def _last_error(feedback: QgsProcessingFeedback) -> str:
    lines = [line for line in feedback.textLog().splitlines() if line.strip()]
    return lines[-1] if lines else "The model could not be applied."
