"""Exports image chips and labels from rasters and a layer of samples."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDistance,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterNumber,
)

from ..core.chips.export import ExportOptions, export_chips
from ..core.chips.formats import keywords
from ..core.geo.raster import Raster
from ..core.geo.raster_writer import IMAGE_DRIVERS
from ..core.progress import Progress
from .base import GeoDLAlgorithm
from .parameters import (
    MASK,
    add_extent,
    add_input,
    add_mask,
    read_extent,
    read_input,
    vector_source,
)


class ExportTrainingData(GeoDLAlgorithm):
    """Turns a raster and samples into a folder of chips that a network learns from."""

    LABELS = "LABELS"
    CLASS_FIELD = "CLASS_FIELD"
    FORMAT = "FORMAT"
    IMAGE_FORMAT = "IMAGE_FORMAT"
    TILE_SIZE_X = "TILE_SIZE_X"
    TILE_SIZE_Y = "TILE_SIZE_Y"
    STRIDE_X = "STRIDE_X"
    STRIDE_Y = "STRIDE_Y"
    OUTPUT_EMPTY_TILES = "OUTPUT_EMPTY_TILES"
    BUFFER_RADIUS = "BUFFER_RADIUS"
    MIN_POLYGON_OVERLAP_RATIO = "MIN_POLYGON_OVERLAP_RATIO"
    OUTPUT = "OUTPUT"
    CHIP_COUNT = "CHIP_COUNT"
    FEATURE_COUNT = "FEATURE_COUNT"

    NAME = "exporttrainingdata"
    LABEL = "Export training data"
    GROUP = "Training data"
    GROUP_ID = "trainingdata"
    SUMMARY = (
        "Cuts rasters into small images (chips) with labels, in the folder layout of ArcGIS, "
        "as the tool 'Train model' reads it."
    )

    def add_parameters(self) -> None:
        add_input(self)
        self._add_labels()
        self._add_chips()
        add_extent(self)
        add_mask(self)
        self.add(
            QgsProcessingParameterFolderDestination(self.OUTPUT, self.tr("Training data folder")),
            self.tr("A new or empty folder for the chips, labels, classes and statistics."),
        )
        self.addOutput(QgsProcessingOutputNumber(self.CHIP_COUNT, self.tr("Number of chips")))
        self.addOutput(
            QgsProcessingOutputNumber(self.FEATURE_COUNT, self.tr("Number of features on chips"))
        )

    def _add_labels(self) -> None:
        self.add(
            QgsProcessingParameterFeatureSource(
                self.LABELS,
                self.tr("Labels"),
                [QgsProcessing.SourceType.TypeVectorAnyGeometry],
            ),
            self.tr(
                "Training samples: polygons, or points and lines with a buffer radius. They may "
                "have another coordinate reference system than the rasters."
            ),
        )
        self.add(
            QgsProcessingParameterField(
                self.CLASS_FIELD,
                self.tr("Class field"),
                parentLayerParameterName=self.LABELS,
                optional=True,
            ),
            self.tr(
                "Holds the class, as text or whole number. Default is Classvalue or value; "
                "without these all labels are one class."
            ),
        )
        self.add(
            QgsProcessingParameterEnum(
                self.FORMAT,
                self.tr("Format"),
                keywords(),
                defaultValue="PASCAL_VOC_rectangles",
                usesStaticStrings=True,
            ),
            self.tr(
                "PASCAL_VOC_rectangles to detect objects, Classified_Tiles to classify pixels, "
                "Labeled_Tiles to classify objects."
            ),
        )

    def _add_chips(self) -> None:
        self.add(
            QgsProcessingParameterEnum(
                self.IMAGE_FORMAT,
                self.tr("Image format"),
                list(IMAGE_DRIVERS),
                defaultValue="TIFF",
                usesStaticStrings=True,
            ),
            self.tr("TIFF holds any number of bands and any data type; PNG and JPEG up to 3."),
        )
        for name, label, default, least in (
            (self.TILE_SIZE_X, self.tr("Chip width (pixels)"), 256, 16),
            (self.TILE_SIZE_Y, self.tr("Chip height (pixels)"), 256, 16),
            (self.STRIDE_X, self.tr("Stride in x (pixels)"), 128, 0),
            (self.STRIDE_Y, self.tr("Stride in y (pixels)"), 128, 0),
        ):
            self.add(
                QgsProcessingParameterNumber(
                    name,
                    label,
                    QgsProcessingParameterNumber.Type.Integer,
                    default,
                    minValue=least,
                ),
                self.tr("Size of the images.")
                if least
                else self.tr(
                    "From one chip to the next; 0 = one chip per feature (Labeled_Tiles)."
                ),
            )
        self.add(
            QgsProcessingParameterBoolean(
                self.OUTPUT_EMPTY_TILES, self.tr("Also write chips without labels"), False
            ),
            self.tr("Teaches the network what is background."),
        )
        self.add(
            QgsProcessingParameterDistance(
                self.BUFFER_RADIUS,
                self.tr("Buffer radius"),
                0.0,
                parentParameterName=self.LABELS,
                minValue=0.0,
            ),
            self.tr("Turns points into circles and lines into strips, in units of the labels."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterNumber(
                self.MIN_POLYGON_OVERLAP_RATIO,
                self.tr("Minimum polygon overlap ratio"),
                QgsProcessingParameterNumber.Type.Double,
                0.0,
                minValue=0.0,
                maxValue=1.0,
            ),
            self.tr("Share of a feature's area that must lie on a chip for it to be labelled."),
            advanced=True,
        )

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        rasters = tuple(read_input(self, parameters, context))
        with Raster.open(rasters) as raster:
            extent = read_extent(self, parameters, context, raster.crs)
        labels, labels_layer = vector_source(self, parameters, self.LABELS, context) or ("", "")
        mask, mask_layer = vector_source(self, parameters, MASK, context) or ("", "")

        def integer(name: str) -> int:
            return self.parameterAsInt(parameters, name, context)

        result = export_chips(
            ExportOptions(
                rasters=rasters,
                labels=labels,
                labels_layer=labels_layer,
                folder=self.parameterAsString(parameters, self.OUTPUT, context),
                class_field=self.text(parameters, self.CLASS_FIELD, context),
                format=self.parameterAsEnumString(parameters, self.FORMAT, context),
                image_format=self.parameterAsEnumString(parameters, self.IMAGE_FORMAT, context),
                width=integer(self.TILE_SIZE_X),
                height=integer(self.TILE_SIZE_Y),
                stride_x=integer(self.STRIDE_X),
                stride_y=integer(self.STRIDE_Y),
                empty_tiles=self.parameterAsBool(parameters, self.OUTPUT_EMPTY_TILES, context),
                buffer=self.parameterAsDouble(parameters, self.BUFFER_RADIUS, context),
                min_overlap=self.parameterAsDouble(
                    parameters, self.MIN_POLYGON_OVERLAP_RATIO, context
                ),
                extent=extent,
                mask=mask,
                mask_layer=mask_layer,
            ),
            progress,
        )
        progress.info(f"{result.chips} chips with {result.features} features.")
        return {
            self.OUTPUT: str(result.folder),
            self.CHIP_COUNT: result.chips,
            self.FEATURE_COUNT: result.features,
        }
