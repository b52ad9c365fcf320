"""What is checked before any work: model, raster and limits belong together.

The tools ask it in QGIS before the worker starts, the worker asks it again.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError, ModelError, OutsideError
from ..geo.grid import Window
from ..geo.mask import PolygonMask
from ..geo.pair import RasterPair
from ..geo.raster import Raster
from ..geo.shapes import bounds_window
from ..geo.source_files import files_of
from ..geo.units import metres_per_pixel
from ..geo.vector import VectorReader
from ..geo.vector_writer import DRIVERS, driver_of
from ..models.registry import Task
from ..overwriting import refuse_inputs
from ..packages.archive import peek_definition
from ..progress import Progress
from ..samples.schema import ClassDefinition, Schema, background_name
from .foreign.description import ARGUMENTS
from .model import Model, read_model
from .options import (
    BLENDS,
    TASK_ARGUMENTS,
    ChangeOptions,
    DetectionOptions,
    InferenceOptions,
    ObjectOptions,
    PixelOptions,
)
from .whole_rasters import RASTER_FIELD, WholeRasters, first_readable

CELL_SIZE_FACTOR = 1.5  # from which the model sees objects much larger or smaller than it knows
DEGREES_BELOW = 1e-3  # a cell size this small is in degrees
BACKGROUND_COLOR = (232, 230, 224)
RASTER_SUFFIXES = (".tif", ".tiff")
PLAIN_SUFFIXES = (*RASTER_SUFFIXES, *DRIVERS)  # behind which there are no other files
CONFIDENCE_FIELD = "Confidence"  # of classified features


@dataclass(frozen=True)
class Job:
    """A model, its raster and the part of it that is wanted; close it to let go of the file."""

    model: Model
    raster: Raster | RasterPair
    area: Window

    def __enter__(self) -> Job:
        return self

    def __exit__(self, *exception: object) -> None:
        self.raster.close()


def open_job(options: InferenceOptions, task: Task, progress: Progress | None = None) -> Job:
    """Open model and raster and check that they fit.

    Args:
        options: of the task.
        task: what the model must be made for.
        progress: receives warnings.

    Raises:
        GeoDLError: one sentence about what does not fit.
    """
    model = _read_model(options, task)
    raster = _open_raster(options)
    try:
        model = model.fitted(_dates(raster)[0])
        for date in _dates(raster):
            check_bands(model, date)
        area = _area(raster, options.extent)
        if options.mask:
            PolygonMask(options.mask[0], options.mask[1], raster, area)
        _check_output(options)
        if options.batch_size < 0:
            raise InputError(f"batch_size={options.batch_size} is negative. Use 0 to choose.")
        if progress is not None:
            for date in _dates(raster):
                _warn(model, date, progress, scaled=getattr(options, "takes_rasters", False))
    except BaseException:
        raster.close()
        raise
    return Job(model, raster, area)


def _read_model(options: InferenceOptions, task: Task) -> Model:
    """Read the model; arguments that neither the tool nor the model knows are refused."""
    model = read_model(peek_definition(options.model), task, options.arguments, options.allow_code)
    names = [each.name for each in dataclasses.fields(options)]
    known = {**dict.fromkeys(names), **(ARGUMENTS if model.foreign else {})}
    unknown = [name for name in options.arguments if name not in known]
    if unknown and not model.runs_code:
        listed = [name for name in TASK_ARGUMENTS[task] if name in names]
        listed += list(ARGUMENTS) if model.foreign else []
        raise InputError(
            f"There is no argument '{unknown[0]}'. Known are: {', '.join(listed) or 'none'}."
        )
    return model


def _open_raster(options: InferenceOptions) -> Raster | RasterPair:
    """Open the raster, at the cell size that is asked for, and that of a second date."""
    raster = Raster.open(options.sources)
    if getattr(options, "takes_rasters", False):  # of photos only the class is wanted
        return raster
    raster = raster.placed()
    if options.cell_size > 0:
        raster = raster.with_cells(options.cell_size)
    if not isinstance(options, ChangeOptions):
        return raster
    return RasterPair(raster, Raster.open(options.second).placed())


def _dates(raster: Raster | RasterPair) -> tuple[Raster, ...]:
    return raster.dates if isinstance(raster, RasterPair) else (raster,)


def open_detection(options: DetectionOptions, progress: Progress | None = None) -> Job:
    """Open model and raster for the task "detect"; the rest is as in :func:`open_job`."""
    shares = {
        "threshold": options.threshold,
        "nms_overlap": options.nms_overlap,
        "MAX_OVERLAP_RATIO": options.max_overlap_ratio,
    }
    for name, value in shares.items():
        if not 0 <= value <= 1:
            raise InputError(f"{name}={value} is not between 0 and 1. Choose a share.")
    check_fields(options)
    _check_tiles(options)
    _check_vector(options.output)
    job = open_job(options, Task.DETECTION, progress)
    try:
        choose_classes(job.model.schema, options.classes, job.model.name)
    except BaseException:
        job.raster.close()
        raise
    return job


def check_fields(options: DetectionOptions) -> None:
    """Raise :class:`InputError` unless the fields of the result have different names."""
    fixed = ["Classvalue", RASTER_FIELD] if options.is_each else ["Classvalue"]
    names = [options.class_field, options.confidence_field, *fixed]
    if "" in names or len({name.lower() for name in names}) < len(names):
        listed = " and ".join([", ".join(f"'{name}'" for name in names[:-1]), f"'{names[-1]}'"])
        raise InputError(
            f"The fields {listed} need {'three' if len(names) == 3 else 'four'} different names. "
            "Change the first or the second one."
        )


def open_pixels(
    options: PixelOptions, progress: Progress | None = None, task: Task = Task.PIXELS
) -> Job:
    """Open model and raster for the task "classify_pixels"; else as :func:`open_job`."""
    if Path(options.output).suffix.lower() not in RASTER_SUFFIXES:
        raise InputError(f"'{options.output}' is no GeoTIFF. Give it the extension .tif.")
    _check_tiles(options)
    if options.blend not in BLENDS:
        raise InputError(f"blend={options.blend} is unknown. Choose one of: {', '.join(BLENDS)}.")
    if options.probabilities and Path(options.probabilities).suffix.lower() not in RASTER_SUFFIXES:
        raise InputError(f"'{options.probabilities}' is no GeoTIFF. Give it the extension .tif.")
    _check_vector(options.polygons)
    for name, value in (("SIMPLIFY", options.simplify), ("MIN_AREA", options.min_area)):
        if value < 0:
            raise InputError(f"{name}={value:g} is negative. Use 0 for none.")
    return open_job(options, task, progress)


def open_change(options: ChangeOptions, progress: Progress | None = None) -> Job:
    """Open model and both rasters for the task "detect_change"; else as :func:`open_job`."""
    if not options.second:
        raise InputError("No raster of the later date is given. Choose one for INPUT_2.")
    return open_pixels(options, progress, Task.CHANGE)


def open_features(options: ObjectOptions) -> VectorReader | WholeRasters:
    """Open the features to classify; without any, each raster is one.

    Raises:
        InputError: when the layer is empty, or the result would replace it.
    """
    _check_vector(options.output)
    taken = ["", CONFIDENCE_FIELD.lower()]
    if options.takes_rasters:
        taken.append(RASTER_FIELD.lower())
    if options.class_field.lower() in taken:
        raise InputError(
            f"The class cannot be stored in a field called '{options.class_field}'. "
            "Choose another name."
        )
    if not 0 <= options.score_threshold <= 1:
        raise InputError(
            f"score_threshold={options.score_threshold} is not between 0 and 1. Choose a share."
        )
    refuse_inputs(options.outputs, options.inputs)
    if options.takes_rasters:
        return WholeRasters(options)
    path, layer = (*options.features, "")[:2]
    reader = VectorReader(path, layer or None)
    if reader.count == 0:
        raise InputError(f"'{reader.name}' has no features. Choose another layer.")
    return reader


def open_objects(options: ObjectOptions, progress: Progress | None = None) -> Job:
    """Open model and raster for the task "classify_objects"; else as :func:`open_job`.

    Where the rasters are the objects, they need not fit together: the first one is opened, or
    the first that can be where others may be skipped.
    """
    if options.takes_rasters:
        options = dataclasses.replace(options, sources=[first_readable(options)])
    return open_job(options, Task.OBJECTS, progress)


def choose_classes(schema: Schema, names: Sequence[str], model: str) -> Schema:
    """Return the classes that are named, by name or value; all when none are.

    Raises:
        InputError: when the model has no such class.
    """
    chosen: list[ClassDefinition] = []
    for name in names:
        known = _class_of(schema, name.strip())
        # A comma is part of a name, or stands between two.
        parts = [name] if known is not None else [part for part in name.split(",") if part.strip()]
        chosen += [_required_class(schema, part.strip(), model) for part in parts]
    return schema.subset([each.value for each in chosen]) if chosen else schema


def with_background(schema: Schema) -> Schema:
    """Return the classes of a class raster in which the background is a class of its own."""
    if schema.by_value(0) is not None:
        return schema
    name = background_name(schema.names).capitalize()
    return Schema.of([ClassDefinition(0, name, BACKGROUND_COLOR), *schema.classes])


def result_classes(model: Model, options: PixelOptions) -> Schema:
    """Return the classes that a model may give pixels."""
    wanted = options.predict_background and model.background
    return with_background(model.schema) if wanted else model.schema


def _class_of(schema: Schema, name: str) -> ClassDefinition | None:
    for each in schema.classes:
        if name.lower() == each.name.lower():
            return each
    with contextlib.suppress(ValueError):
        return schema.by_value(int(name))
    return None


def _required_class(schema: Schema, name: str, model: str) -> ClassDefinition:
    found = _class_of(schema, name)
    if found is None:
        raise InputError(f"'{model}' knows no class '{name}'. Its classes are: {schema}.")
    return found


def _check_tiles(options: DetectionOptions | PixelOptions) -> None:
    for name, value in (("padding", options.padding), ("tile_size", options.tile_size)):
        # Arguments without a default may be anything that JSON knows.
        whole = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not (whole and value >= 0):
            raise InputError(f"{name}={value} is no number of pixels. Leave it out to choose.")


def _check_vector(output: str) -> None:
    if output:
        driver_of(output)


def check_bands(model: Model, raster: Raster) -> None:
    """Raise :class:`ModelError` unless a raster has the bands that a model was trained on."""
    if np.issubdtype(raster.dtype, np.complexfloating) and not model.runs_code:
        raise ModelError(
            f"'{raster.name}' has complex numbers, and '{model.name}' takes real ones. Compute "
            "their amplitudes first."
        )
    lacking = max(model.bands) >= raster.band_count or min(model.bands) < 0
    if model.band_names is not None and model.fitted(raster).bands != model.bands:
        raise ModelError(
            f"'{raster.name}' has the bands that '{model.name}' names in another order than the "
            "raster before. Bring both to one order."
        )
    # Which of more bands are meant, nobody says: a guess gives results that only look right.
    if lacking or model.image_bands not in (0, raster.band_count):
        count = model.image_bands or model.spec.band_count
        plural = "s" if count > 1 else ""
        raise ModelError(
            f"'{model.name}' was trained on {count} band{plural} but "
            f"'{raster.name}' has {raster.band_count}. Choose a raster with the bands that the "
            "model expects."
        )
    if len(model.bands) != model.spec.band_count and not model.runs_code:
        raise ModelError(
            f"'{model.name}' names {len(model.bands)} bands to extract but its network takes "
            f"{model.spec.band_count}. Train it again."
        )


def _area(raster: Raster, extent: list[float] | None) -> Window:
    if extent is None:
        return raster.window
    xmin, ymin, xmax, ymax = extent
    area = bounds_window((xmin, ymin, xmax, ymax), raster.geotransform, raster.window)
    if area is None:
        raise OutsideError(
            f"The extent {xmin:g}, {ymin:g}, {xmax:g}, {ymax:g} lies outside of "
            f"'{raster.name}'. Choose one that meets the raster."
        )
    return area


def _check_output(options: InferenceOptions) -> None:
    if not options.output:
        raise InputError("No output is given. Choose a file for the result.")
    behind = [each for each in options.inputs if Path(each).suffix.lower() not in PLAIN_SUFFIXES]
    refuse_inputs(options.outputs, [*options.inputs, options.model, *files_of(behind)])


def tell_unused(options: InferenceOptions, progress: Progress) -> None:
    """Tell which options change nothing beside the others."""
    if isinstance(options, DetectionOptions) and options.max_overlap_ratio and not options.run_nms:
        progress.warn(
            f"MAX_OVERLAP_RATIO={options.max_overlap_ratio:g} changes nothing, for RUN_NMS=false "
            "leaves all that neighbouring tiles have found."
        )
    if isinstance(options, PixelOptions) and not options.polygons:
        for name, value in (("SIMPLIFY", options.simplify), ("MIN_AREA", options.min_area)):
            if value:
                progress.warn(f"{name}={value:g} changes nothing, for it is for POLYGONS.")
    if isinstance(options, ObjectOptions) and options.takes_rasters and options.cell_size:
        progress.warn(
            f"CELL_SIZE={options.cell_size:g} does not resample rasters that are objects "
            "themselves: each is brought to what the network sees."
        )


def _warn(model: Model, raster: Raster, progress: Progress, scaled: bool = False) -> None:
    """Tell in what a raster is unlike those of the training; one that is scaled may be larger."""
    if model.foreign is not None and model.foreign.assumed:
        progress.warn(model.foreign.assumed)
    if raster.band_count > model.spec.band_count and not model.runs_code:
        used = ", ".join(str(band + 1) for band in model.bands)
        progress.warn(
            f"'{raster.name}' has {raster.band_count} bands, of which '{model.name}' uses {used}: "
            "with bands in another order the results are wrong."
        )
    if model.dtype and model.dtype != str(raster.dtype):
        progress.warn(
            f"'{model.name}' was trained on {model.dtype} images but '{raster.name}' is "
            f"{raster.dtype}: the results may be wrong."
        )
    if scaled:
        return
    trained = model.cell_metres or _metres(model.cell_size, raster)
    here = metres_per_pixel(raster)
    across, down = raster.geotransform.cell_size()
    side = (across * down) ** 0.5
    if trained and here and not 1 / CELL_SIZE_FACTOR <= here / trained <= CELL_SIZE_FACTOR:
        progress.warn(
            f"'{model.name}' was trained at {trained:.3g} m a pixel but '{raster.name}' has "
            f"{here:.3g} m: objects appear {trained / here:.2g} times as large as in training. "
            f"CELL_SIZE={trained / here * side:.3g} resamples the raster to what the model knows."
        )


def _metres(cell_size: float | None, raster: Raster) -> float | None:
    """Return a training cell size of unknown units in metres; degrees are told by smallness."""
    if not cell_size or cell_size >= DEGREES_BELOW:
        return cell_size
    across, down = raster.geotransform.cell_size()
    here = metres_per_pixel(raster)
    if here is None or max(across, down) >= DEGREES_BELOW:
        return None
    return cell_size * here / (across * down) ** 0.5
