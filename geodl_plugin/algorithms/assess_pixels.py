"""Compares a class raster with a reference."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsMapLayerType,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingOutputNumber,
    QgsProcessingParameterField,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
)

from ..core.assess.pixels import PixelAssessment, assess
from ..core.errors import InputError
from ..core.progress import Progress
from .base import GeoDLAlgorithm
from .parameters import vector_source
from .raster_parameters import INPUT, MASK, add_mask, gdal_source


class AssessPixels(GeoDLAlgorithm):
    """Makes the confusion matrix of a class raster."""

    REFERENCE = "REFERENCE"
    CLASS_FIELD = "CLASS_FIELD"
    OUTPUT = "OUTPUT"
    REPORT = "REPORT"

    NAME = "assesspixels"
    LABEL = "Assess pixels"
    GROUP = "Assess"
    GROUP_ID = "assess"
    SUMMARY = (
        "Compares a class raster with a reference, pixel by pixel: confusion matrix, overall "
        "accuracy, kappa, and for each class user's and producer's accuracy, IoU and F1.\n"
        "Only pixels whose class the reference tells are compared. Polygons of one class alone "
        "show what was missed but not what was falsely found: add a polygon of the background "
        "(class value 0) that covers the known area before all others, since later polygons lie "
        "on top of earlier ones.\n"
        "From points, a random sample of each class of the map, the report and the table also "
        "tell areas and accuracies of the whole map with 95 % confidence intervals (Olofsson et "
        "al. 2014)."
    )

    def add_parameters(self) -> None:
        self.add(
            QgsProcessingParameterRasterLayer(INPUT, self.tr("Class raster")),
            self.tr("Pixels are class values. No data is not compared."),
        )
        self.add(
            QgsProcessingParameterMapLayer(
                self.REFERENCE,
                self.tr("Reference"),
                types=[
                    QgsProcessing.SourceType.TypeRaster,
                    QgsProcessing.SourceType.TypeVectorPolygon,
                    QgsProcessing.SourceType.TypeVectorPoint,
                ],
            ),
            self.tr("What is really there: a class raster, polygons or points, in any system."),
        )
        self.add(
            QgsProcessingParameterField(
                self.CLASS_FIELD,
                self.tr("Class field of the reference"),
                parentLayerParameterName=self.REFERENCE,
                optional=True,
            ),
            self.tr(
                "Holds class values, or the names that the raster gives them. Default is "
                "Classvalue, value or Classname."
            ),
        )
        add_mask(self)
        self._add_outputs()

    def _add_outputs(self) -> None:
        self.add(
            QgsProcessingParameterVectorDestination(
                self.OUTPUT,
                self.tr("Confusion matrix"),
                QgsProcessing.SourceType.TypeVector,
                optional=True,
            ),
            self.tr("A table; rows are the classes of the raster, columns those of the reference."),
        )
        self.add(
            QgsProcessingParameterFileDestination(
                self.REPORT,
                self.tr("Report"),
                "HTML files (*.html)",
                optional=True,
            ),
            self.tr("The figures and the matrix."),
        )
        for name, label in (
            ("OVERALL_ACCURACY", self.tr("Overall accuracy")),
            ("MIOU", self.tr("Mean intersection over union")),
            ("KAPPA", self.tr("Kappa")),
            ("F1_MACRO", self.tr("F1, mean of the classes")),
        ):
            self.addOutput(QgsProcessingOutputNumber(name, label))

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        raster = self.parameterAsRasterLayer(parameters, INPUT, context)
        if raster is None:
            raise InputError(
                f"'{parameters.get(INPUT)}' cannot be opened as a raster. Choose a class raster."
            )
        reference, layer = self._reference(parameters, context)
        files = {
            self.OUTPUT: self.output_path(parameters, self.OUTPUT, context),
            self.REPORT: self.parameterAsFileOutput(parameters, self.REPORT, context),
        }
        figures = assess(
            PixelAssessment(
                result=gdal_source(raster, self.scratch()),
                reference=reference,
                reference_layer=layer,
                class_field=self.text(parameters, self.CLASS_FIELD, context),
                mask=vector_source(self, parameters, MASK, context),
                table=files[self.OUTPUT],
                report=files[self.REPORT],
            ),
            progress,
        )
        return {**{name: path for name, path in files.items() if path}, **figures}

    def _reference(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[str, str | None]:
        """Return path and layer name of the reference; no name for a raster."""
        layer = self.parameterAsLayer(parameters, self.REFERENCE, context)
        if layer is None:
            raise InputError(
                f"'{parameters.get(self.REFERENCE)}' cannot be opened. "
                "Choose a class raster, polygons or points."
            )
        if layer.type() == QgsMapLayerType.RasterLayer:
            return gdal_source(layer, self.scratch()), None
        path, name = vector_source(self, parameters, self.REFERENCE, context) or ("", "")
        return path, name
