"""Several rasters joined to one, of which none is left out silently."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from osgeo import gdal

from ..errors import RasterError
from .coverage import is_never_data
from .crs import same_crs
from .dataset_facts import is_alpha, open_dataset
from .gdal_calls import attempt, last_error
from .raster import Raster
from .result_raster import move

UNTOLD = (gdal.GCI_Undefined, gdal.GCI_GrayIndex)  # colours of bands that tell none
OPAQUE = 255  # of a mask


def join(paths: tuple[str, ...]) -> gdal.Dataset:
    """Return a virtual raster of several files.

    Raises:
        RasterError: when they do not fit together.
    """
    first = Raster.open(paths[0])
    known, gaps, colors = "", [], []
    for path in paths:
        with Raster.open(path) as other:
            known = known or other.crs
            _require_alike(first, other, known)
            gaps.append(_gaps_of(other))
            colors.append(other.band_colors)
    # GDAL asks the first source alone how gaps are told: all must tell theirs in one way, and
    # not by an alpha band that GDAL takes for one more band of the image.
    common = _common_colors(colors)
    alike = len(set(gaps)) == 1 and not first.has_plain_alpha and len(set(colors)) == 1
    sources = list(paths) if alike else [_with_mask(path, first.dtype, common) for path in paths]
    options = _vrt_options(first.crs, known, **(_untold_gaps(first) if alike else {}))
    target = f"/vsimem/geodl-{uuid.uuid4().hex}.vrt"
    dataset = attempt(gdal.BuildVRT, target, sources, options=options)
    if dataset is None:
        raise RasterError(f"The rasters cannot be joined to one mosaic: {_last_reason()}.")
    # What does not fit, GDAL leaves out with a warning: the result would only look right.
    if _source_count(dataset) < len(sources):
        for place, source in enumerate(sources[1:], 1):
            pair = attempt(gdal.BuildVRT, "", [sources[0], source], options=options)
            if pair is None or _source_count(pair) < 2:
                raise RasterError(
                    f"'{Path(paths[place]).name}' cannot be joined to '{first.name}' "
                    f"({_last_reason()}). Convert them to one data type and one kind of bands, "
                    "or run the tool for each raster, as a batch."
                )
        raise RasterError(f"The rasters cannot be joined to one mosaic: {_last_reason()}.")
    return dataset


def unplaced(raster: Raster) -> str:
    """Return why GDAL cannot join a raster to others by their places, "" when it can."""
    grid, name = raster.geotransform, raster.name
    if not raster.has_place:
        return f"'{name}' has no georeference, so its place among the others is not known."
    if grid.row_x or grid.col_y:
        return f"'{name}' is turned, which a virtual raster of several ones is not."
    if grid.row_y > 0 or grid.col_x < 0:
        return f"'{name}' is not stored north up, as a virtual raster of several ones is."
    return ""


def _require_alike(first: Raster, other: Raster, crs: str) -> None:
    """Raise :class:`RasterError` when two rasters cannot be parts of one mosaic.

    Args:
        first, other: the rasters.
        crs: the system that one of those before tells.
    """
    reason = unplaced(other)
    if reason:
        raise RasterError(f"{reason} Warp it first, or run the tool for each, as a batch.")
    if other.band_count != first.band_count:
        raise RasterError(
            f"'{first.name}' has {first.band_count} bands and '{other.name}' has "
            f"{other.band_count}. Join only rasters with the same bands."
        )
    if not same_crs(crs, other.crs):
        raise RasterError(
            f"'{first.name}' and '{other.name}' have different coordinate reference "
            "systems. Warp them to one before joining them."
        )


def _common_colors(colors: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the colours of a mosaic's bands: what a raster does not tell, another one may."""
    bands = zip(*colors)
    return tuple(next((each for each in band if each not in UNTOLD), band[0]) for band in bands)


def _untold_gaps(raster: Raster) -> dict[str, Any]:
    """Return options that tell gaps between rasters which tell none themselves.

    Decimal numbers may be no number at all, which must not cover another raster's.
    """
    if raster.has_declared_mask:
        return {}
    if np.issubdtype(raster.dtype, np.floating):
        return {"srcNodata": "nan", "VRTNodata": "nan"}
    return {"addAlpha": True}


def _vrt_options(first: str, known: str, **more: Any) -> gdal.BuildVRTOptions:
    """Return options of a virtual raster of rasters that are known to have one system.

    Args:
        first: the first raster's system; GDAL takes the mosaic's from there.
        known: the system that one of them tells.
        more: further options.
    """
    # GDAL itself would leave out what has no system, or tells the same one in other words.
    system = known if known and not first else None
    return gdal.BuildVRTOptions(
        resolution="highest", allowProjectionDifference=True, outputSRS=system, **more
    )


def write_in_crs(source: str, crs: str, path: Path, opening: Sequence[str] = ()) -> None:
    """Write a virtual raster that is a raster with another coordinate reference system.

    Args:
        source: of the raster; its pixels stay where they are.
        crs: the system that it is said to have, as well-known text; "" for its own.
        path: of the ``.vrt``.
        opening: options of GDAL, ``NAME=value``, that it is opened with.

    Raises:
        RasterError: when the raster cannot be opened.
    """
    options = gdal.TranslateOptions(format="VRT", outputSRS=crs or None)
    dataset = open_dataset(source, opening)
    if attempt(gdal.Translate, str(path), dataset, options=options) is None:
        raise RasterError(f"'{Path(source).name}' cannot be opened: {last_error()}.")


def _gaps_of(raster: Raster) -> str:
    """Return how a raster tells where it has no data: by a band, a mask, a value or not at all."""
    if raster.has_alpha:
        return "alpha"
    return str(raster.nodata if raster.has_declared_mask else "none")


def _with_mask(path: str, kind: np.dtype, colors: Sequence[int]) -> str:
    """Return the bands of a raster with one mask for all, whatever tells it in the file.

    Args:
        path: of the raster.
        kind: of its pixels.
        colors: of the bands, where the file tells none.
    """
    source = open_dataset(path)
    bands = [source.GetRasterBand(index + 1) for index in range(source.RasterCount)]
    alpha = [band for band in bands if is_alpha(band)]
    image = [band.GetBand() for band in bands if not is_alpha(band)]
    target = f"/vsimem/geodl-{uuid.uuid4().hex}.vrt"
    options = gdal.TranslateOptions(
        format="VRT",
        bandList=image,
        maskBand=str(alpha[0].GetBand()) if alpha else f"mask,{image[0]}",
        noData="none",
    )
    dataset = attempt(gdal.Translate, target, source, options=options)
    if dataset is None:
        raise RasterError(f"'{Path(path).name}' cannot be joined to others: {last_error()}.")
    for number, color in enumerate(colors, 1):
        band = dataset.GetRasterBand(number)
        if band.GetColorInterpretation() in UNTOLD and color != gdal.GCI_PaletteIndex:
            band.SetColorInterpretation(color)
    more = []
    if not alpha and bands[0].GetMaskFlags() & gdal.GMF_NODATA:
        never = is_never_data({band.GetNoDataValue() for band in bands})
        more += [_joined_mask(path, number, never) for number in image[1:]]
    if np.issubdtype(kind, np.floating):
        numbers = _with_numbers(path)
        more += [_joined_mask(numbers, number, True) for number in image]
    mask = dataset.GetRasterBand(1).GetMaskBand()
    for place, each in enumerate(more):
        mask.SetMetadataItem(f"source_{place}", each, "new_vrt_sources")
    dataset = None  # writes the description
    return target


def _with_numbers(path: str) -> str:
    """Return a raster whose pixels have no data where they are no numbers."""
    target = f"/vsimem/geodl-{uuid.uuid4().hex}.vrt"
    options = gdal.TranslateOptions(format="VRT", noData="nan", maskBand="none")
    if attempt(gdal.Translate, target, open_dataset(path), options=options) is None:
        raise RasterError(f"'{Path(path).name}' cannot be joined to others: {last_error()}.")
    return target


def _joined_mask(path: str, number: int, all_bands: bool) -> str:
    """Return a source of a mask that joins to it what the mask of a band tells.

    Args:
        path: of the raster.
        number: of the band, from 1.
        all_bands: a pixel needs data in all bands rather than in one.
    """
    skipped = OPAQUE if all_bands else 0
    return (
        f'<ComplexSource><SourceFilename relativeToVRT="0">{escape(path)}</SourceFilename>'
        f"<SourceBand>mask,{number}</SourceBand><NODATA>{skipped}</NODATA></ComplexSource>"
    )


def _source_count(dataset: gdal.Dataset) -> int:
    """Return of how many sources a virtual raster is made."""
    first_band = _text_of(dataset).partition("</VRTRasterBand>")[0]
    return first_band.count("<SourceFilename")


def _last_reason() -> str:
    """Return GDAL's last message without the name of a file, which may be one of our own."""
    return last_error().partition(" Skipping ")[0].rstrip(".")


def _text_of(dataset: gdal.Dataset) -> str:
    """Return the description of a virtual raster."""
    return "".join(dataset.GetMetadata("xml:VRT") or ())


def write_mosaic(paths: Sequence[str], output: str) -> None:
    """Write a virtual raster of class rasters that lie below its folder.

    What lay beside an earlier one, overviews say, is gone.

    Raises:
        RasterError: when it cannot be written.
    """
    target = Path(output)
    part = target.with_name(f".{target.name}.part-{os.getpid()}{target.suffix}")
    systems = []
    for path in paths:
        with Raster.open(path) as raster:
            systems.append(raster.crs)
    options = _vrt_options(systems[0], next(filter(None, systems), ""))
    dataset = attempt(gdal.BuildVRT, str(part), list(paths), options=options)
    reason = last_error()
    # Of each raster one band is written, and one source of it.
    if dataset is None or _text_of(dataset).count("<SourceFilename") < len(paths):
        dataset = None
        part.unlink(missing_ok=True)
        raise RasterError(f"'{target}' cannot be written: {reason}.")
    with Raster.open(paths[0]) as first:
        known, title = first.class_names(), first.band_names[0]
    band = dataset.GetRasterBand(1)
    band.SetCategoryNames([known.get(value, "") for value in range(max(known, default=-1) + 1)])
    band.SetDescription(title)
    band = dataset = None  # writes the file
    move(part, target)
