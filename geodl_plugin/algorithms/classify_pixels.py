"""Gives every pixel of rasters a class with a trained model."""

from __future__ import annotations

import json
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingOutputString,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterVectorDestination,
)

from ..core.inference.checks import open_pixels, result_classes
from ..core.inference.options import PIXEL_ARGUMENTS, PixelOptions
from ..core.inference.pixel_items import pixel_items
from ..core.models.registry import Task
from ..core.progress import Progress
from .inference import InferenceAlgorithm
from .raster_parameters import add_processing_mode, is_separate
from .styling import ClassRasterStyler, ClassStyler, ProbabilityStyler


class ClassifyPixels(InferenceAlgorithm):
    """Applies a segmentation network to rasters and writes a class raster."""

    OUTPUT = "OUTPUT"
    PROBABILITIES = "PROBABILITIES"
    POLYGONS = "POLYGONS"
    SIMPLIFY = "SIMPLIFY"
    MIN_AREA = "MIN_AREA"
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
        add_processing_mode(
            self,
            self.tr(
                "MOSAIC joins several rasters to one. SEPARATE classifies one after the other, of "
                "any data type and cell size: a GeoTIFF for each in a folder named like the "
                "output, which is a virtual raster (.vrt) of all."
            ),
        )
        self.add_limits()
        self.add(
            QgsProcessingParameterRasterDestination(self.OUTPUT, self.tr("Classified pixels")),
            self.tr("A GeoTIFF of class values; a .vrt where rasters are classified one by one."),
        )
        self._add_more_results()
        self.addOutput(
            QgsProcessingOutputString(self.PIXEL_COUNTS, self.tr("Pixels of each class (JSON)"))
        )

    def _add_more_results(self) -> None:
        self.add(
            QgsProcessingParameterRasterDestination(
                self.PROBABILITIES,
                self.tr("Probabilities"),
                optional=True,
                createByDefault=False,
            ),
            self.tr("A GeoTIFF with a band for each class: its probability in percent."),
        )
        self.add(
            QgsProcessingParameterVectorDestination(
                self.POLYGONS,
                self.tr("Polygons"),
                QgsProcessing.SourceType.TypeVectorPolygon,
                optional=True,
                createByDefault=False,
            ),
            self.tr("The regions of the classes; the background makes none."),
        )
        for name, label, unit, help_text in (
            (
                self.SIMPLIFY,
                self.tr("Simplify polygons (map units)"),
                QgsProcessingParameterNumber.Type.Double,
                self.tr(
                    "Bends that cover less than its square are straightened, and with them the "
                    "ends of narrow parts go; neighbours keep a common border. 0 keeps the edges "
                    "of the pixels."
                ),
            ),
            (
                self.MIN_AREA,
                self.tr("Least area of a polygon (square map units)"),
                QgsProcessingParameterNumber.Type.Double,
                self.tr("Smaller polygons are left out."),
            ),
        ):
            number = QgsProcessingParameterNumber(name, label, unit, 0.0, minValue=0.0)
            self.add(number, help_text, advanced=True)

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
            separate=is_separate(self, parameters, context),
            probabilities=self.output_path(parameters, self.PROBABILITIES, context),
            polygons=self.output_path(parameters, self.POLYGONS, context),
            simplify=self.parameterAsDouble(parameters, self.SIMPLIFY, context),
            min_area=self.parameterAsDouble(parameters, self.MIN_AREA, context),
        )
        with open_pixels(pixel_items(options)[0] if options.is_each else options) as job:
            schema = result_classes(job.model, options)
        result = self.infer(options, progress)
        styler = ClassRasterStyler(schema)
        self.style_output(options.output, styler, self.tr("Classified pixels"))
        outputs = {self.OUTPUT: options.output}
        if options.probabilities:
            outputs[self.PROBABILITIES] = options.probabilities
            title = self.tr("Probabilities")
            self.style_output(options.probabilities, ProbabilityStyler(), title)
        if options.polygons:
            outputs[self.POLYGONS] = options.polygons
            shown = schema.subset([value for value in schema.values if value])
            polygons = ClassStyler.of_schema(shown, "Class", filled=True)
            self.style_output(options.polygons, polygons, self.tr("Polygons of classes"))
        counts = json.dumps(result["pixel_counts"], ensure_ascii=False)
        return {**outputs, self.PIXEL_COUNTS: counts}
