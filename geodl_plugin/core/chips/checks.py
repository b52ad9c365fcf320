"""What an export refuses before it begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..geo.crs import transform_bounds, unit_name
from ..geo.raster import Raster
from ..geo.raster_writer import IMAGE_DRIVERS
from ..geo.shapes import window_bounds
from ..progress import Progress
from .formats import chip_format
from .labels import NoLabel, PanopticLabel
from .options import ExportOptions
from .source import LabelSource

LEAST_SIDE = 16  # pixels of a chip


def check_options(options: ExportOptions) -> None:
    """Raise :class:`InputError` for options that contradict each other or the format."""
    form = chip_format(options.format)
    if options.width < LEAST_SIDE or options.height < LEAST_SIDE:
        raise InputError(
            f"Chips of {options.width} × {options.height} pixels are too small. "
            f"Use {LEAST_SIDE} pixels at least."
        )
    strides = (options.stride_x, options.stride_y)
    if 0 in strides and not form.per_feature:
        raise InputError(
            f"A stride of 0 makes one chip per feature, which '{options.format}' does not know. "
            "Give a stride in pixels."
        )
    if min(strides) < 0 or (0 in strides and max(strides) > 0):
        raise InputError(
            f"The strides {strides[0]} and {strides[1]} do not fit. Use two positive numbers, "
            "or 0 for both."
        )
    if not 0 <= options.min_overlap <= 1:
        raise InputError(
            f"The minimum polygon overlap ratio {options.min_overlap} is not between 0 and 1."
        )
    if not 0 <= options.rotation < 360:
        raise InputError(f"The rotation angle {options.rotation} is not between 0 and 360 degrees.")
    _check_format(options)


def _check_format(options: ExportOptions) -> None:
    form = chip_format(options.format)
    if not options.labels and form.label is not NoLabel:
        raise InputError(f"'{options.format}' needs labels. Choose a layer of training samples.")
    if options.second and not form.second_image:
        raise InputError(
            f"'{options.format}' has no place for a second raster. Leave it out or use "
            "Classified_Tiles, Export_Tiles or CycleGAN."
        )
    if form.second_image == "required" and not options.second:
        raise InputError(f"'{options.format}' needs a second raster. Choose one.")
    if options.second and options.separate:
        raise InputError("A second raster goes with one mosaic. Use the processing mode MOSAIC.")
    if options.instances and form.label is not PanopticLabel:
        raise InputError(
            f"'{options.format}' takes its objects from the labels. Leave the instances out or "
            "use Panoptic_Segmentation."
        )
    if options.blacken and not form.per_feature:
        raise InputError(
            f"'{options.format}' cannot blacken around a feature. Use Labeled_Tiles, "
            "MultiLabeled_Tiles or Imagenet."
        )
    if options.bounding_box and options.stride_x != 0:
        raise InputError(
            "The crop mode BOUNDING_BOX makes one chip per feature. Set both strides to 0."
        )


def tell_unused(options: ExportOptions, progress: Progress) -> None:
    """Tell which options change nothing beside the others."""
    form = chip_format(options.format)
    if options.rotation and 0 in (options.stride_x, options.stride_y):
        progress.warn(
            f"ROTATION_ANGLE={options.rotation:g} changes nothing, for it turns a grid of chips, "
            "and strides of 0 make one chip per feature."
        )
    if options.empty_tiles and form.per_feature:
        progress.warn(
            f"OUTPUT_EMPTY_TILES changes nothing, for each chip of '{options.format}' has a class."
        )
    if options.instance_field and not options.instances:
        progress.warn(
            f"INSTANCE_CLASS_FIELD={options.instance_field} changes nothing without INSTANCES."
        )


def check_image(options: ExportOptions, raster: Raster, first: Raster) -> None:
    """Raise :class:`InputError` when the image format cannot hold a raster."""
    name = options.image_format
    if name not in IMAGE_DRIVERS:
        raise InputError(
            f"There is no image format '{name}'. Choose one of: {', '.join(IMAGE_DRIVERS)}."
        )
    if raster.band_count != first.band_count:
        raise InputError(
            f"'{first.name}' has {first.band_count} bands and '{raster.name}' has "
            f"{raster.band_count}. Export rasters with the same bands together."
        )
    depths = {"JPEG": (np.uint8,), "PNG": (np.uint8, np.uint16)}.get(name)
    if depths is None:
        return
    if raster.band_count not in (1, 3) or raster.dtype not in depths:
        raise InputError(
            f"'{raster.name}' has {raster.band_count} bands of {raster.dtype}, which {name} "
            "cannot hold. Use TIFF."
        )


def unlike(raster: Raster, first: Raster) -> Iterator[str]:
    """Yield what a network cannot know of chips of two rasters in one folder."""
    if raster.dtype != first.dtype:
        yield (
            f"'{first.name}' holds {first.dtype} and '{raster.name}' {raster.dtype}, whose numbers "
            "a network takes for the same light. Convert them to one data type."
        )
    if is_reordered(raster.band_names, first.band_names):
        yield (
            f"'{first.name}' has the bands {', '.join(first.band_names)}, but '{raster.name}' "
            f"{', '.join(raster.band_names)}: a network goes by their places. Bring them into one "
            "order."
        )


def vast_buffer(source: LabelSource) -> Iterator[str]:
    """Yield that a buffer is wider than the raster, as metres are where degrees are meant."""
    if not source.buffer:
        return
    raster, layer = source.raster, source.layer
    whole = window_bounds(raster.window, raster.geotransform)
    xmin, ymin, xmax, ymax = transform_bounds(whole, raster.crs, layer.crs)
    if source.buffer > max(xmax - xmin, ymax - ymin):
        unit = unit_name(layer.crs)
        yield (
            f"BUFFER_RADIUS={source.buffer:g} is wider than all of '{raster.name}'. It is in the "
            f"units of '{layer.name}'{unit and f', {unit}'}."
        )


def by_palette(raster: Raster) -> Iterator[str]:
    """Yield that the pixels of a raster are numbers of colours, if they are."""
    if raster.has_palette:
        yield (
            f"The pixels of '{raster.name}' are numbers in a table of colours, and a network "
            "sees these, not the colours. Convert it first, for instance with the tool 'PCT to "
            "RGB'."
        )


def of_dates(second: Raster | None, first: Raster) -> Iterator[str]:
    """Yield why a network for changes cannot compare two dates, of which the second may lack."""
    if second is None:
        return
    if second.band_count != first.band_count:
        yield (
            f"'{first.name}' has {first.band_count} bands and '{second.name}' has "
            f"{second.band_count}: a network for changes compares the same bands."
        )
    yield from unlike(second, first)


def is_reordered(names: Sequence[str], others: Sequence[str]) -> bool:
    """Return whether bands have the same names, whatever their case, in another order."""
    one, other = ([name.strip().lower() for name in each] for each in (names, others))
    return one != other and sorted(one) == sorted(other)


def check_folder(target: Path) -> None:
    """Raise :class:`InputError` when a folder is in use."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(
            f"'{target}' is not empty, and an export does not add to what is there. Choose a new "
            "folder, or empty this one; 'Train model' takes several folders at once."
        )
