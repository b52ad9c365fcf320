"""Reading a training-data folder, from ArcGIS, from GeoDL or from other programs."""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import BandCountError, ModelError, RasterError, TrainingDataError
from ..geo.crs import Bounds
from ..geo.raster import Block, Raster
from ..geo.units import metres_per_pixel
from ..packages.cell_size import ALIKE, is_length
from ..packages.definition import CaselessDict, class_of_json, read_definition
from ..samples.schema import ClassDefinition, Schema, default_color
from .formats import Chip, ChipFormat, chip_format, keywords, recognise
from .images import open_image
from .labels import Label

DEFINITION = "esri_model_definition.emd"
STATISTICS = "esri_accumulated_stats.json"
NUMBERED = re.compile(r"(band)?[ _]?\d*")  # a name of a band that says nothing


class Footprint(NamedTuple):
    """Where a chip lies.

    Attributes:
        bounds: in map units.
        system: the coordinate reference system, as well-known text.
        placed: whether it has a place.
        corners: ``(4, 2)``, in turn; those of a turned chip are not those of its bounds.
    """

    bounds: Bounds
    system: str
    placed: bool
    corners: np.ndarray


@dataclass(frozen=True)
class ChipFolder:
    """A training-data folder.

    Attributes:
        path: of the folder.
        format: keyword of its format.
        schema: its classes.
        chips: sorted by name.
        band_count, width, height, dtype: of the first image.
        band_names: as the definition tells them, else of the first image.
        definition: the template model definition, empty when there is none.
        reader: reads the labels.
    """

    path: Path
    format: str
    schema: Schema
    chips: tuple[Chip, ...]
    band_count: int
    width: int
    height: int
    band_names: tuple[str, ...]
    dtype: str
    definition: CaselessDict = field(repr=False)
    reader: ChipFormat = field(repr=False)

    @property
    def reference_system(self) -> str:
        """MAP_SPACE (north is up) or PIXEL_SPACE."""
        return str(self.definition.get("ImageSpaceUsed") or "MAP_SPACE")

    @property
    def paired(self) -> bool:
        """Whether the chips have second images, of another date for example."""
        return any(chip.second for chip in self.chips)

    @property
    def variable_size(self) -> bool:
        """Whether each chip is as large as its object (CROP_MODE=BOUNDING_BOX)."""
        return str(self.definition.get("CropTileMode")).lower() == "variable_size"

    def read_image(self, chip: Chip, bands: Sequence[int] | None = None) -> Block:
        """Read the pixels of a chip.

        Args:
            chip: of the folder.
            bands: their positions, all by default. A place without a number in another band only
                has data, as it has at inference.

        Raises:
            TrainingDataError: when the image cannot be read.
            BandCountError: when it has other bands than the rest.
        """
        return self._read(chip.image, bands)

    def read_dates(self, chip: Chip, bands: Sequence[int] | None = None) -> Block:
        """Read both images of a chip, the bands of the second after those of the first.

        Args:
            chip: of the folder.
            bands: of each image, as of :meth:`read_image`.

        Raises:
            TrainingDataError: when one is missing, cannot be read, or does not fit the other.
        """
        if chip.second is None:
            raise TrainingDataError(
                f"'{chip.image}' has no second image. Add it to 'images2' or remove the chip."
            )
        first, second = (self._read(image, bands) for image in (chip.image, chip.second))
        if first.valid.shape != second.valid.shape:
            raise TrainingDataError(
                f"'{chip.image}' and its second image have different sizes. Export them again."
            )
        pixels = np.concatenate([first.pixels, second.pixels])
        return Block(pixels, first.valid & second.valid)

    def read_label(self, chip: Chip) -> Label:
        """Read the label of a chip; raise :class:`TrainingDataError` when it is damaged."""
        try:
            return self.reader.read(chip)
        except TrainingDataError:
            raise
        except RasterError as error:
            raise TrainingDataError(str(error)) from error
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise TrainingDataError(
                f"The label of '{chip.image}' cannot be read: {error}."
            ) from error

    def footprint(self, chip: Chip) -> Footprint:
        """Return where a chip lies.

        Without a georeference its bounds are pixels, there is no system, and it has no place.
        """
        with self._open(chip.image) as raster:
            corners = raster.geotransform.box_corners([[0, 0, raster.width, raster.height]])[0]
            (xmin, ymin), (xmax, ymax) = corners.min(axis=0), corners.max(axis=0)
            bounds = (float(xmin), float(ymin), float(xmax), float(ymax))
            system = raster.crs if raster.has_place else ""
            return Footprint(bounds, system, raster.has_place, corners)

    def cell_size(self) -> tuple[float, float]:
        """Return the lengths of a pixel's sides in the first chip, in map units."""
        with self._open(self.chips[0].image) as raster:
            return raster.geotransform.cell_size()

    def cell_metres(self) -> float | None:
        """Return the side of a pixel of the first chip in metres, if its system is known."""
        with self._open(self.chips[0].image) as raster:
            return metres_per_pixel(raster)

    def has_one_scale(self) -> bool:
        """Return whether all chips have pixels of about one size, as far as a few of them tell."""
        ends = [self.definition.get(key) for key in ("MinCellSize", "MaxCellSize")]
        told = [each.get("x") for each in ends if isinstance(each, dict)]
        systems = [each.get("spatialReference") for each in ends if isinstance(each, dict)]
        known = len(told) == 2 and all(is_length(each) for each in told)
        if known and systems[0] == systems[1] and told[1] > ALIKE * told[0]:
            return False
        sides = []
        for chip in {each.image.parent: each for each in self.chips}.values():
            with self._open(chip.image) as raster:
                across, down = raster.geotransform.cell_size()
                sides.append(metres_per_pixel(raster) or math.sqrt(across * down))
        return max(sides) <= ALIKE * min(sides)

    def crs(self) -> str:
        """Return the coordinate reference system of the first chip as well-known text."""
        with self._open(self.chips[0].image) as raster:
            return raster.crs

    def _read(self, image: Path, bands: Sequence[int] | None) -> Block:
        with self._open(image) as raster:
            if raster.band_count != self.band_count:
                raise BandCountError(
                    f"'{image}' has {raster.band_count} bands, but the other chips have "
                    f"{self.band_count}. Remove it or export the folder again."
                )
            return raster.read(raster.window, bands)

    @contextlib.contextmanager
    def _open(self, image: Path) -> Iterator[Raster]:
        try:
            with open_image(image) as raster:
                yield raster
        except RasterError as error:
            raise TrainingDataError(str(error)) from error


def open_folder(path: str | Path, without: Path | None = None) -> ChipFolder:
    """Open a training-data folder.

    Args:
        path: of the folder.
        without: a folder inside it whose images are no chips of it.

    Raises:
        TrainingDataError: when it is no folder, has no chips, or no known format.
    """
    path = Path(path)
    if not path.is_dir():
        raise TrainingDataError(
            f"There is no folder '{path}'. Choose a folder that 'Export training data' made."
        )
    definition = _definition(path)
    keyword = _keyword(path, definition)
    form = chip_format(keyword)
    schema = _schema(definition, form(path))
    reader = form(path, schema, bool(_entries(definition)))
    chips = tuple(
        chip for chip in reader.chips() if without is None or without not in chip.image.parents
    )
    if not chips:
        raise TrainingDataError(
            f"The folder '{path}' holds no training data: there are no images in "
            f"'{path / 'images'}'. Export training data first."
        )
    try:
        with _first_image(chips) as first:
            return ChipFolder(
                path=path,
                format=keyword,
                schema=schema,
                chips=chips,
                band_count=first.band_count,
                width=first.width,
                height=first.height,
                band_names=_band_names(definition, first.band_names),
                dtype=first.dtype.name,
                definition=definition,
                reader=reader,
            )
    except RasterError as error:
        raise TrainingDataError(str(error)) from error


def _first_image(chips: Sequence[Chip]) -> Raster:
    """Open the first image that can be opened; raise :class:`RasterError` when none can."""
    for chip in chips:
        with contextlib.suppress(RasterError):
            return Raster.open(chip.image)
    return Raster.open(chips[0].image)


def _definition(path: Path) -> CaselessDict:
    file = path / DEFINITION
    if not file.is_file():
        return CaselessDict({})
    try:
        return read_definition(file).values
    except ModelError as error:
        raise TrainingDataError(str(error)) from error


def _band_names(definition: CaselessDict, own: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the bands: images in PNG or JPEG call any three red, green and blue."""
    rasters = definition.get("InputRastersProps")
    told = CaselessDict(rasters).get("BandNames") if isinstance(rasters, dict) else None
    names = tuple(map(str, told)) if isinstance(told, list) else ()
    if len(names) != len(own) or len({name.strip().lower() for name in names}) < len(names):
        return own
    return own if all(NUMBERED.fullmatch(name.strip().lower()) for name in names) else names


def _keyword(path: Path, definition: CaselessDict) -> str:
    keyword = definition.get("MetaDataMode") or _statistics(path).get("MetaDataMode")
    if keyword is None:
        found = recognise(path)
        if found is None:
            raise TrainingDataError(
                f"The folder '{path}' holds no training data that can be recognised. "
                "Export training data first."
            )
        keyword = found.keyword
    if keyword not in keywords():
        raise TrainingDataError(
            f"The folder '{path}' has the format '{keyword}', which cannot be read yet. "
            f"Known formats are: {', '.join(keywords())}."
        )
    return str(keyword)


def _statistics(path: Path) -> dict[str, Any]:
    file = path / STATISTICS
    if not file.is_file():
        return {}
    try:
        values = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise TrainingDataError(f"'{file}' cannot be read: {error}.") from error
    return values if isinstance(values, dict) else {}


def _entries(definition: CaselessDict) -> list[Any]:
    """Return the classes that a definition gives, none without one."""
    entries = definition.get("Classes")
    return entries if isinstance(entries, list) else []


def _schema(definition: CaselessDict, reader: ChipFormat) -> Schema:
    entries = _entries(definition)
    if entries:
        return Schema.of(class_of_json(entry, place) for place, entry in enumerate(entries))
    names = reader.class_names()
    if names and all(name.isdecimal() for name in names):
        return Schema.of(
            ClassDefinition(int(name), name, default_color(place))
            for place, name in enumerate(sorted(names, key=int))
        )
    return Schema.from_names(names)
