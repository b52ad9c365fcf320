"""Lists the installed models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterFileDestination,
)

from ..core import pages
from ..core.packages.installation import list_models
from ..core.packages.listing import listing_page
from ..core.progress import Progress
from .base import GeoDLAlgorithm


class ListModels(GeoDLAlgorithm):
    """Says which models are installed."""

    OUTPUT = "OUTPUT"
    MODELS = "MODELS"
    MODEL_COUNT = "MODEL_COUNT"

    NAME = "listmodels"
    LABEL = "List models"
    GROUP = "Models"
    GROUP_ID = "models"
    SUMMARY = (
        "Lists the models that the tool 'Install model' installed: name, what each does, classes, "
        "network, size and date. A tool that wants a model takes these names instead of a path."
    )

    def add_parameters(self) -> None:
        self.add(
            QgsProcessingParameterFileDestination(
                self.OUTPUT, self.tr("Report"), "HTML files (*.html)"
            ),
            self.tr("One file, readable in any browser, also on a phone."),
        )
        self.addOutput(QgsProcessingOutputString(self.MODELS, self.tr("Models (JSON)")))
        self.addOutput(QgsProcessingOutputNumber(self.MODEL_COUNT, self.tr("Number of models")))

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        models = list_models()
        for each in models:
            progress.info(f"{each['name']}: {each.get('summary') or each.get('problem')}")
        report = self.parameterAsFileOutput(parameters, self.OUTPUT, context)
        pages.write(Path(report), listing_page(models))
        return {
            self.OUTPUT: report,
            self.MODELS: json.dumps(models, ensure_ascii=False),
            self.MODEL_COUNT: len(models),
        }
