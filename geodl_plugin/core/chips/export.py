"""Export of training data: a raster and labels in, a folder of chips out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError, TrainingDataError
from ..geo.grid import Window, chip_windows
from ..geo.raster import Block, Raster
from ..geo.raster_writer import IMAGE_DRIVERS, write_chip
from ..geo.shapes import bounds_window, rectangle, to_pixel_space
from ..geo.vector import Bounds, Geometry, VectorReader
from ..packages.definition import class_to_json
from ..progress import Phase, Progress
from .folder import DEFINITION, STATISTICS
from .formats import ChipFormat, WrittenChip, chip_format
from .labelling import ChipScene, Sizes
from .labels import ClassLabel, MaskLabel, PanopticLabel
from .source import LabelSource
from .statistics import ChipStatistics, write_json


@dataclass(frozen=True)
class ExportOptions:
    """What to export.

    Attributes:
        rasters: paths; several are joined to one mosaic.
        labels, labels_layer: file and layer of the labels; "" for the first layer.
        folder: the training-data folder to make; it must not exist or be empty.
        class_field: holds the class; "" to look for one.
        format, image_format: keywords.
        width, height, stride_x, stride_y: of the chips, pixels; stride 0 = one chip a feature.
        empty_tiles: also write chips without labels.
        buffer: radius around points and lines, in units of the labels' coordinate system.
        min_overlap: share of a feature's area that must lie on a chip to count.
        extent: map bounds in the raster's system that limit the chips.
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
    extent: Bounds | None = None
    mask: str = ""
    mask_layer: str = ""


@dataclass(frozen=True)
class ExportResult:
    """What an export has written: the folder, its chips, and how many features are on them."""

    folder: Path
    chips: int
    features: int


def export_chips(options: ExportOptions, progress: Progress) -> ExportResult:
    """Export training data.

    Everything is written into a folder beside the target, which takes the target's name when
    it is whole: an interrupted export leaves nothing that looks complete.

    Raises:
        GeoDLError: when the input does not fit; nothing is written then.
    """
    with Raster.open(options.rasters) as raster:
        export = _Export(options, raster)
        target = Path(options.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        building = target.with_name(f".{target.name}.part-{os.getpid()}")
        shutil.rmtree(building, ignore_errors=True)
        try:
            statistics = export.write(building, progress)
            if target.exists():
                target.rmdir()
            building.replace(target)
        except OSError as error:
            raise TrainingDataError(f"'{target}' cannot be written: {error}.") from error
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return ExportResult(target, statistics.chips, len(export.used))


class _Export:
    """One export: its inputs checked, its chips one by one."""

    def __init__(self, options: ExportOptions, raster: Raster) -> None:
        self.options = options
        self.raster = raster
        self.format = chip_format(options.format)
        self._check_sizes()
        self._check_image_format()
        self._check_folder()
        layer = VectorReader(options.labels, options.labels_layer or None)
        self.source = LabelSource(layer, raster, options.class_field, options.buffer)
        self.schema = self.source.classes.schema
        self.mask = _mask_shapes(options, raster)
        self.area = self._area()
        self.used: set[int] = set()  # features on the chips

    # Checks

    def _check_sizes(self) -> None:
        options = self.options
        if options.width < 16 or options.height < 16:
            raise InputError(
                f"Chips of {options.width} × {options.height} pixels are too small. "
                "Use 16 pixels at least."
            )
        strides = (options.stride_x, options.stride_y)
        if 0 in strides and not self.format.per_feature:
            raise InputError(
                f"A stride of 0 makes one chip per feature, which '{options.format}' does not "
                "know. Give a stride in pixels."
            )
        if min(strides) < 0 or (0 in strides and max(strides) > 0):
            raise InputError(
                f"The strides {strides[0]} and {strides[1]} do not fit. Use two positive "
                "numbers, or 0 for both."
            )
        if not 0 <= options.min_overlap <= 1:
            raise InputError(
                f"The minimum polygon overlap ratio {options.min_overlap} is not between 0 and 1."
            )

    def _check_image_format(self) -> None:
        name, raster = self.options.image_format, self.raster
        if name not in IMAGE_DRIVERS:
            raise InputError(
                f"There is no image format '{name}'. Choose one of: {', '.join(IMAGE_DRIVERS)}."
            )
        depths = {"JPEG": (np.uint8,), "PNG": (np.uint8, np.uint16)}.get(name)
        if depths is None:
            return
        if raster.band_count not in (1, 3) or raster.dtype not in depths:
            raise InputError(
                f"'{raster.name}' has {raster.band_count} bands of {raster.dtype}, which {name} "
                "cannot hold. Use TIFF."
            )

    def _check_folder(self) -> None:
        target = Path(self.options.folder)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise InputError(f"'{target}' is not empty. Choose a new folder for the training data.")

    def _area(self) -> Window:
        if self.options.extent is None:
            return self.raster.window
        area = bounds_window(self.options.extent, self.raster.geotransform, self.raster.window)
        if area is None:
            raise InputError(
                f"The extent {self.options.extent} does not meet '{self.raster.name}'."
            )
        return area

    # Work

    def write(self, folder: Path, progress: Progress) -> ChipStatistics:
        (folder / "images").mkdir(parents=True)
        (folder / "labels").mkdir()
        statistics = ChipStatistics(self.schema, self.format.label in (MaskLabel, PanopticLabel))
        windows = list(self._windows())
        phase = Phase(progress, "Exporting", len(windows), "chips")
        rows: list[str] = []
        writer = self.format(folder, self.schema)
        for window, own_class in windows:
            made = self._make(window, own_class)
            if made is not None:
                row, sizes = self._save(writer, f"{len(rows):09d}", *made)
                rows.append(row)
                statistics.add(made[1].pixels[:, made[1].valid], sizes)
            phase.step()
        if not statistics.chips:
            raise InputError(
                f"No chip of '{self.raster.name}' has a label. Use a smaller overlap ratio, "
                "another mask or extent, or write empty tiles too."
            )
        writer.finish()
        self._tell(progress)
        (folder / "map.txt").write_text("".join(rows), encoding="utf-8")
        self._describe(folder, statistics)
        return statistics

    def _windows(self) -> Iterator[tuple[Window, int | None]]:
        options = self.options
        if options.stride_x == 0:
            for value, (col, row) in self.source.centres():
                left = _moved_inside(col, options.width, self.raster.width)
                top = _moved_inside(row, options.height, self.raster.height)
                window = Window(left, top, options.width, options.height)
                if self._allowed(window):
                    yield window, value
            return
        for window in chip_windows(
            self.area, options.width, options.height, options.stride_x, options.stride_y
        ):
            if self._allowed(window):
                yield window, None

    def _allowed(self, window: Window) -> bool:
        if self.area.intersection(window) is None:
            return False
        if not self.mask:
            return True
        frame = rectangle(window.col, window.row, window.right, window.bottom)
        return any(shape.Contains(frame) for shape in self.mask)

    def _make(self, window: Window, own_class: int | None) -> tuple[ChipScene, Block] | None:
        """Return what is on a chip; ``None`` when the chip is not wanted."""
        if self.raster.is_empty(window):
            return None
        shapes = [
            shape for shape in self.source.shapes(window) if shape.share >= self.options.min_overlap
        ]
        if not shapes and (own_class is not None or not self.options.empty_tiles):
            return None
        if not shapes and self.format.label is ClassLabel:
            return None
        block = self.raster.read(window)
        if not block.valid.any():
            return None
        self.used.update(shape.fid for shape in shapes)
        geotransform = self.raster.geotransform.of_window(window)
        return ChipScene(shapes, window, geotransform, block.valid, own=own_class), block

    def _save(
        self, writer: ChipFormat, name: str, scene: ChipScene, block: Block
    ) -> tuple[str, Sizes]:
        """Write a chip and return its row of ``map.txt`` and the sizes of what is on it."""
        options = self.options
        label = scene.label(writer.label)
        image = writer.image_path(name, IMAGE_DRIVERS[options.image_format][1], label)
        write_chip(
            image,
            block.pixels,
            scene.geotransform,
            self.raster.crs,
            options.image_format,
            self._nodata(block),
            self.raster.band_names,
        )
        path = writer.write(
            WrittenChip(name, image, label, block.pixels.shape, scene.geotransform, self.raster.crs)
        )
        row = "  ".join(_windows_path(each, writer.folder) for each in (image, path) if each)
        return f"{row} \n", scene.sizes(label)

    def _nodata(self, block: Block) -> float | None:
        """Return the no-data value of a chip, so that what the raster lacks stays known.

        Pixels without data are 0 in a block whatever value marked them in the raster; a chip
        that is whole has none, so that its black pixels stay pixels.
        """
        return None if block.valid.all() else 0

    def _tell(self, progress: Progress) -> None:
        if self.source.mended:
            progress.warn(
                f"{len(self.source.mended)} features had invalid geometries, which were repaired."
            )
        if self.source.skipped:
            progress.warn(
                f"{len(self.source.skipped)} features have no class or no usable geometry and "
                "were left out."
            )
        if self.raster.width < self.options.width or self.raster.height < self.options.height:
            progress.warn(
                f"'{self.raster.name}' is smaller than a chip: the rest is filled with no data."
            )

    def _describe(self, folder: Path, statistics: ChipStatistics) -> None:
        options, raster = self.options, self.raster
        size = (raster.band_count, options.width, options.height)
        write_json(folder / STATISTICS, statistics.as_json(options.format, *size))
        (folder / "stats.txt").write_text(statistics.as_text(*size), encoding="utf-8")
        cell_x, cell_y = raster.geotransform.cell_size()
        write_json(
            folder / DEFINITION,
            {
                "Framework": "",
                "ModelConfiguration": "",
                "ModelType": "",
                "ModelFile": "",
                "ImageHeight": options.height,
                "ImageWidth": options.width,
                "ExtractBands": list(range(raster.band_count)),
                "Classes": [class_to_json(each) for each in self.schema.classes],
                "MetaDataMode": options.format,
                "ImageSpaceUsed": "MAP_SPACE",
                "InputRastersProps": {
                    "RasterCount": len(raster.sources),
                    "SensorName": "",
                    "BandNames": list(raster.band_names),
                },
                "AllTilesStats": statistics.bands.of_bands(raster.band_names),
                "MinCellSize": {"x": cell_x, "y": cell_y},
                "MaxCellSize": {"x": cell_x, "y": cell_y},
                "CropTileMode": "Fixed_Size",
                "BlackenAroundFeature": False,
            },
        )


def _mask_shapes(options: ExportOptions, raster: Raster) -> list[Geometry]:
    if not options.mask:
        return []
    layer = VectorReader(options.mask, options.mask_layer or None)
    return [
        to_pixel_space(feature.geometry, raster.geotransform)
        for feature in layer.features(crs=raster.crs)
    ]


def _moved_inside(centre: float, size: int, limit: int) -> int:
    """Return the start of a window around a centre, moved so that it keeps within the raster."""
    return max(0, min(round(centre - size / 2), limit - size))


def _windows_path(path: Path, folder: Path) -> str:
    return "\\".join(path.relative_to(folder).parts)
