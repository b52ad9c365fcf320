"""Gives features a class by what rasters show there."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
    QgsRectangle,
)

from ..core.inference.checks import open_features, open_objects
from ..core.inference.options import OBJECT_ARGUMENTS, ObjectOptions
from ..core.models.registry import Task
from ..core.progress import Progress
from .inference import InferenceAlgorithm
from .parameters import vector_source
from .raster_parameters import read_cell_size
from .styling import ClassStyler

SURROUNDINGS = 256  # pixels around the features that are fetched from a server


class ClassifyObjects(InferenceAlgorithm):
    """Applies a classifier to the image of each feature."""

    FEATURES = "FEATURES"
    CLASS_FIELD = "CLASS_FIELD"
    OUTPUT = "OUTPUT"
    OBJECT_COUNT = "OBJECT_COUNT"

    NAME = "classifyobjects"
    LABEL = "Classify objects"
    SUMMARY = (
        "Gives existing features, such as buildings or trees, a class by what the rasters show "
        "there. The features keep their geometry and fields and get the class and its "
        "confidence (0 to 100). Models of several labels give a list of classes, separated by "
        "commas. Rasters that show one thing each, such as photos, can be classified as a whole. "
        "A run that was ended by force goes on when the tool is called again."
    )
    TASK = "classify_objects"
    MODEL_TASK = Task.OBJECTS
    OPTIONS = ObjectOptions
    ARGUMENT_NAMES = OBJECT_ARGUMENTS

    def add_parameters(self) -> None:
        self.add_model_parameters()
        self.add(
            QgsProcessingParameterFeatureSource(
                self.FEATURES,
                self.tr("Features"),
                [QgsProcessing.SourceType.TypeVectorAnyGeometry],
                optional=True,
            ),
            self.tr(
                "Points, lines or polygons, in any coordinate reference system. Empty: each raster "
                "is one object; the result holds the rasters' footprints, and the field Raster "
                "tells their names."
            ),
        )
        self.add(
            QgsProcessingParameterString(self.CLASS_FIELD, self.tr("Class field"), "ClassLabel"),
            self.tr("Name of the field for the class name."),
            advanced=True,
        )
        self.add_limits(area=False)
        self.add(
            QgsProcessingParameterVectorDestination(
                self.OUTPUT,
                self.tr("Classified objects"),
                QgsProcessing.SourceType.TypeVectorAnyGeometry,
            ),
            self.tr("The features with class and confidence; both are empty where no raster is."),
        )
        self.addOutput(
            QgsProcessingOutputNumber(self.OBJECT_COUNT, self.tr("Objects with a class"))
        )

    def fetch_extent(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        crs: QgsCoordinateReferenceSystem,
    ) -> QgsRectangle | None:
        """Return where the features are, with what their images show around them."""
        source = self.parameterAsSource(parameters, self.FEATURES, context)
        if source is None:
            return None
        transform = QgsCoordinateTransform(source.sourceCrs(), crs, context.transformContext())
        extent = transform.transformBoundingBox(source.sourceExtent())
        extent.grow(SURROUNDINGS * read_cell_size(self, parameters, context))
        return extent

    def work(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        progress: Progress,
    ) -> dict[str, Any]:
        features = vector_source(self, parameters, self.FEATURES, context)
        options = self.read_options(
            parameters,
            context,
            self.OUTPUT,
            progress,
            features=list(features or ()),
            class_field=self.text(parameters, self.CLASS_FIELD, context),
        )
        open_features(options)
        with open_objects(options) as job:
            schema, several = job.model.schema, job.model.several_labels
        result = self.infer(options, progress)
        others = self.tr("Several classes, or none") if several else self.tr("Not classified")
        styler = ClassStyler.of_schema(schema, options.class_field, filled=True, others=others)
        self.style_output(options.output, styler, self.tr("Classified objects"))
        return {self.OUTPUT: options.output, self.OBJECT_COUNT: result["object_count"]}
