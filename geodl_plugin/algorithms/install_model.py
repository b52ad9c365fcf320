"""Installs a model, so that it is found by its name."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingOutputString,
    QgsProcessingParameterFile,
    QgsProcessingParameterString,
)

from ..core.packages.installation import install
from ..core.progress import Progress
from .base import GeoDLAlgorithm
from .raster_parameters import INPUT


class InstallModel(GeoDLAlgorithm):
    """Copies a model into the user's own folder of models."""

    NAME_PARAMETER = "NAME"
    INSTALLED = "INSTALLED"

    NAME = "installmodel"
    LABEL = "Install model"
    GROUP = "Models"
    GROUP_ID = "models"
    SUMMARY = (
        "Copies a model into your own folder of models, from where every tool takes it by its "
        "name instead of a path. The package is read to its end first: a damaged one, or one that "
        "would write outside its folder, is refused.\n"
        "A model of the same name is never replaced: uninstall it first."
    )

    def add_parameters(self) -> None:
        self.add(
            QgsProcessingParameterFile(INPUT, self.tr("Model")),
            self.tr("A model package (.dlpk), or a definition (.emd) with its files beside it."),
        )
        self.add(
            QgsProcessingParameterString(self.NAME_PARAMETER, self.tr("Name"), optional=True),
            self.tr("What the model is called from now on; empty takes the file's name."),
        )
        self.addOutput(QgsProcessingOutputString(self.INSTALLED, self.tr("Name of the model")))

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        name = install(
            self.text(parameters, INPUT, context),
            self.text(parameters, self.NAME_PARAMETER, context),
            progress,
        )
        progress.info(f"'{name}' is installed: use the name wherever a tool wants a model.")
        return {self.INSTALLED: name}
