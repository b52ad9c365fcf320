"""Reading a training-data folder, from ArcGIS, from GeoDL or from other programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ModelError, RasterError, TrainingDataError
from ..geo.raster import Block, Raster
from ..geo.vector import Bounds
from ..packages.definition import CaselessDict, class_of_json, read_definition
from ..samples.schema import ClassDefinition, Schema, default_color
from .formats import chip_format, keywords
from .formats.pascal_voc import PascalVoc
from .labels import Label

DEFINITION = "esri_model_definition.emd"
STATISTICS = "esri_accumulated_stats.json"
IMAGE_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".mrf")


@dataclass(frozen=True)
class Chip:
    """An image and its label."""

    name: str
    image: Path
    label: Path | None


@dataclass(frozen=True)
class ChipFolder:
    """A training-data folder.

    Attributes:
        path: of the folder.
        format: keyword of its format.
        schema: its classes.
        chips: sorted by name.
        band_count, width, height, band_names, dtype: of the first chip's image.
        definition: the template model definition, empty when there is none.
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

    @property
    def reference_system(self) -> str:
        """MAP_SPACE (north is up) or PIXEL_SPACE."""
        return str(self.definition.get("ImageSpaceUsed") or "MAP_SPACE")

    def read_image(self, chip: Chip) -> Block:
        """Read the pixels of a chip.

        Raises:
            TrainingDataError: when the image cannot be read or has other bands than the rest.
        """
        with self._open(chip) as raster:
            if raster.band_count != self.band_count:
                raise TrainingDataError(
                    f"'{chip.image}' has {raster.band_count} bands, but the other chips have "
                    f"{self.band_count}. Remove it or export the folder again."
                )
            return raster.read(raster.window)

    def read_label(self, chip: Chip) -> Label:
        """Read the label of a chip; raise :class:`TrainingDataError` when it is damaged."""
        if chip.label is None:
            raise TrainingDataError(f"'{chip.image}' has no label. Remove it.")
        try:
            return chip_format(self.format).read(chip.label, self.schema)
        except RasterError as error:
            raise TrainingDataError(str(error)) from error

    def footprint(self, chip: Chip) -> Bounds:
        """Return the map bounds of a chip; without a georeference these are pixels."""
        with self._open(chip) as raster:
            corners = raster.geotransform.box_corners([[0, 0, raster.width, raster.height]])[0]
            (xmin, ymin), (xmax, ymax) = corners.min(axis=0), corners.max(axis=0)
            return float(xmin), float(ymin), float(xmax), float(ymax)

    def cell_size(self) -> tuple[float, float]:
        """Return the lengths of a pixel's sides in the first chip, in map units."""
        with self._open(self.chips[0]) as raster:
            return raster.geotransform.cell_size()

    def crs(self) -> str:
        """Return the coordinate reference system of the first chip as well-known text."""
        with self._open(self.chips[0]) as raster:
            return raster.crs

    def _open(self, chip: Chip) -> Raster:
        try:
            return Raster.open(chip.image)
        except RasterError as error:
            raise TrainingDataError(str(error)) from error


def open_folder(path: str | Path) -> ChipFolder:
    """Open a training-data folder.

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
    chips = _chips(path, chip_format(keyword).suffix)
    if not chips:
        raise TrainingDataError(
            f"The folder '{path}' holds no training data: there are no images in "
            f"'{path / 'images'}'. Export training data first."
        )
    try:
        with Raster.open(chips[0].image) as first:
            return ChipFolder(
                path=path,
                format=keyword,
                schema=_schema(definition, keyword, chips),
                chips=chips,
                band_count=first.band_count,
                width=first.width,
                height=first.height,
                band_names=first.band_names,
                dtype=first.dtype.name,
                definition=definition,
            )
    except RasterError as error:
        raise TrainingDataError(str(error)) from error


def _definition(path: Path) -> CaselessDict:
    file = path / DEFINITION
    if not file.is_file():
        return CaselessDict({})
    try:
        return read_definition(file).values
    except ModelError as error:
        raise TrainingDataError(str(error)) from error


def _keyword(path: Path, definition: CaselessDict) -> str:
    keyword = definition.get("MetaDataMode") or _statistics(path).get("MetaDataMode")
    if keyword is None:
        suffixes = {each.suffix.lower() for each in _files(path / "labels")}
        keyword = "Classified_Tiles" if ".tif" in suffixes else "PASCAL_VOC_rectangles"
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


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _chips(path: Path, suffix: str) -> tuple[Chip, ...]:
    labels = {each.stem: each for each in _files(path / "labels") if each.suffix == suffix}
    return tuple(
        Chip(image.stem, image, labels.get(image.stem))
        for image in _files(path / "images")
        if image.suffix.lower() in IMAGE_SUFFIXES
    )


def _schema(definition: CaselessDict, keyword: str, chips: Sequence[Chip]) -> Schema:
    entries = definition.get("Classes")
    if isinstance(entries, list) and entries:
        return Schema.of(class_of_json(entry, place) for place, entry in enumerate(entries))
    labels = [chip.label for chip in chips if chip.label is not None]
    names = set().union(*(chip_format(keyword).class_names(label) for label in labels))
    if names and all(name.isdigit() for name in names):
        return Schema.of(
            ClassDefinition(int(name), name, default_color(place))
            for place, name in enumerate(sorted(names, key=int))
        )
    if not names and keyword != PascalVoc.keyword:
        raise TrainingDataError("The folder does not say its classes. Add its .emd file.")
    return Schema.from_names(names)
