"""Makes or extends a layer of training samples."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
)

from ..core.progress import Progress
from ..core.samples.document import SchemaDocument
from ..core.samples.layer import SampleOptions, make_samples
from .base import GeoDLAlgorithm
from .parameters import add_input, read_input, vector_source
from .styling import SampleStyler


class LabelObjects(GeoDLAlgorithm):
    """Imports existing vectors as training samples."""

    SCHEMA = "SCHEMA"
    FEATURES = "FEATURES"
    CLASS_FIELD = "CLASS_FIELD"
    APPEND_TO = "APPEND_TO"
    OUTPUT = "OUTPUT"
    SAMPLE_COUNT = "SAMPLE_COUNT"
    CLASS_COUNT = "CLASS_COUNT"

    NAME = "labelobjects"
    LABEL = "Label objects"
    GROUP = "Training data"
    GROUP_ID = "trainingdata"
    SUMMARY = (
        "Makes a layer of training samples, or extends one: polygons with a class, its value, "
        "name and colour. With a schema alone the layer is empty and ready to draw in."
    )

    def add_parameters(self) -> None:
        add_input(self, optional=True)
        self.add(
            QgsProcessingParameterString(self.SCHEMA, self.tr("Classes"), optional=True),
            self.tr(
                "A schema file (.json, or .ecs of ArcGIS), a QGIS style by categories (.qml), or "
                "text: value:name:#rrggbb;value:name:#rrggbb. Default is the classes of the "
                "features."
            ),
        )
        self.add(
            QgsProcessingParameterFeatureSource(
                self.FEATURES,
                self.tr("Features to import"),
                [QgsProcessing.SourceType.TypeVectorPolygon],
                optional=True,
            ),
            self.tr("Existing polygons that become samples; only those on the rasters, if given."),
        )
        self.add(
            QgsProcessingParameterField(
                self.CLASS_FIELD,
                self.tr("Class field"),
                parentLayerParameterName=self.FEATURES,
                optional=True,
            ),
            self.tr(
                "Holds the class of the features, as text or whole number. Default is "
                "Classvalue or value; without these all features are one class."
            ),
        )
        self.add(
            QgsProcessingParameterFeatureSource(
                self.APPEND_TO,
                self.tr("Samples to extend"),
                [QgsProcessing.SourceType.TypeVectorPolygon],
                optional=True,
            ),
            self.tr("A layer of samples that comes first in the result; it is not changed."),
        )
        self.add(
            QgsProcessingParameterVectorDestination(
                self.OUTPUT,
                self.tr("Training samples"),
                QgsProcessing.SourceType.TypeVectorPolygon,
            ),
            self.tr("The samples, with the fields Classname, Classvalue, RED, GREEN, BLUE, Count."),
        )
        self.addOutput(QgsProcessingOutputNumber(self.SAMPLE_COUNT, self.tr("Number of samples")))
        self.addOutput(QgsProcessingOutputNumber(self.CLASS_COUNT, self.tr("Number of classes")))

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        features = vector_source(self, parameters, self.FEATURES, context)
        samples = vector_source(self, parameters, self.APPEND_TO, context)
        result = make_samples(
            SampleOptions(
                output=self.output_path(parameters, self.OUTPUT, context),
                rasters=tuple(read_input(self, parameters, context, optional=True)),
                schema=self.text(parameters, self.SCHEMA, context),
                features=features[0] if features else "",
                features_layer=features[1] if features else "",
                class_field=self.text(parameters, self.CLASS_FIELD, context),
                append_to=samples[0] if samples else "",
                append_layer=samples[1] if samples else "",
            ),
            progress,
        )
        path = str(result.path)
        styler = SampleStyler(SchemaDocument.of_schema(result.schema))
        self.style_output(path, styler, self.tr("Training samples"))
        return {
            self.OUTPUT: path,
            self.SAMPLE_COUNT: result.samples,
            self.CLASS_COUNT: len(result.schema),
        }
