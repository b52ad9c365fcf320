"""The options of the inference tasks: plain values, read without torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from ..models.registry import Task

BLENDS = ("crop", "gaussian")  # how tiles that overlap are joined


@dataclass(frozen=True)
class InferenceOptions:
    """What all inference tasks are told.

    Attributes:
        sources: paths of the rasters; several are joined to one mosaic unless ``separate``.
        model: path of a package or definition, or the definition's JSON.
        output: path of the result.
        extent: ``[xmin, ymin, xmax, ymax]`` in the (first) raster's coordinate reference system.
        scheduler: address of a Dask scheduler whose workers compute; "" for this machine.
        separate: work on the rasters one by one instead of joining them to a mosaic.
        cell_size: resample the rasters to pixels of this side, map units; 0 = as they are.
        mask: ``[path, layer]`` of polygons inside which there are results.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``auto``, ``float32``, ``bfloat16`` or ``float16``.
        batch_size: images computed at a time; 0 chooses.
        arguments: all arguments as the user wrote them, for models of others.
        allow_code: whether Python code of the model's author may run.
    """

    sources: list[str]
    model: str
    output: str
    extent: list[float] | None = None
    mask: list[str] | None = None
    device: str = "auto"
    precision: str = "auto"
    batch_size: int = 0
    cell_size: float = 0.0
    separate: bool = False
    scheduler: str = ""
    arguments: dict[str, str] = field(default_factory=dict)
    allow_code: bool = False

    @property
    def is_each(self) -> bool:
        """Whether there are several rasters, of which each is worked on by itself."""
        return self.separate and len(self.sources) > 1

    @property
    def inputs(self) -> list[str]:
        """The rasters and layers that are read."""
        return [*self.sources, *(self.mask or [])[:1]]

    @property
    def outputs(self) -> list[str]:
        """The files that are written, "" for those that are not wanted."""
        return [self.output]


@dataclass(frozen=True)
class DetectionOptions(InferenceOptions):
    """The options of the task "detect".

    Attributes:
        padding: context around a tile's inner part, in pixels; default a quarter of the tile.
        tile_size: side of a tile in pixels; 0 chooses, and has networks of GeoDL look at several
            tiles at once, as one with the padding of each.
        threshold: least confidence, 0 to 1.
        nms_overlap: intersection over union from which two boxes of a tile are one object.
        exclude_pad_detections: leave out what lies in a tile's padding: its neighbour has it.
        run_nms: join what neighbouring tiles found.
        max_overlap_ratio: as ``nms_overlap``, between tiles; 0 takes that.
        classes: names or values of the only classes wanted; empty for all.
        test_time_augmentation: join what is found in turned and mirrored views of each tile.
        skip_unreadable: go on where blocks of the raster are damaged, and find nothing in them.
    """

    padding: int | None = None
    tile_size: int = 0
    threshold: float = 0.5
    nms_overlap: float = 0.1
    exclude_pad_detections: bool = True
    run_nms: bool = True
    max_overlap_ratio: float = 0.0
    classes: list[str] = field(default_factory=list)
    class_field: str = "Class"
    confidence_field: str = "Confidence"
    test_time_augmentation: bool = False
    skip_unreadable: bool = False


@dataclass(frozen=True)
class PixelOptions(InferenceOptions):
    """The options of the task "classify_pixels".

    Attributes:
        padding: context around a tile's inner part, in pixels; default an eighth of the tile.
        tile_size: side of a tile in pixels; 0 chooses.
        predict_background: whether the background is an answer, or always a class is wanted.
        blend: ``crop`` keeps the inner part of each tile, ``gaussian`` takes the weighted mean
            of the tiles that overlap. After a kill, ``crop`` computes a few tiles again,
            ``gaussian`` about as many as lie in a row.
        test_time_augmentation: the mean answer to turned and mirrored views of each tile.
        skip_unreadable: go on where blocks of the raster are damaged, and leave no data in them.
        probabilities: path of a raster of probabilities, "" for none.
        polygons: path of a layer of polygons, "" for none.
        simplify: tolerance of the polygons' borders, in map units.
        min_area: of a polygon, in square map units.
    """

    padding: int | None = None
    tile_size: int = 0
    predict_background: bool = True
    blend: str = "crop"
    test_time_augmentation: bool = False
    skip_unreadable: bool = False
    probabilities: str = ""
    polygons: str = ""
    simplify: float = 0.0
    min_area: float = 0.0

    @property
    def outputs(self) -> list[str]:
        return [*super().outputs, self.probabilities, self.polygons]


@dataclass(frozen=True)
class ChangeOptions(PixelOptions):
    """The options of the task "detect_change".

    Attributes:
        second: paths of the rasters of the later date; several are joined to one mosaic.
    """

    second: list[str] = field(default_factory=list)

    @property
    def inputs(self) -> list[str]:
        return [*super().inputs, *self.second]


@dataclass(frozen=True)
class ObjectOptions(InferenceOptions):
    """The options of the task "classify_objects".

    Attributes:
        features: ``[path, layer]`` of the features to classify; empty takes each raster for one.
        class_field: name of the field for the class.
        score_threshold: least score of a label, 0 to 1, of models that give several.
        test_time_augmentation: the mean answer to turned and mirrored views of each object.
        skip_unreadable: go on where the raster is damaged, and leave the class of an object
            empty whose image meets a damaged block.
    """

    features: list[str] = field(default_factory=list)
    class_field: str = "ClassLabel"
    score_threshold: float = 0.5
    test_time_augmentation: bool = False
    skip_unreadable: bool = False

    @property
    def inputs(self) -> list[str]:
        return [*super().inputs, *filter(None, self.features[:1])]

    @property
    def takes_rasters(self) -> bool:
        """Whether each raster is one object."""
        return not any(self.features[:1])


# What a tool's ARGUMENTS may set, by task; the rest of the options are parameters of the tool.
DETECTION_ARGUMENTS = (
    "padding",
    "threshold",
    "nms_overlap",
    "batch_size",
    "exclude_pad_detections",
    "test_time_augmentation",
    "tile_size",
    "skip_unreadable",
)
PIXEL_ARGUMENTS = (
    "padding",
    "batch_size",
    "predict_background",
    "test_time_augmentation",
    "tile_size",
    "blend",
    "skip_unreadable",
)
OBJECT_ARGUMENTS = (
    "batch_size",
    "test_time_augmentation",
    "score_threshold",
    "skip_unreadable",
)


TASK_ARGUMENTS = {
    Task.DETECTION: DETECTION_ARGUMENTS,
    Task.INSTANCES: DETECTION_ARGUMENTS,
    Task.PIXELS: PIXEL_ARGUMENTS,
    Task.CHANGE: PIXEL_ARGUMENTS,
    Task.OBJECTS: OBJECT_ARGUMENTS,
}


def argument_defaults(options: type[InferenceOptions], names: tuple[str, ...]) -> dict[str, Any]:
    """Return the default values of arguments."""
    defaults = {each.name: each.default for each in dataclasses.fields(options)}
    return {name: defaults[name] for name in names}
