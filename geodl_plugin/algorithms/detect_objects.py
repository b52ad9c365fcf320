"""Finds objects in rasters with a trained model."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
)

from ..core.inference.checks import choose_classes, open_detection
from ..core.inference.items import detection_items
from ..core.inference.options import DETECTION_ARGUMENTS, DetectionOptions
from ..core.models.registry import Task
from ..core.progress import Progress
from .inference import InferenceAlgorithm
from .raster_parameters import add_processing_mode, is_separate
from .styling import ClassStyler


class DetectObjects(InferenceAlgorithm):
    """Applies a detector to rasters and writes a layer of boxes."""

    RUN_NMS = "RUN_NMS"
    CONFIDENCE_FIELD = "CONFIDENCE_FIELD"
    CLASS_FIELD = "CLASS_FIELD"
    MAX_OVERLAP_RATIO = "MAX_OVERLAP_RATIO"
    CLASSES = "CLASSES"
    OUTPUT = "OUTPUT"
    OBJECT_COUNT = "OBJECT_COUNT"

    NAME = "detectobjects"
    LABEL = "Detect objects"
    SUMMARY = (
        "Finds objects in rasters of any size with a trained detector and writes their boxes, "
        "or their outlines where the model gives masks (Mask R-CNN, UNET_ID), with class and "
        "confidence (0 to 100). Outlines follow the pixels' edges exactly. Areas without data "
        "cost nothing, and every object is found once, wherever the tiles meet. A run that was "
        "ended by force goes on when the tool is called again."
    )
    TASK = "detect"
    MODEL_TASK = Task.DETECTION
    OPTIONS = DetectionOptions
    ARGUMENT_NAMES = DETECTION_ARGUMENTS

    def add_parameters(self) -> None:
        self.add_model_parameters()
        self._add_suppression()
        self._add_fields()
        add_processing_mode(
            self,
            self.tr(
                "MOSAIC joins several rasters to one. SEPARATE works on one after the other, "
                "whatever their systems and sizes: the layer holds the objects of all, in the "
                "system of the first one, and tells the raster of each in the field Raster."
            ),
        )
        self.add_limits()
        self.add(
            QgsProcessingParameterVectorDestination(
                self.OUTPUT,
                self.tr("Detected objects"),
                QgsProcessing.SourceType.TypeVectorPolygon,
            ),
            self.tr("A polygon for each object, styled by class."),
        )
        self.addOutput(QgsProcessingOutputNumber(self.OBJECT_COUNT, self.tr("Objects")))

    def _add_suppression(self) -> None:
        self.add(
            QgsProcessingParameterBoolean(
                self.RUN_NMS, self.tr("Non maximum suppression"), defaultValue=True
            ),
            self.tr("Join what neighbouring tiles found, so that every object is there once."),
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
                "Of two boxes, or masks, of a class whose intersection over union is larger, only "
                "the more certain one stays. 0 takes the model argument nms_overlap."
            ),
        )

    def _add_fields(self) -> None:
        self.add(
            QgsProcessingParameterString(
                self.CONFIDENCE_FIELD, self.tr("Confidence field"), "Confidence"
            ),
            self.tr("Name of the field for the confidence, 0 to 100."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterString(self.CLASS_FIELD, self.tr("Class field"), "Class"),
            self.tr("Name of the field for the class name."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterString(
                self.CLASSES, self.tr("Only these classes"), optional=True
            ),
            self.tr("Names or values, separated by semicolons. Empty: all that the model knows."),
            advanced=True,
        )

    def work(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        progress: Progress,
    ) -> dict[str, Any]:
        classes = self.text(parameters, self.CLASSES, context).split(";")
        options = self.read_options(
            parameters,
            context,
            self.OUTPUT,
            progress,
            separate=is_separate(self, parameters, context),
            run_nms=self.parameterAsBool(parameters, self.RUN_NMS, context),
            max_overlap_ratio=self.parameterAsDouble(parameters, self.MAX_OVERLAP_RATIO, context),
            confidence_field=self.text(parameters, self.CONFIDENCE_FIELD, context),
            class_field=self.text(parameters, self.CLASS_FIELD, context),
            classes=[name.strip() for name in classes if name.strip()],
        )
        with open_detection(detection_items(options)[0]) as job:
            schema = choose_classes(job.model.schema, options.classes, job.model.name)
        result = self.infer(options, progress)
        styler = ClassStyler.of_schema(schema, options.class_field)
        self.style_output(options.output, styler, self.tr("Detected objects"))
        return {self.OUTPUT: options.output, self.OBJECT_COUNT: result["object_count"]}
