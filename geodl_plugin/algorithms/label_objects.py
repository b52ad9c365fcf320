"""Makes or extends a layer of training samples."""

from __future__ import annotations

import dataclasses
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
    QgsProcessingUtils,
    QgsVectorLayer,
)

from ..core.arguments import arguments_of
from ..core.errors import InputError
from ..core.inference.checks import open_detection
from ..core.inference.options import DETECTION_ARGUMENTS, DetectionOptions, argument_defaults
from ..core.progress import Progress
from ..core.samples.layer import SampleOptions, make_samples
from ..core.samples.prelabel import Prelabel
from . import detect_objects
from .base import GeoDLAlgorithm
from .parameters import (
    ALLOW_CODE,
    ARGUMENTS,
    DEVICE,
    MODEL,
    PRECISION,
    add_allow_code,
    add_device,
    add_model,
    parse_model_arguments,
    vector_source,
)
from .raster_parameters import (
    CELL_SIZE,
    EXTENT,
    add_cell_size,
    add_extent,
    add_input,
    read_cell_size,
    read_extent,
    read_input,
)
from .styling import SCHEMA_PROPERTY, SampleStyler


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
        "name and colour. With a schema alone the layer is empty and ready to draw in.\n"
        "With a model its detections become draft samples, the least certain first. A sample is "
        "a draft as long as its field Confidence holds a number: accept it by emptying the field, "
        "reject it by deleting it. The dock 'Label objects' does both by a key."
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
        self._add_model()
        self.add(
            QgsProcessingParameterVectorDestination(
                self.OUTPUT,
                self.tr("Training samples"),
                QgsProcessing.SourceType.TypeVectorPolygon,
            ),
            self.tr(
                "The samples, with the fields Classname, Classvalue, RED, GREEN, BLUE, Count "
                "(pixels) and Confidence (0 to 100, of drafts only)."
            ),
        )
        self.addOutput(QgsProcessingOutputNumber(self.SAMPLE_COUNT, self.tr("Number of samples")))
        self.addOutput(QgsProcessingOutputNumber(self.CLASS_COUNT, self.tr("Number of classes")))

    def _add_model(self) -> None:
        arguments = arguments_of(DetectionOptions, DETECTION_ARGUMENTS)
        add_model(self, detect_objects.DetectObjects.MODEL_TASK, arguments, optional=True)
        add_extent(self)
        add_cell_size(self)
        for name in (EXTENT, CELL_SIZE):
            limit = self.parameterDefinition(name)
            limit.setHelp(f"{self.tr('Of what the model sees.')} {limit.help()}")
        add_device(self)
        add_allow_code(self)
        model = self.parameterDefinition(MODEL)
        about = self.tr(
            "A detector that finds draft samples in the rasters. Its classes join the others by "
            "name; with a schema given, only those it has are found. What overlaps a sample of "
            "its class by more than half is not found again."
        )
        model.setHelp(f"{about} {model.help()}")

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        rasters = read_input(
            self,
            parameters,
            context,
            optional=True,
            progress=progress,
            pixels=bool(self.text(parameters, MODEL, context)),
        )
        prelabel = self._prelabel(parameters, context, rasters, progress)
        features = vector_source(self, parameters, self.FEATURES, context)
        samples = vector_source(self, parameters, self.APPEND_TO, context)
        result = make_samples(
            SampleOptions(
                output=self.output_path(parameters, self.OUTPUT, context),
                rasters=tuple(rasters),
                schema=self.text(parameters, self.SCHEMA, context),
                features=features[0] if features else "",
                features_layer=features[1] if features else "",
                class_field=self.text(parameters, self.CLASS_FIELD, context),
                append_to=samples[0] if samples else "",
                append_layer=samples[1] if samples else "",
                append_classes=self._classes(parameters, context),
            ),
            progress,
            prelabel,
        )
        if prelabel is not None:
            progress.info(f"{result.drafts} of {result.samples} samples are drafts to review.")
        path = str(result.path)
        styler = SampleStyler(result.document)
        self.style_output(path, styler, self.tr("Training samples"))
        return {
            self.OUTPUT: path,
            self.SAMPLE_COUNT: result.samples,
            self.CLASS_COUNT: len(result.document),
        }

    def _prelabel(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        rasters: list[str],
        progress: Progress,
    ) -> Prelabel | None:
        """Return the model that finds drafts, checked against the rasters."""
        model = self.text(parameters, MODEL, context)
        arguments = self.text(parameters, ARGUMENTS, context)
        if not model:
            if arguments:
                raise InputError(
                    f"The model arguments '{arguments}' are given without a model. Choose a model."
                )
            for name in (EXTENT, CELL_SIZE):
                if parameters.get(name) not in (None, ""):
                    progress.warn(f"{name} limits what a model sees, and no model is given.")
            return None
        if not rasters:
            raise InputError("A model finds samples in rasters. Choose input rasters too.")
        defaults = argument_defaults(DetectionOptions, DETECTION_ARGUMENTS)
        known_arguments, written = parse_model_arguments(model, arguments, defaults)
        options = DetectionOptions(
            sources=rasters,
            model=model,
            output=QgsProcessingUtils.generateTempFilename("drafts.gpkg"),
            device=self.text(parameters, DEVICE, context) or "auto",
            precision=self.parameterAsEnumString(parameters, PRECISION, context) or "auto",
            cell_size=read_cell_size(self, parameters, context),
            arguments=written,
            allow_code=self.parameterAsBool(parameters, ALLOW_CODE, context),
            **known_arguments,
        )
        with open_detection(options) as job:
            known = job.model
            extent = read_extent(self, parameters, context, job.raster.crs)
        options = dataclasses.replace(options, extent=list(extent) if extent else None)

        def find(classes: list[str]) -> str:
            wanted = dataclasses.replace(options, classes=classes)
            self.run_worker("detect", dataclasses.asdict(wanted), progress)
            return options.output

        return Prelabel(known.name, known.schema, find)

    def _classes(self, parameters: dict[str, Any], context: QgsProcessingContext) -> str:
        """Return the classes that the samples to extend keep with their style."""
        if parameters.get(self.APPEND_TO) in (None, ""):
            return ""
        layer = self.parameterAsVectorLayer(parameters, self.APPEND_TO, context)
        if layer is not None and not layer.customProperty(SCHEMA_PROPERTY):
            # Processing loads a file without the style that is stored in it.
            layer = QgsVectorLayer(layer.source(), layer.name(), layer.providerType())
        return "" if layer is None else str(layer.customProperty(SCHEMA_PROPERTY) or "")
