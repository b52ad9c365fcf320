"""Writing image chips."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from osgeo import gdal, gdal_array

from ..errors import RasterError
from .gdal_calls import attempt, last_error
from .grid import GeoTransform

IMAGE_DRIVERS = {
    "TIFF": ("GTiff", ".tif"),
    "PNG": ("PNG", ".png"),
    "JPEG": ("JPEG", ".jpg"),
    "MRF": ("MRF", ".mrf"),
}
PHOTO_BANDS = ("Red", "Green", "Blue")
WORLD_FILES = {".png": ".pgw", ".jpg": ".jgw"}
CHIP_OPTIONS = {
    # Aerial images grow by LZW, and shrink to half by differences, in less time.
    "GTiff": ["COMPRESS=DEFLATE", "ZLEVEL=1"],
    "PNG": [],
    "JPEG": ["QUALITY=90"],
    # Interleaved by pixel, which is the default, MRF fails beyond 64 bands.
    "MRF": ["COMPRESS=DEFLATE", "INTERLEAVE=BAND"],
}


def limit_cache(megabytes: int = 96) -> None:
    """Hold GDAL's block cache at a constant size, so that memory does not grow with a raster."""
    gdal.SetCacheMax(megabytes * 1024 * 1024)


@contextlib.contextmanager
def limited_cache(megabytes: int = 128) -> Iterator[None]:
    """Hold GDAL's block cache, a twentieth of the machine's memory else, small for a while."""
    usual = gdal.GetCacheMax()
    gdal.SetCacheMax(min(usual, megabytes * 1024 * 1024))
    try:
        yield
    finally:
        gdal.SetCacheMax(usual)


def write_chip(
    path: str | Path,
    pixels: np.ndarray,
    geotransform: GeoTransform,
    crs: str,
    image_format: str = "TIFF",
    nodata: float | None = None,
    band_names: Sequence[str] = (),
    valid: np.ndarray | None = None,
) -> None:
    """Write a small georeferenced image.

    Args:
        path: file to write.
        pixels: array ``(bands, rows, cols)``.
        geotransform, crs: of the image; crs as well-known text, "" for none.
        image_format: a key of :data:`IMAGE_DRIVERS`.
        nodata: the value of pixels without data, if any.
        band_names: descriptions of the bands; GeoTIFF only.
        valid: ``(rows, cols)``, where the image has data, as a mask; ``None`` for none.

    Raises:
        RasterError: when the file cannot be written, on a full disk for example.
    """
    driver = IMAGE_DRIVERS[image_format][0]
    place = _Place(geotransform, crs, nodata)
    if driver == "GTiff":
        target = _created(str(path), pixels, place, band_names)
    else:
        target = _copied(str(path), driver, pixels, place)
    if target is not None and valid is not None:
        target = _masked(target, valid)
    if target is None or attempt(target.FlushCache) not in (None, 0) or last_error():
        raise RasterError(f"'{path}' cannot be written: {last_error() or 'unknown error'}.")
    world_file = WORLD_FILES.get(Path(path).suffix)
    if world_file:
        lines = "".join(f"{number:.15g}\n" for number in geotransform.as_world_file())
        Path(path).with_suffix(world_file).write_text(lines, encoding="ascii")


@dataclass(frozen=True)
class _Place:
    """Where an image lies and which of its pixels have no data."""

    geotransform: GeoTransform
    crs: str
    nodata: float | None

    def describe(self, dataset: gdal.Dataset) -> None:
        dataset.SetGeoTransform(self.geotransform.as_gdal())
        if self.crs:
            dataset.SetProjection(self.crs)
        if self.nodata is not None:
            for index in range(dataset.RasterCount):
                dataset.GetRasterBand(index + 1).SetNoDataValue(self.nodata)


def _created(
    path: str, pixels: np.ndarray, place: _Place, band_names: Sequence[str]
) -> gdal.Dataset | None:
    """Write a GeoTIFF at once, which takes half as long as copying a dataset in memory."""
    bands, rows, cols = pixels.shape
    photo = bands == 3 and pixels.dtype == np.uint8
    options = [
        *CHIP_OPTIONS["GTiff"],
        # The fourth of four bands is infrared more often than it is alpha.
        *(("PHOTOMETRIC=RGB",) if photo else ("PHOTOMETRIC=MINISBLACK", "ALPHA=NO")),
        *(("PREDICTOR=2",) if np.issubdtype(pixels.dtype, np.integer) else ()),
    ]
    kind = gdal_array.NumericTypeCodeToGDALTypeCode(pixels.dtype)
    create = gdal.GetDriverByName("GTiff").Create
    target = attempt(create, path, cols, rows, bands, kind, options)
    if target is None:
        return None
    place.describe(target)
    for index, name in enumerate(band_names[:bands]):
        if not photo or name != PHOTO_BANDS[index]:
            target.GetRasterBand(index + 1).SetDescription(name)
    return target if attempt(target.WriteArray, pixels) == 0 else None


def _copied(path: str, driver: str, pixels: np.ndarray, place: _Place) -> gdal.Dataset | None:
    """Write an image of a format that must be written as a whole; it has no band names."""
    memory = gdal_array.OpenArray(np.ascontiguousarray(pixels))
    place.describe(memory)
    # The last of two or four bands is no alpha: the readers would leave it out.
    plain = driver == "MRF" and len(pixels) in (2, 4)
    options = CHIP_OPTIONS[driver] + ["PHOTOMETRIC=MULTISPECTRAL"] * plain
    return attempt(gdal.GetDriverByName(driver).CreateCopy, path, memory, options=options)


def _masked(target: gdal.Dataset, valid: np.ndarray) -> gdal.Dataset | None:
    """Add a mask to a written image: in the file or beside it, as its format has it."""
    # Written after the image: GDAL's own copy of a mask is lost in most of the formats.
    if attempt(target.FlushCache) not in (None, 0) or last_error():
        return None
    if attempt(target.CreateMaskBand, gdal.GMF_PER_DATASET) != 0:
        return None
    mask = target.GetRasterBand(1).GetMaskBand()
    return target if attempt(mask.WriteArray, valid.astype(np.uint8) * 255) == 0 else None
