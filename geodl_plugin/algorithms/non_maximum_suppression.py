"""Leaves of overlapping detections only the most certain one."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterNumber,
    QgsProcessingParameterVectorDestination,
)

from ..core.inference.suppression import SuppressionOptions, suppress_layer
from ..core.progress import Progress
from .base import GeoDLAlgorithm
from .parameters import vector_source
from .raster_parameters import INPUT
from .styling import SameStyler

_CONFIDENCE = "Confidence"


class NonMaximumSuppression(GeoDLAlgorithm):
    """Removes duplicates from a layer of detections."""

    CONFIDENCE_FIELD = "CONFIDENCE_FIELD"
    CLASS_FIELD = "CLASS_FIELD"
    MAX_OVERLAP_RATIO = "MAX_OVERLAP_RATIO"
    OUTPUT = "OUTPUT"
    REMOVED_COUNT = "REMOVED_COUNT"

    NAME = "nonmaximumsuppression"
    LABEL = "Non maximum suppression"
    GROUP = "Inference"
    GROUP_ID = "inference"
    SUMMARY = (
        "Where detections of a class overlap, keeps the most certain one: for detections of "
        "several runs or models, or of 'Detect objects' without its own suppression. Shapes are "
        "compared as they are, turned boxes and outlines too."
    )

    def add_parameters(self) -> None:
        self.add(
            QgsProcessingParameterFeatureSource(
                INPUT, self.tr("Detections"), [QgsProcessing.SourceType.TypeVectorPolygon]
            ),
            self.tr("Polygons with a confidence. The layer is not changed."),
        )
        self.add(
            QgsProcessingParameterField(
                self.CONFIDENCE_FIELD,
                self.tr("Confidence field"),
                _CONFIDENCE,
                parentLayerParameterName=INPUT,
                optional=True,  # QGIS 3.22 asks for a value in spite of the default
            ),
            self.tr("The larger its number, the more certain is the detection."),
        )
        self.add(
            QgsProcessingParameterField(
                self.CLASS_FIELD,
                self.tr("Class field"),
                parentLayerParameterName=INPUT,
                optional=True,
            ),
            self.tr(
                "Detections of different classes stay, however much they overlap. Default is "
                "Class, Classvalue or Value; without these all are of one class."
            ),
        )
        self.add(
            QgsProcessingParameterNumber(
                self.MAX_OVERLAP_RATIO,
                self.tr("Maximum overlap ratio"),
                QgsProcessingParameterNumber.Type.Double,
                0.0,
                minValue=0.0,
                maxValue=1.0,
            ),
            self.tr(
                "Two detections may share this part of the area that they cover together "
                "(intersection over union). 0: they must not overlap."
            ),
        )
        self.add(
            QgsProcessingParameterVectorDestination(
                self.OUTPUT,
                self.tr("Detections without duplicates"),
                QgsProcessing.SourceType.TypeVectorPolygon,
            ),
            self.tr("The kept ones with all their fields, in their order."),
        )
        self.addOutput(QgsProcessingOutputNumber(self.REMOVED_COUNT, self.tr("Removed")))

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        output = self.output_path(parameters, self.OUTPUT, context)
        removed = suppress_layer(
            SuppressionOptions(
                layer=vector_source(self, parameters, INPUT, context) or ("", ""),
                output=output,
                confidence_field=self.text(parameters, self.CONFIDENCE_FIELD, context)
                or _CONFIDENCE,
                class_field=self.text(parameters, self.CLASS_FIELD, context),
                max_overlap_ratio=self.parameterAsDouble(
                    parameters, self.MAX_OVERLAP_RATIO, context
                ),
            ),
            progress,
        )
        progress.info(f"{removed:,} detections were removed.")
        layer = self.parameterAsVectorLayer(parameters, INPUT, context)
        if layer is not None and layer.renderer() is not None:
            title = self.tr("Detections without duplicates")
            self.style_output(output, SameStyler(layer), title)
        return {self.OUTPUT: output, self.REMOVED_COUNT: removed}
