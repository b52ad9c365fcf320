"""Find learning rate: how fast a network may learn from a training-data folder."""

from __future__ import annotations

import dataclasses
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingOutputNumber,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from ..core.learning.rate_options import RateOptions
from ..core.models.registry import model_types
from ..core.progress import Progress
from .base import GeoDLAlgorithm
from .parameters import DEVICE, PRECISION, add_device

_DEFAULTS = {field.name: field.default for field in dataclasses.fields(RateOptions)}


class FindLearningRate(GeoDLAlgorithm):
    """Trains for a few batches at growing rates and tells the best one."""

    INPUT = "INPUT"
    MODEL_TYPE = "MODEL_TYPE"
    BACKBONE = "BACKBONE"
    MODEL_ARGUMENTS = "MODEL_ARGUMENTS"
    WEIGHTS = "WEIGHTS"
    BATCH_SIZE = "BATCH_SIZE"
    OUTPUT = "OUTPUT"
    LEARNING_RATE = "LEARNING_RATE"

    NAME = "findlearningrate"
    LABEL = "Find learning rate"
    GROUP = "Models"
    GROUP_ID = "models"
    SUMMARY = (
        "Trains a network for up to 100 batches at growing learning rates and suggests the one "
        "at which its loss falls well. The report shows the curve; no model is kept.\n"
        "'Train model' does the same by itself when it is given no learning rate."
    )

    def add_parameters(self) -> None:
        self.add(
            QgsProcessingParameterFile(
                self.INPUT,
                self.tr("Training data"),
                behavior=QgsProcessingParameterFile.Behavior.Folder,
            ),
            self.tr("A folder that 'Export training data' made, or several with ';' between."),
        )
        self.add(
            QgsProcessingParameterEnum(
                self.MODEL_TYPE,
                self.tr("Model type"),
                [each.name for each in model_types()],
                optional=True,
                usesStaticStrings=True,
            ),
            self.tr("Default is the one that fits the data."),
        )
        for name, label, help_text in (
            (self.BACKBONE, self.tr("Backbone"), self.tr("The encoder, as in 'Train model'.")),
            (
                self.MODEL_ARGUMENTS,
                self.tr("Model arguments"),
                self.tr("The model type's own arguments as name=value;name=value."),
            ),
            (
                self.WEIGHTS,
                self.tr("Weights of the backbone"),
                self.tr("imagenet (downloaded once), none (random), or a file."),
            ),
        ):
            default = _DEFAULTS[name.lower()] or None
            self.add(QgsProcessingParameterString(name, label, default, optional=True), help_text)
        self.add(
            QgsProcessingParameterNumber(
                self.BATCH_SIZE,
                self.tr("Batch size (chips)"),
                QgsProcessingParameterNumber.Type.Integer,
                0,
                minValue=0,
            ),
            self.tr("That of the training: the rate depends on it. 0 chooses."),
        )
        add_device(self)
        self.add(
            QgsProcessingParameterFileDestination(
                self.OUTPUT, self.tr("Report"), "HTML files (*.html)"
            ),
            self.tr("One file with the curve, readable in any browser."),
        )
        self.addOutput(QgsProcessingOutputNumber(self.LEARNING_RATE, self.tr("Learning rate")))

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        options = RateOptions(
            input=self.text(parameters, self.INPUT, context),
            output=self.parameterAsFileOutput(parameters, self.OUTPUT, context),
            model_type=self.parameterAsEnumString(parameters, self.MODEL_TYPE, context) or "",
            backbone=self.text(parameters, self.BACKBONE, context) or _DEFAULTS["backbone"],
            model_arguments=self.text(parameters, self.MODEL_ARGUMENTS, context),
            weights=self.text(parameters, self.WEIGHTS, context) or _DEFAULTS["weights"],
            batch_size=self.parameterAsInt(parameters, self.BATCH_SIZE, context),
            device=self.text(parameters, DEVICE, context) or "auto",
            precision=self.parameterAsEnumString(parameters, PRECISION, context) or "auto",
        )
        options.training()
        result = self.run_worker("find_rate", dataclasses.asdict(options), progress)
        return {self.OUTPUT: result["report"], self.LEARNING_RATE: result["learning_rate"]}
