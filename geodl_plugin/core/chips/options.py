"""What an export of training data is told."""

from __future__ import annotations

from dataclasses import dataclass

from ..geo.crs import Bounds


@dataclass(frozen=True)
class ExportOptions:
    """What to export.

    Attributes:
        rasters: paths; several are joined to one mosaic unless ``separate``.
        labels, labels_layer: file and layer of the labels, or a class raster; "" for none,
            which only formats without labels allow.
        folder: the training-data folder to make; it must not exist or be empty.
        class_field: holds the class; "" to look for one.
        format, image_format: keywords.
        width, height, stride_x, stride_y: of the chips, pixels; stride 0 = one chip a feature.
        empty_tiles: also write chips without labels.
        buffer: radius around points and lines, in units of the labels' coordinate system.
        min_overlap: share of a feature's area that must lie on a chip to count.
        rotation: degrees between further passes with the grid turned; 0 = none.
        pixel_space: north is not up; says so in the description.
        separate: every raster by itself instead of one mosaic.
        blacken: make the pixels outside of the feature 0; one chip a feature only.
        bounding_box: a chip is as large as its feature; one chip a feature only.
        second: rasters of a second image of the same place.
        instances, instances_layer, instance_field: the objects of a panoptic export, where
            they are not the labels themselves.
        extent: map bounds in the raster's system that limit the chips.
        cell_size: resample the rasters to pixels of this side, map units; 0 = as they are.
        mask, mask_layer: polygons; only chips completely inside are written.
    """

    rasters: tuple[str, ...]
    labels: str
    folder: str
    labels_layer: str = ""
    class_field: str = ""
    format: str = "PASCAL_VOC_rectangles"
    image_format: str = "TIFF"
    width: int = 256
    height: int = 256
    stride_x: int = 128
    stride_y: int = 128
    empty_tiles: bool = False
    buffer: float = 0.0
    min_overlap: float = 0.0
    rotation: float = 0.0
    pixel_space: bool = False
    separate: bool = False
    blacken: bool = False
    bounding_box: bool = False
    second: tuple[str, ...] = ()
    instances: str = ""
    instances_layer: str = ""
    instance_field: str = ""
    extent: Bounds | None = None
    cell_size: float = 0.0
    mask: str = ""
    mask_layer: str = ""
