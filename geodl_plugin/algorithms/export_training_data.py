"""Exports image chips and labels from rasters and a layer of samples."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDistance,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
    QgsRasterLayer,
)

from ..core.chips.export import export_chips
from ..core.chips.formats import keywords
from ..core.chips.options import ExportOptions
from ..core.geo.raster import Raster
from ..core.geo.raster_writer import IMAGE_DRIVERS
from ..core.progress import Progress
from .base import GeoDLAlgorithm
from .parameters import enum, vector_source
from .raster_parameters import (
    MASK,
    add_cell_size,
    add_extent,
    add_input,
    add_mask,
    add_processing_mode,
    gdal_source,
    is_separate,
    layers_of,
    read_cell_size,
    read_extent,
    read_input,
    read_layers,
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
    BLACKEN_AROUND_FEATURE = "BLACKEN_AROUND_FEATURE"
    CROP_MODE = "CROP_MODE"
    INSTANCES = "INSTANCES"
    INSTANCE_CLASS_FIELD = "INSTANCE_CLASS_FIELD"
    INPUT_2 = "INPUT_2"
    ROTATION_ANGLE = "ROTATION_ANGLE"
    REFERENCE_SYSTEM = "REFERENCE_SYSTEM"
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
        self._add_features()
        self._add_others()
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
            QgsProcessingParameterMapLayer(self.LABELS, self.tr("Labels"), optional=True),
            self.tr(
                "Training samples: polygons, points and lines with a buffer radius, or a class "
                "raster. They may have another coordinate reference system than the rasters. "
                "Only Export_Tiles and CycleGAN go without."
            ),
        )
        self.add(
            QgsProcessingParameterString(self.CLASS_FIELD, self.tr("Class field"), optional=True),
            self.tr(
                "Holds the class, as text or whole number. Default is Classvalue or value; "
                "without these all labels are one class."
            ),
        )
        self.add(
            enum(self.FORMAT, self.tr("Format"), keywords(), "PASCAL_VOC_rectangles"),
            self.tr(
                "To detect objects: PASCAL_VOC_rectangles, KITTI_rectangles, COCO, YOLO. To "
                "classify pixels: Classified_Tiles. To find the pixels of objects: RCNN_Masks, "
                "COCO, YOLO, Panoptic_Segmentation. To classify objects: Labeled_Tiles, "
                "MultiLabeled_Tiles, Imagenet. To translate images: Export_Tiles, CycleGAN."
            ),
        )

    def _add_chips(self) -> None:
        self.add(
            enum(self.IMAGE_FORMAT, self.tr("Image format"), list(IMAGE_DRIVERS), "TIFF"),
            self.tr(
                "TIFF and MRF hold any number of bands and any data type; PNG and JPEG up to 3."
            ),
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
                    "From one chip to the next; 0 = one chip per feature, in formats that "
                    "classify objects."
                ),
            )
        self.add(
            QgsProcessingParameterBoolean(
                self.OUTPUT_EMPTY_TILES, self.tr("Also write chips without labels"), False
            ),
            self.tr(
                "Teaches the network what is background; not in formats that classify objects."
            ),
        )

    def _add_features(self) -> None:
        self.add(
            QgsProcessingParameterDistance(
                self.BUFFER_RADIUS,
                self.tr("Buffer radius"),
                0.0,
                parentParameterName=self.LABELS,
                minValue=0.0,
            ),
            self.tr(
                "Turns points into circles and lines into strips, in units of the labels; "
                "polygons grow by it."
            ),
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
        self.add(
            QgsProcessingParameterBoolean(
                self.BLACKEN_AROUND_FEATURE, self.tr("Blacken around the feature"), False
            ),
            self.tr("Pixels outside of a chip's feature become 0; formats that classify objects."),
            advanced=True,
        )
        self.add(
            enum(
                self.CROP_MODE, self.tr("Crop mode"), ["FIXED_SIZE", "BOUNDING_BOX"], "FIXED_SIZE"
            ),
            self.tr(
                "With one chip per feature: FIXED_SIZE cuts chips of the chip size around the "
                "feature, BOUNDING_BOX cuts the feature's own box."
            ),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterFeatureSource(
                self.INSTANCES,
                self.tr("Instances"),
                [QgsProcessing.SourceType.TypeVectorPolygon],
                optional=True,
            ),
            self.tr("The objects of Panoptic_Segmentation, if they are not the labels themselves."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterField(
                self.INSTANCE_CLASS_FIELD,
                self.tr("Class field of the instances"),
                parentLayerParameterName=self.INSTANCES,
                optional=True,
            ),
            self.tr("Holds the class of the instances."),
            advanced=True,
        )

    def _add_others(self) -> None:
        self.add(
            QgsProcessingParameterMultipleLayers(
                self.INPUT_2,
                self.tr("Second rasters"),
                QgsProcessing.SourceType.TypeRaster,
                optional=True,
            ),
            self.tr(
                "The same place at another time or as it shall become, for Classified_Tiles "
                "(change), Export_Tiles and CycleGAN."
            ),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterNumber(
                self.ROTATION_ANGLE,
                self.tr("Rotation angle (degrees)"),
                QgsProcessingParameterNumber.Type.Double,
                0.0,
                minValue=0.0,
                maxValue=359.9,
            ),
            self.tr(
                "Further passes with the grid turned by this angle, twice the angle and so on."
            ),
            advanced=True,
        )
        self.add(
            enum(
                self.REFERENCE_SYSTEM,
                self.tr("Reference system"),
                ["MAP_SPACE", "PIXEL_SPACE"],
                "MAP_SPACE",
            ),
            self.tr("PIXEL_SPACE for photos in which north is not up: they are not turned later."),
            advanced=True,
        )
        add_processing_mode(self, self.tr("Several rasters as one mosaic, or each by itself."))
        add_cell_size(self)

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        rasters = tuple(read_input(self, parameters, context, progress=progress))
        separate = is_separate(self, parameters, context)
        # Where the rasters are cut one by one, they need not fit together.
        with Raster.open(rasters[:1] if separate else rasters) as raster:
            extent = read_extent(self, parameters, context, raster.crs)
        labels, labels_layer = self._labels(parameters, context)
        mask, mask_layer = vector_source(self, parameters, MASK, context) or ("", "")
        objects, objects_layer = vector_source(self, parameters, self.INSTANCES, context) or (
            "",
            "",
        )
        second = layers_of(self, parameters, self.INPUT_2, context)
        second = read_layers(self, second, parameters, context, progress)

        def integer(name: str) -> int:
            return self.parameterAsInt(parameters, name, context)

        def number(name: str) -> float:
            return self.parameterAsDouble(parameters, name, context)

        def choice(name: str) -> str:
            return self.parameterAsEnumString(parameters, name, context)

        result = export_chips(
            ExportOptions(
                rasters=rasters,
                labels=labels,
                labels_layer=labels_layer,
                folder=self.parameterAsString(parameters, self.OUTPUT, context),
                class_field=self.text(parameters, self.CLASS_FIELD, context),
                format=choice(self.FORMAT),
                image_format=choice(self.IMAGE_FORMAT),
                width=integer(self.TILE_SIZE_X),
                height=integer(self.TILE_SIZE_Y),
                stride_x=integer(self.STRIDE_X),
                stride_y=integer(self.STRIDE_Y),
                empty_tiles=self.parameterAsBool(parameters, self.OUTPUT_EMPTY_TILES, context),
                buffer=number(self.BUFFER_RADIUS),
                min_overlap=number(self.MIN_POLYGON_OVERLAP_RATIO),
                rotation=number(self.ROTATION_ANGLE),
                pixel_space=choice(self.REFERENCE_SYSTEM) == "PIXEL_SPACE",
                separate=separate,
                blacken=self.parameterAsBool(parameters, self.BLACKEN_AROUND_FEATURE, context),
                bounding_box=choice(self.CROP_MODE) == "BOUNDING_BOX",
                second=tuple(second),
                instances=objects,
                instances_layer=objects_layer,
                instance_field=self.text(parameters, self.INSTANCE_CLASS_FIELD, context),
                extent=extent,
                cell_size=read_cell_size(self, parameters, context),
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

    def _labels(self, parameters: dict[str, Any], context: QgsProcessingContext) -> tuple[str, str]:
        """Return the path and layer of the labels; a class raster has no layer."""
        if parameters.get(self.LABELS) in (None, ""):
            return "", ""
        layer = self.parameterAsLayer(parameters, self.LABELS, context)
        if isinstance(layer, QgsRasterLayer):
            return gdal_source(layer, self.scratch()), ""
        return vector_source(self, parameters, self.LABELS, context) or ("", "")
