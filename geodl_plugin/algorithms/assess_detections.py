"""Compares detections with a reference."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterVectorDestination,
)

from ..core.assess.detections import MATCH_COLORS, DetectionAssessment, assess
from ..core.errors import InputError
from ..core.progress import Progress
from .base import GeoDLAlgorithm
from .parameters import vector_source
from .raster_parameters import INPUT, MASK, add_mask
from .styling import ClassStyler


class AssessDetections(GeoDLAlgorithm):
    """Counts hits, misses and false alarms."""

    REFERENCE = "REFERENCE"
    CLASS_FIELD = "CLASS_FIELD"
    REFERENCE_CLASS_FIELD = "REFERENCE_CLASS_FIELD"
    MIN_IOU = "MIN_IOU"
    OUTPUT = "OUTPUT"
    REPORT = "REPORT"
    MATCHES = "MATCHES"

    NAME = "assessdetections"
    LABEL = "Assess detections"
    GROUP = "Assess"
    GROUP_ID = "assess"
    SUMMARY = (
        "Compares detected objects with those that are really there: precision, recall, F1 and "
        "average precision, for each class and for all, by the rules of the COCO evaluation."
    )

    def add_parameters(self) -> None:
        self._add_layers()
        self.add(
            QgsProcessingParameterNumber(
                self.MIN_IOU,
                self.tr("Minimum intersection over union"),
                QgsProcessingParameterNumber.Type.Double,
                0.5,
                minValue=0.0,
                maxValue=1.0,
            ),
            self.tr("A detection that overlaps a reference object by less is no hit."),
        )
        add_mask(self)
        self._add_outputs()

    def _add_layers(self) -> None:
        polygons = [QgsProcessing.SourceType.TypeVectorPolygon]
        self.add(
            QgsProcessingParameterFeatureSource(INPUT, self.tr("Detections"), polygons),
            self.tr("Polygons; their field Confidence tells how sure each one is."),
        )
        self.add(
            QgsProcessingParameterFeatureSource(self.REFERENCE, self.tr("Reference"), polygons),
            self.tr("Polygons of the objects that are really there, in any coordinate system."),
        )
        for name, label, parent in (
            (self.CLASS_FIELD, self.tr("Class field of the detections"), INPUT),
            (self.REFERENCE_CLASS_FIELD, self.tr("Class field of the reference"), self.REFERENCE),
        ):
            self.add(
                QgsProcessingParameterField(
                    name, label, parentLayerParameterName=parent, optional=True
                ),
                self.tr("Only objects of the same class are compared. Empty: all are one class."),
            )

    def _add_outputs(self) -> None:
        self.add(
            QgsProcessingParameterVectorDestination(
                self.OUTPUT,
                self.tr("Detection accuracy"),
                QgsProcessing.SourceType.TypeVector,
                optional=True,
            ),
            self.tr("A table with one row for each class and one for all of them."),
        )
        self.add(
            QgsProcessingParameterFileDestination(
                self.REPORT,
                self.tr("Report"),
                "HTML files (*.html)",
                optional=True,
            ),
            self.tr("The figures with the precision-recall curve and COCO's mAP."),
        )
        self.add(
            QgsProcessingParameterVectorDestination(
                self.MATCHES,
                self.tr("Matches"),
                QgsProcessing.SourceType.TypeVectorPolygon,
                optional=True,
                createByDefault=False,
            ),
            self.tr("Every object as hit, miss or false alarm."),
        )
        for name, label in (
            ("PRECISION", self.tr("Precision")),
            ("RECALL", self.tr("Recall")),
            ("F1_SCORE", self.tr("F1")),
            ("AP", self.tr("Average precision")),
            ("MAP", self.tr("COCO mAP")),
        ):
            self.addOutput(QgsProcessingOutputNumber(name, label))

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        detections = vector_source(self, parameters, INPUT, context)
        reference = vector_source(self, parameters, self.REFERENCE, context)
        if detections is None or reference is None:
            raise InputError("Detections or reference are missing. Choose two polygon layers.")
        files = {
            self.OUTPUT: self.output_path(parameters, self.OUTPUT, context),
            self.REPORT: self.parameterAsFileOutput(parameters, self.REPORT, context),
            self.MATCHES: self.output_path(parameters, self.MATCHES, context),
        }
        figures = assess(
            DetectionAssessment(
                detections=detections,
                reference=reference,
                class_field=self.text(parameters, self.CLASS_FIELD, context),
                reference_class_field=self.text(parameters, self.REFERENCE_CLASS_FIELD, context),
                min_iou=self.parameterAsDouble(parameters, self.MIN_IOU, context),
                mask=vector_source(self, parameters, MASK, context),
                table=files[self.OUTPUT],
                report=files[self.REPORT],
                matches=files[self.MATCHES],
            ),
            progress,
        )
        if files[self.MATCHES]:
            styler = ClassStyler("Match", dict(MATCH_COLORS))
            self.style_output(files[self.MATCHES], styler, self.tr("Matches"))
        found = {**files, **figures}
        return {name: value for name, value in found.items() if value not in (None, "")}
