"""What all tools share: identity, help, errors, progress, the worker, styled outputs."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterVectorDestination,
    QgsRectangle,
    QgsSettings,
)
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtGui import QIcon

from .. import paths
from ..core.errors import CancelledError, FileError, GeoDLError, InputError
from ..core.geo.vector_writer import driver_of
from ..core.overwriting import refuse_inputs
from ..core.places import unquoted
from ..core.progress import Progress
from ..worker.client import run_task
from .named_files import named_files
from .styling import LayerStyler

PYTHON_SETTING = "geodl/python"


class FeedbackProgress(Progress):
    """Shows progress through Processing's feedback."""

    def __init__(self, feedback: QgsProcessingFeedback) -> None:
        self.feedback = feedback
        self._message = ""

    def update(self, fraction: float, message: str = "") -> None:
        self.feedback.setProgress(100.0 * fraction)
        if message and message != self._message:
            self._message = message
            self.feedback.setProgressText(message)

    def epoch(self, record: dict[str, Any]) -> None:
        figures = ", ".join(
            f"{name.replace('_', ' ')} {value:.4g}"
            for name, value in record.items()
            if isinstance(value, float)
        )
        self.feedback.pushInfo(f"Epoch {record.get('epoch')} of {record.get('epochs')}: {figures}")

    def info(self, message: str) -> None:
        self.feedback.pushInfo(message)

    def warn(self, message: str) -> None:
        if hasattr(self.feedback, "pushWarning"):
            self.feedback.pushWarning(message)
        else:
            self.feedback.reportError(message)

    def cancelled(self) -> bool:
        return self.feedback.isCanceled()


class GeoDLAlgorithm(QgsProcessingAlgorithm):
    """The base of every tool.

    A tool sets the identity attributes, adds its parameters in :meth:`add_parameters` and
    works in :meth:`work`, which raises :class:`GeoDLError` for whatever the user can mend.
    """

    NAME = ""
    LABEL = ""
    GROUP = ""
    GROUP_ID = ""
    SUMMARY = ""
    CANCELLED = "Cancelled: nothing was kept."

    def __init__(self) -> None:
        super().__init__()
        self._stylers: dict[str, tuple[LayerStyler, str]] = {}
        self._scratch: Path | None = None

    # Identity

    def name(self) -> str:
        return self.NAME

    def displayName(self) -> str:  # noqa: N802
        return QCoreApplication.translate("GeoDL", self.LABEL)

    def group(self) -> str:
        return QCoreApplication.translate("GeoDL", self.GROUP)

    def groupId(self) -> str:  # noqa: N802
        return self.GROUP_ID

    def icon(self) -> QIcon:
        return QIcon(str(paths.ICON))

    def createInstance(self, config: dict[str, Any] | None = None) -> GeoDLAlgorithm:  # noqa: N802
        return type(self)()

    def shortDescription(self) -> str:  # noqa: N802
        return self.SUMMARY.split("\n", 1)[0]

    def shortHelpString(self) -> str:  # noqa: N802
        """Compose the tool's help from its summary and the help of its parameters."""
        lines = [self.SUMMARY.strip(), ""]
        for parameter in self.parameterDefinitions():
            if parameter.help():
                lines.append(f"{parameter.description()}: {parameter.help()}")
        return "\n".join(lines)

    # Parameters

    def add_parameters(self) -> None:
        """Add the tool's parameters and outputs; every tool has its own."""

    def initAlgorithm(self, config: dict[str, Any] | None = None) -> None:  # noqa: N802
        self.add_parameters()

    def add(
        self, parameter: QgsProcessingParameterDefinition, help_text: str, advanced: bool = False
    ) -> None:
        """Add a parameter with its help."""
        parameter.setHelp(help_text)
        if advanced:
            parameter.setFlags(
                parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced
            )
        self.addParameter(parameter)

    def checkParameterValues(  # noqa: N802
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        """Say which value is wrong and what to do, where QGIS names only the parameter."""
        good, message = super().checkParameterValues(parameters, context)
        if good:
            return good, message
        for parameter in self.parameterDefinitions():
            value = parameters.get(parameter.name(), parameter.defaultValue())
            if not parameter.checkValueIsAcceptable(value, context):
                return False, self._refusal(parameter, _refused(parameter, value, context))
        return good, message

    def _refusal(self, parameter: QgsProcessingParameterDefinition, value: Any) -> str:
        label = f"'{parameter.description()}' ({parameter.name()})"
        if value in (None, "", []):
            return self.tr("{} is missing. Give a value for it.").format(label)
        shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        return self.tr("'{}' cannot be used for {}. Give another value.").format(shown, label)

    # Work

    def work(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        progress: Progress,
    ) -> dict[str, Any]:
        """Do the work and return the outputs by name; every tool has its own."""
        return {}

    def processAlgorithm(  # noqa: N802
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        try:
            refuse_inputs(*named_files(self, parameters, context))
            return self.work(parameters, context, FeedbackProgress(feedback))
        except CancelledError:
            feedback.pushInfo(self.tr(self.CANCELLED))
            return {}
        except GeoDLError as error:
            raise QgsProcessingException(str(error)) from error
        except OSError as error:
            raise QgsProcessingException(str(FileError.of(error))) from error
        finally:
            if self._scratch is not None:
                shutil.rmtree(self._scratch, ignore_errors=True)
                self._scratch = None

    def scratch(self) -> Path:
        """Return a folder for temporary files, which are removed after the run."""
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="geodl-"))
        return self._scratch

    def run_worker(self, task: str, options: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Run a task in the worker process and return its result."""
        return run_task(task, options, progress, python=QgsSettings().value(PYTHON_SETTING) or None)

    # Values of parameters

    def text(self, parameters: dict[str, Any], name: str, context: QgsProcessingContext) -> str:
        """Return a text parameter without blanks and quotes around it."""
        return unquoted(self.parameterAsString(parameters, name, context) or "")

    def output_path(
        self, parameters: dict[str, Any], name: str, context: QgsProcessingContext
    ) -> str:
        """Return where a vector or raster output is to be written; refuse what cannot be."""
        path = self.parameterAsOutputLayer(parameters, name, context)
        if path.startswith(("ogr:", "postgres:", "memory:")):
            raise InputError(
                f"'{path}' is not a file. Choose a file for the result, a GeoPackage for example."
            )
        if path and isinstance(
            self.parameterDefinition(name), QgsProcessingParameterVectorDestination
        ):
            driver_of(path)
        return path

    def fetch_extent(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        crs: QgsCoordinateReferenceSystem,
    ) -> QgsRectangle | None:
        """Return what is needed of a raster that must be fetched; ``None`` for all of it."""
        if self.parameterDefinition("EXTENT") is None or not parameters.get("EXTENT"):
            return None
        extent = self.parameterAsExtent(parameters, "EXTENT", context, crs)
        return None if extent.isNull() else extent

    def style_output(self, path: str, styler: LayerStyler, title: str) -> None:
        """Have a result layer styled and named when QGIS loads it, and its file carry the style.

        Processing calls a post-processor only while something keeps it alive: this tool does.
        """
        styler.write_style(path)
        self._stylers[path] = (styler, title)

    def postProcessAlgorithm(  # noqa: N802
        self, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        for path, (styler, title) in self._stylers.items():
            if context.willLoadLayerOnCompletion(path):
                details = context.layerToLoadOnCompletionDetails(path)
                output = self.parameterDefinition(details.outputName)
                if not details.name or (output and details.name == output.description()):
                    details.name = title  # else the user or a model has named it
                details.setPostProcessor(styler)
                _KEPT.append(styler)
        return {}

    def tr(self, text: str) -> str:
        """Translate a literal of the base class."""
        return QCoreApplication.translate("GeoDL", text)


def _refused(
    parameter: QgsProcessingParameterDefinition, value: Any, context: QgsProcessingContext
) -> Any:
    """Return of several values, hundreds of rasters say, the one that cannot be used."""
    if isinstance(value, (list, tuple)) and len(value) > 1:
        for each in value:
            if not parameter.checkValueIsAcceptable([each], context):
                return each
    return value


# Post-processors run after the algorithm is gone.
_KEPT: list[LayerStyler] = []
