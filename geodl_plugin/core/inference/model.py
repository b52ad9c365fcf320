"""What inference knows of a model before the network exists: read without torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import ModelError
from ..geo.raster import Block, Raster
from ..models.registry import NetworkSpec, Task, model_type
from ..packages.band_names import BandNames
from ..packages.cell_size import trained_metres
from ..packages.definition import ModelDefinition, understood
from ..samples.schema import Schema
from .foreign.description import Foreign, is_foreign, read_foreign

FIXED_SIZE, BOUNDING_BOX = "FIXED_SIZE", "BOUNDING_BOX"
LARGEST_VALUE = 65534  # of a class in a raster: the next one is its no data


@dataclass(frozen=True)
class Model:
    """A model, of GeoDL's own making or of others'.

    Attributes:
        name: of its file.
        schema: the classes.
        bands: the raster's bands it takes, 0-based.
        band_names: their names, where the definition says these instead.
        mean, std: of each band in the raster's units: the network sees (x − mean) / std.
        spec: how to build the network.
        weights: the name of the weights' file.
        dtype: data type of the training images, "" if not known.
        cell_size: of the training images, in map units, if known.
        cell_metres: the same in metres.
        image_bands: how many bands the training images had, 0 if not known.
        crop_mode: FIXED_SIZE or BOUNDING_BOX: how an object becomes an image.
        blacken: whether an object's surroundings are blackened.
        several_labels: whether an object may have several classes.
        background: whether the background of pixels was learned, and is an answer.
        map_space: whether the images are maps, or photographs with an up and a down.
        foreign: how the network of another maker is used; ``None`` for GeoDL's own.
        padding: the only rim of tiles that it takes, in pixels, where it tells one.
        batch_size: the only number of images at a time, 0 where it tells none.
        scale: what is subtracted from each band, and what it is multiplied by then.
    """

    name: str
    schema: Schema
    bands: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    spec: NetworkSpec
    weights: str = ""
    dtype: str = ""
    cell_size: float | None = None
    cell_metres: float | None = None
    image_bands: int = 0
    crop_mode: str = FIXED_SIZE
    blacken: bool = False
    several_labels: bool = False
    background: bool = True
    map_space: bool = True
    foreign: Foreign | None = None
    band_names: BandNames | None = None
    padding: int | None = None
    batch_size: int = 0
    scale: tuple[np.ndarray, np.ndarray] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        mean = np.asarray(self.mean, np.float32).reshape(-1, 1, 1)
        std = np.asarray(self.std, np.float32).reshape(-1, 1, 1)
        object.__setattr__(self, "scale", (mean, 1 / np.where(std > 0, std, np.float32(1))))

    @property
    def chip_size(self) -> int:
        """Side of the training images, in pixels."""
        return self.spec.chip_size

    @property
    def task(self) -> Task:
        """What the network answers."""
        if self.foreign is not None:
            return self.foreign.task
        return model_type(self.spec.model_type).task

    @property
    def runs_code(self) -> bool:
        """Whether a Python function of the model's author answers."""
        return self.foreign is not None and self.foreign.loader == "function"

    def fitted(self, raster: Raster) -> Model:
        """Return the model with the bands of a raster that it names, or all for a function.

        Raises:
            ModelError: when nothing tells which of the raster's bands are meant.
        """
        bands, names = self.bands, self.band_names
        if names is not None:
            bands = names.look_up(raster.band_names, self.name, raster.name)
            names = dataclasses.replace(names, found=bands)
        if self.runs_code:  # the function itself says which bands it takes
            bands = tuple(range(raster.band_count))
        return dataclasses.replace(self, bands=bands, band_names=names)

    def prepare(self, block: Block) -> np.ndarray:
        """Return what the network is given, :class:`.normalizing.Normalizing` where it is GeoDL's.

        Returns:
            8-bit pixels as they are, with one band more that is 1 where there are data: a third
            of the memory. All else normalised.
        """
        if self.foreign is None and block.pixels.dtype == np.uint8:
            return np.concatenate([block.pixels, block.valid[None].view(np.uint8)])
        return self.normalise(block)

    def normalise(self, block: Block) -> np.ndarray:
        """Return ``(bands, rows, cols)`` as ``float32`` for the network; invalid pixels are 0."""
        if self.runs_code:  # it wants the pixels as they are, and where there are data
            valid = block.valid[None].astype(block.pixels.dtype)
            return np.concatenate([block.pixels, valid])
        mean, scale = self.scale
        if len(block.pixels) > len(mean):  # two dates follow each other in the bands
            mean, scale = np.tile(mean, (2, 1, 1)), np.tile(scale, (2, 1, 1))
        pixels = np.subtract(block.pixels, mean, dtype=np.float32, casting="unsafe")
        pixels *= scale
        if not block.valid.all():
            # Not by multiplication: what is invalid may be NaN.
            pixels = np.where(block.valid, pixels, np.float32(0))
        return pixels


def read_model(
    definition: ModelDefinition,
    task: Task,
    arguments: Mapping[str, str] | None = None,
    allow_code: bool = False,
) -> Model:
    """Return the model of a definition.

    Args:
        definition: of the model; what another maker left open is filled in.
        task: what it must be made for.
        arguments: what the user says of a network of another maker.
        allow_code: whether Python code of the model's author may run.

    Raises:
        ModelError: when it is made for another task, or is not complete.
    """
    with understood(definition.name):
        if is_foreign(definition):
            model = _foreign(read_foreign(definition, task, arguments, allow_code), definition)
        else:
            model = _own(definition, task)
    if task in (Task.PIXELS, Task.CHANGE):
        _require_pixel_values(model)
    return model


def _require_pixel_values(model: Model) -> None:
    """Raise :class:`ModelError` when a class raster cannot hold a class: 65535 is its no data."""
    for each in model.schema.classes:
        if not 0 <= each.value <= LARGEST_VALUE:
            raise ModelError(
                f"'{model.name}' gives the class '{each.name}' the value {each.value}, which a "
                f"class raster cannot hold. Give it one from 0 to {LARGEST_VALUE}."
            )


def _own(definition: ModelDefinition, task: Task) -> Model:
    """Return the model of a definition that GeoDL has written."""
    definition.require_task(task.value)
    facts = definition.geodl
    name = definition.name
    try:
        kind = model_type(str(facts["architecture"]))
    except ValueError as error:
        raise ModelError(f"'{name}' cannot be used: {error}") from None
    schema = definition.schema
    classes = int(facts.get("class_count") or len(schema))
    if classes != len(schema):
        raise ModelError(
            f"'{name}' has {len(schema)} classes, but its network answers with {classes}. Get the "
            "model again."
        )
    count = definition.band_count
    mean, std = _normalization(facts, count, name)
    crop = facts.get("crop") if isinstance(facts.get("crop"), dict) else {}
    spec = NetworkSpec(
        kind.name,
        str(facts.get("backbone") or ""),
        dict(facts.get("arguments") or {}),
        count,
        classes,
        int(facts.get("chip_size") or definition.tile_size),
        resize_to=int(facts.get("resize_to") or 0),
    )
    return Model(
        name=name,
        schema=schema,
        bands=definition.extract_bands or tuple(range(count)),
        band_names=definition.band_names,
        mean=mean,
        std=std,
        spec=spec,
        weights=definition.model_file,
        dtype=str(facts.get("dtype") or ""),
        cell_size=_cell_size(facts.get("cell_size")),
        cell_metres=trained_metres(facts),
        image_bands=int(facts.get("image_bands") or 0),
        crop_mode=_crop_mode(crop, definition),
        several_labels=bool(facts.get("several_labels")),
        background=definition.learned_background,
        blacken=bool(crop.get("blacken", definition.values.get("BlackenAroundFeature", False))),
        map_space=str(definition.values.get("ImageSpaceUsed") or "").upper() != "PIXEL_SPACE",
        padding=definition.whole("ModelPadding", 0),
        batch_size=definition.whole("BatchSize", 1) or 0,
    )


def _foreign(found: dict[str, Any], definition: ModelDefinition) -> Model:
    """Return the model of another maker."""
    side = found.pop("side")
    facts = definition.geodl
    crop = facts.get("crop") if isinstance(facts.get("crop"), dict) else {}
    decides = found["foreign"].loader == "function"  # a function's own arguments hold
    return Model(
        padding=None if decides else definition.whole("ModelPadding", 0),
        batch_size=0 if decides else definition.whole("BatchSize", 1) or 0,
        spec=NetworkSpec("", "", {}, len(found["bands"]), len(found["schema"]), side),
        crop_mode=_crop_mode(crop, definition),
        blacken=bool(crop.get("blacken", definition.values.get("BlackenAroundFeature", False))),
        background=decides or definition.learned_background,
        map_space=str(definition.values.get("ImageSpaceUsed") or "").upper() != "PIXEL_SPACE",
        **found,
    )


def _normalization(
    facts: dict[str, Any], count: int, name: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    values = facts.get("normalization") or {}
    try:
        mean = tuple(float(each) for each in values["mean"])
        std = tuple(float(each) for each in values["std"])
    except (KeyError, TypeError, ValueError):
        mean = std = ()
    if len(mean) != count or len(std) != count:
        raise ModelError(
            f"'{name}' has no mean and standard deviation for its {count} bands. Train it again."
        )
    return mean, std


def _cell_size(value: Any) -> float | None:
    first = value[0] if isinstance(value, (list, tuple)) and value else value
    usable = isinstance(first, (int, float)) and not isinstance(first, bool) and first > 0
    return float(first) if usable else None


def _crop_mode(crop: dict[str, Any], definition: ModelDefinition) -> str:
    mode = str(crop.get("mode") or "").upper()
    if mode:  # ArcGIS calls the other one Variable_Size
        return FIXED_SIZE if mode == FIXED_SIZE else BOUNDING_BOX
    # ArcGIS writes 1 for the fixed size and 0 for the bounding box.
    return BOUNDING_BOX if definition.values.get("CropSizeFixed", 1) in (0, "0") else FIXED_SIZE
