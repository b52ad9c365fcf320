"""Checks a training-data folder and shows what is in it."""

from __future__ import annotations

import dataclasses
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
)

from ..core.chips.inspect import InspectionOptions, inspect
from ..core.progress import Progress
from .base import GeoDLAlgorithm
from .parameters import AUGMENTATION, AUGMENTATION_PARAMETERS, add_augmentation
from .raster_parameters import INPUT


class InspectTrainingData(GeoDLAlgorithm):
    """Reports what is wrong with training data, and what it looks like."""

    ROWS = "ROWS"
    AUGMENT = "AUGMENT"
    SEED = "SEED"
    OUTPUT = "OUTPUT"
    CHIP_COUNT = "CHIP_COUNT"
    PROBLEM_COUNT = "PROBLEM_COUNT"

    NAME = "inspecttrainingdata"
    LABEL = "Inspect training data"
    GROUP = "Training data"
    GROUP_ID = "trainingdata"
    SUMMARY = (
        "Checks a folder of training data and says what is wrong, chip by chip. The report also "
        "shows how many samples each class has, how large the objects are, the statistics of the "
        "bands, and a contact sheet of chips with their labels.\n"
        "Problems that stop training are told apart from those that are worth a look."
    )

    def add_parameters(self) -> None:
        self.add(
            QgsProcessingParameterFile(
                INPUT,
                self.tr("Training data"),
                behavior=QgsProcessingParameterFile.Behavior.Folder,
            ),
            self.tr("A folder that 'Export training data' made, or one of another program."),
        )
        self.add(
            QgsProcessingParameterNumber(
                self.ROWS,
                self.tr("Rows of the contact sheet"),
                QgsProcessingParameterNumber.Type.Integer,
                4,
                minValue=0,
                maxValue=250,
            ),
            self.tr("Each has four chips. They are chosen so that every class appears."),
        )
        self.add(
            QgsProcessingParameterBoolean(
                self.AUGMENT, self.tr("Show the chips as a network sees them"), False
            ),
            self.tr(
                "Cut, turned, mirrored, lighter and darker at random, as in training; the "
                "augmentation below says how much. This needs the deep learning libraries; chips "
                "as they are stored need none."
            ),
        )
        add_augmentation(self)
        self.add(
            QgsProcessingParameterNumber(
                self.SEED,
                self.tr("Random seed"),
                QgsProcessingParameterNumber.Type.Integer,
                42,
                minValue=0,
                maxValue=2**31 - 1,
            ),
            self.tr("The same number shows the same chips."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterFileDestination(
                self.OUTPUT, self.tr("Report"), "HTML files (*.html)"
            ),
            self.tr("One file, readable in any browser, also on a phone."),
        )
        self.addOutput(QgsProcessingOutputNumber(self.CHIP_COUNT, self.tr("Number of chips")))
        self.addOutput(QgsProcessingOutputNumber(self.PROBLEM_COUNT, self.tr("Number of problems")))

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        options = InspectionOptions(
            folder=self.text(parameters, INPUT, context),
            report=self.parameterAsFileOutput(parameters, self.OUTPUT, context),
            rows=self.parameterAsInt(parameters, self.ROWS, context),
            seed=self.parameterAsInt(parameters, self.SEED, context),
            augment=self.parameterAsBoolean(parameters, self.AUGMENT, context),
            augmentation=self.parameterAsEnumString(parameters, AUGMENTATION, context),
            augmentation_parameters=self.text(parameters, AUGMENTATION_PARAMETERS, context),
        )
        if options.augment:
            result = self.run_worker("inspect", dataclasses.asdict(options), progress)
        else:
            result = inspect(options, progress)
        return {
            self.OUTPUT: options.report,
            self.CHIP_COUNT: result["chips"],
            self.PROBLEM_COUNT: result["problems"],
        }
