"""Removes an installed model."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingOutputString,
    QgsProcessingParameterString,
)

from ..core.packages.installation import uninstall
from ..core.progress import Progress
from .base import GeoDLAlgorithm


class UninstallModel(GeoDLAlgorithm):
    """Removes a model from the user's own folder of models."""

    NAME_PARAMETER = "NAME"
    REMOVED = "REMOVED"

    NAME = "uninstallmodel"
    LABEL = "Uninstall model"
    GROUP = "Models"
    GROUP_ID = "models"
    SUMMARY = (
        "Removes a model that the tool 'Install model' installed. The file that it was installed "
        "from stays where it is, and so do layers and reports that were made with it. The tool "
        "'List models' shows the names."
    )

    def add_parameters(self) -> None:
        self.add(
            QgsProcessingParameterString(self.NAME_PARAMETER, self.tr("Name")),
            self.tr("The name of the installed model, in any case: Trees and trees are the same."),
        )
        self.addOutput(QgsProcessingOutputString(self.REMOVED, self.tr("Name of the model")))

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        name = uninstall(self.text(parameters, self.NAME_PARAMETER, context))
        progress.info(f"'{name}' was removed.")
        return {self.REMOVED: name}
