"""What GDAL tells of a raster dataset and its bands."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from osgeo import gdal

from ..errors import RasterError
from .gdal_calls import attempt, last_error
from .grid import GeoTransform, Window

LISTING = "GDAL_DISABLE_READDIR_ON_OPEN"


def open_dataset(path: str, options: Sequence[str] = ()) -> gdal.Dataset:
    """Open a file with GDAL; raise :class:`RasterError` when it cannot."""
    dataset = attempt(gdal.OpenEx, path, gdal.OF_RASTER, open_options=list(options))
    if dataset is None:
        reason = last_error()
        if not path.startswith(("/vsi", "http")) and ":" not in path and not Path(path).exists():
            raise RasterError(f"There is no file '{path}'. Choose an existing raster.")
        raise RasterError(f"'{path}' cannot be opened as a raster: {reason or 'unknown format'}.")
    return dataset


@contextlib.contextmanager
def among_many() -> Iterator[None]:
    """Let GDAL look for what belongs to a file by name.

    Else it reads the names of up to 1,000 files beside each that is opened.
    """
    before = gdal.GetThreadLocalConfigOption(LISTING)
    gdal.SetThreadLocalConfigOption(LISTING, "TRUE")
    try:
        yield
    finally:
        gdal.SetThreadLocalConfigOption(LISTING, before)


def is_raster_only(path: str) -> bool:
    """Return whether GDAL opens a file as a raster, and not as a vector layer."""
    kinds = (gdal.OF_VECTOR, gdal.OF_RASTER)
    vector, raster = (attempt(gdal.OpenEx, path, kind) is not None for kind in kinds)
    return raster and not vector


def geotransform_of(dataset: gdal.Dataset) -> GeoTransform:
    """Return where the pixels lie; without a georeference, where QGIS shows them: below 0, 0."""
    known = dataset.GetGeoTransform(can_return_null=True)
    return GeoTransform(row_y=-1.0) if known is None else GeoTransform(*known)


def band_name(band: gdal.Band) -> str:
    """Return a band's own name, else its colour, else its number."""
    if band.GetDescription():
        return band.GetDescription()
    color = gdal.GetColorInterpretationName(band.GetColorInterpretation())
    return color if color not in ("Undefined", "Gray", "Palette") else f"Band_{band.GetBand()}"


def value_names(band: gdal.Band) -> dict[int, str]:
    """Return the names of the values of a band, as the file tells them; empty when it does not."""
    names = dict(enumerate(band.GetCategoryNames() or ()))
    names.update(_attribute_names(band.GetDefaultRAT()))
    return {value: name for value, name in names.items() if name}


def _attribute_names(table: gdal.RasterAttributeTable | None) -> dict[int, str]:
    if table is None:
        return {}
    columns = {table.GetUsageOfCol(index): index for index in range(table.GetColumnCount())}
    value = columns.get(gdal.GFU_MinMax)
    name = columns.get(gdal.GFU_Name)
    if name is None:
        # Tables of other programs tell the use of a column by its name only.
        titles = {table.GetNameOfCol(i).lower(): i for i in range(table.GetColumnCount())}
        known = ("classname", "class_name", "name", "class")
        name = next((titles[each] for each in known if each in titles), None)
        value = titles.get("value") if value is None else value
    if value is None or name is None:
        return {}
    return {
        table.GetValueAsInt(row, value): table.GetValueAsString(row, name)
        for row in range(table.GetRowCount())
    }


def is_alpha(band: gdal.Band) -> bool:
    """Return whether a band tells how opaque the others are."""
    return band.GetColorInterpretation() == gdal.GCI_AlphaBand


def mask_bands(bands: Sequence[gdal.Band]) -> list[gdal.Band]:
    """Return the bands that tell where the raster has data; none when it has data everywhere."""
    flags = [band.GetMaskFlags() for band in bands]
    if not flags or any(flag & gdal.GMF_ALL_VALID for flag in flags):
        return []
    if flags[0] & gdal.GMF_PER_DATASET:
        return [bands[0].GetMaskBand()]
    return [band.GetMaskBand() for band in bands]


def is_absent(band: gdal.Band, window: Window) -> bool:
    """Return whether the file stores nothing of a window of a band."""
    answer = attempt(
        band.GetDataCoverageStatus, window.col, window.row, window.width, window.height
    )
    flags = answer[0] if isinstance(answer, (tuple, list)) else answer
    return flags == gdal.GDAL_DATA_COVERAGE_STATUS_EMPTY
