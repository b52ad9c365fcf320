"""Tells what a model is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingOutputString,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterString,
)

from ..core import pages
from ..core.packages.information import information, page
from ..core.progress import Progress
from .base import GeoDLAlgorithm
from .parameters import MODEL, MODEL_WIDGET


class ModelInfo(GeoDLAlgorithm):
    """Writes what is known of a model."""

    OUTPUT = "OUTPUT"
    INFO = "INFO"

    NAME = "modelinfo"
    LABEL = "Model information"
    GROUP = "Models"
    GROUP_ID = "models"
    SUMMARY = (
        "Tells what a model is: what it answers, of which classes, from which bands, chip and "
        "cell size, how it was trained and how good it was, and the arguments it takes. Of "
        "others' models it tells as much as they say, and whether GeoDL can apply them.\n"
        "Packages and definitions are read without the deep learning libraries; an ONNX file "
        "(.onnx) needs them."
    )

    def add_parameters(self) -> None:
        model = QgsProcessingParameterString(MODEL, self.tr("Model"))
        model.setMetadata({"widget_wrapper": {"class": MODEL_WIDGET, "task": ""}})
        self.add(
            model,
            self.tr(
                "Path of a model package (.dlpk), definition (.emd) or network (.onnx), the name "
                "of an installed model, or the definition's JSON."
            ),
        )
        self.add(
            QgsProcessingParameterFileDestination(
                self.OUTPUT, self.tr("Report"), "HTML files (*.html)"
            ),
            self.tr("One file, readable in any browser, also on a phone."),
        )
        self.addOutput(QgsProcessingOutputString(self.INFO, self.tr("Information (JSON)")))

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        model = self.text(parameters, MODEL, context)
        if model.lower().endswith(".onnx"):
            info = self.run_worker("describe_onnx", {"model": model}, progress)
        else:
            info = information(model)
        progress.info(str(info.get("summary") or info["name"]))
        report = self.parameterAsFileOutput(parameters, self.OUTPUT, context)
        pages.write(Path(report), page(info))
        return {self.OUTPUT: report, self.INFO: json.dumps(info, ensure_ascii=False)}
