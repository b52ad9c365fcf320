"""Gives every pixel of rasters a class with a trained model."""

from __future__ import annotations

import json
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingOutputString,
    QgsProcessingParameterRasterDestination,
)

from ..core.inference.checks import open_pixels, with_background
from ..core.inference.options import PIXEL_ARGUMENTS, PixelOptions
from ..core.models.registry import Task
from ..core.progress import Progress
from .inference import InferenceAlgorithm
from .styling import ClassRasterStyler


class ClassifyPixels(InferenceAlgorithm):
    """Applies a segmentation network to rasters and writes a class raster."""

    OUTPUT = "OUTPUT"
    PIXEL_COUNTS = "PIXEL_COUNTS"

    NAME = "classifypixels"
    LABEL = "Classify pixels"
    SUMMARY = (
        "Gives every pixel of rasters of any size a class with a trained network. The result is "
        "a Cloud Optimized GeoTIFF with class names, colours and an attribute table; it has no "
        "data where the rasters have none, and the tiles do not show in it."
    )
    TASK = "classify_pixels"
    MODEL_TASK = Task.PIXELS
    OPTIONS = PixelOptions
    ARGUMENT_NAMES = PIXEL_ARGUMENTS

    def add_parameters(self) -> None:
        self.add_model_parameters()
        self.add_limits()
        self.add(
            QgsProcessingParameterRasterDestination(self.OUTPUT, self.tr("Classified pixels")),
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
        options = self.read_options(parameters, context, self.OUTPUT, progress)
        with open_pixels(options) as job:
            schema = job.model.schema
        if options.predict_background:
            schema = with_background(schema)
        result = self.infer(options, progress)
        styler = ClassRasterStyler(schema)
        self.style_output(options.output, styler, self.tr("Classified pixels"))
        counts = json.dumps(result["pixel_counts"], ensure_ascii=False)
        return {self.OUTPUT: options.output, self.PIXEL_COUNTS: counts}
