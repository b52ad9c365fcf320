"""Tells what has changed between rasters of two dates with a trained model."""

from __future__ import annotations

import json
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingOutputString,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterRasterDestination,
)

from ..core.arguments import arguments_of
from ..core.errors import InputError
from ..core.inference.checks import open_change, result_classes
from ..core.inference.options import PIXEL_ARGUMENTS, ChangeOptions
from ..core.models.registry import Task
from ..core.progress import Progress
from .inference import InferenceAlgorithm
from .parameters import add_model
from .raster_parameters import add_input, layers_of, read_layers
from .styling import ClassRasterStyler


class DetectChange(InferenceAlgorithm):
    """Applies a change detector to rasters of two dates and writes a class raster."""

    INPUT_2 = "INPUT_2"
    OUTPUT = "OUTPUT"
    PIXEL_COUNTS = "PIXEL_COUNTS"

    NAME = "detectchange"
    LABEL = "Detect change"
    SUMMARY = (
        "Tells for every pixel what has changed between rasters of two dates, with a network of "
        "the type CHANGEDETECTOR. The result lies on the grid of the first date and is a Cloud "
        "Optimized GeoTIFF with class names, colours and an attribute table; it has no data where "
        "one of the dates has none."
    )
    TASK = "detect_change"
    MODEL_TASK = Task.CHANGE
    OPTIONS = ChangeOptions
    ARGUMENT_NAMES = PIXEL_ARGUMENTS

    def add_parameters(self) -> None:
        add_input(self)
        self.add(
            QgsProcessingParameterMultipleLayers(
                self.INPUT_2,
                self.tr("Rasters of the later date"),
                QgsProcessing.SourceType.TypeRaster,
            ),
            self.tr(
                "The same place at the later date, in the same bands and coordinate reference "
                "system. They are resampled to the grid of the first date."
            ),
        )
        add_model(self, self.MODEL_TASK, arguments_of(self.OPTIONS, self.ARGUMENT_NAMES))
        self.add_limits()
        self.add(
            QgsProcessingParameterRasterDestination(self.OUTPUT, self.tr("Change")),
            self.tr("A GeoTIFF of class values."),
        )
        self.addOutput(
            QgsProcessingOutputString(self.PIXEL_COUNTS, self.tr("Pixels of each class (JSON)"))
        )

    def work(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        progress: Progress,
    ) -> dict[str, Any]:
        options = self.read_options(
            parameters,
            context,
            self.OUTPUT,
            progress,
            second=self._later(parameters, context, progress),
        )
        with open_change(options) as job:
            schema = result_classes(job.model, options)
        result = self.infer(options, progress)
        self.style_output(options.output, ClassRasterStyler(schema), self.tr("Change"))
        counts = json.dumps(result["pixel_counts"], ensure_ascii=False)
        return {self.OUTPUT: options.output, self.PIXEL_COUNTS: counts}

    def _later(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> list[str]:
        """Return the sources of the rasters of the later date."""
        layers = layers_of(self, parameters, self.INPUT_2, context)
        if not layers:
            raise InputError("No raster of the later date is given. Choose one for INPUT_2.")
        return read_layers(self, layers, parameters, context, progress)
