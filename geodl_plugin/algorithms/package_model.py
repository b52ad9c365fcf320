"""Packs a model definition and its files into one file."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMultipleLayers,
)

from ..core.packages.installation import pack
from ..core.progress import Progress
from .base import GeoDLAlgorithm
from .raster_parameters import INPUT


class PackageModel(GeoDLAlgorithm):
    """Writes a model package (.dlpk)."""

    FILES = "FILES"
    OUTPUT = "OUTPUT"

    NAME = "packagemodel"
    LABEL = "Package model"
    GROUP = "Models"
    GROUP_ID = "models"
    SUMMARY = (
        "Packs a model definition (.emd) and the files that it names, its weights and inference "
        "function, into one model package (.dlpk), as ArcGIS does it. What the definition names "
        "must lie beside it; nothing else is packed but the files that you add."
    )

    def add_parameters(self) -> None:
        self.add(
            QgsProcessingParameterFile(INPUT, self.tr("Model definition"), extension="emd"),
            self.tr("The .emd file; what it names lies in the same folder."),
        )
        self.add(
            QgsProcessingParameterMultipleLayers(
                self.FILES,
                self.tr("More files"),
                QgsProcessing.SourceType.TypeFile,
                optional=True,
            ),
            self.tr("Other files for the package, model_metrics.html for example."),
        )
        self.add(
            QgsProcessingParameterFileDestination(
                self.OUTPUT, self.tr("Model package"), self.tr("Model packages") + " (*.dlpk)"
            ),
            self.tr("The .dlpk file; its definition takes the same name."),
        )

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        output = self.parameterAsFileOutput(parameters, self.OUTPUT, context)
        files = self.parameterAsFileList(parameters, self.FILES, context)
        pack(self.text(parameters, INPUT, context), files, output)
        return {self.OUTPUT: output}
