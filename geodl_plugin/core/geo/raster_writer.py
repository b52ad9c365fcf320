"""Writing rasters: image chips and class rasters."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from osgeo import gdal, gdal_array

from ..errors import RasterError
from ..progress import Progress
from ..samples.schema import Schema
from .grid import GeoTransform, Window
from .raster import Raster, attempt, last_error

BLOCK = 512  # side of the blocks of result rasters
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
COG_OPTIONS = [
    "COMPRESS=DEFLATE",
    f"BLOCKSIZE={BLOCK}",
    "OVERVIEW_RESAMPLING=MODE",
    "BIGTIFF=IF_SAFER",
    "NUM_THREADS=ALL_CPUS",
]


def limit_cache(megabytes: int = 96) -> None:
    """Hold GDAL's block cache at a constant size, so that memory does not grow with a raster."""
    gdal.SetCacheMax(megabytes * 1024 * 1024)


def write_chip(
    path: str | Path,
    pixels: np.ndarray,
    geotransform: GeoTransform,
    crs: str,
    image_format: str = "TIFF",
    nodata: float | None = None,
    band_names: Sequence[str] = (),
) -> None:
    """Write a small georeferenced image.

    Args:
        path: file to write.
        pixels: array ``(bands, rows, cols)``.
        geotransform, crs: of the image; crs as well-known text, "" for none.
        image_format: a key of :data:`IMAGE_DRIVERS`.
        nodata: the value of pixels without data, if any.
        band_names: descriptions of the bands; GeoTIFF only.

    Raises:
        RasterError: when the file cannot be written, on a full disk for example.
    """
    driver = IMAGE_DRIVERS[image_format][0]
    place = _Place(geotransform, crs, nodata)
    if driver == "GTiff":
        target = _created(str(path), pixels, place, band_names)
    else:
        target = _copied(str(path), driver, pixels, place)
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
    return attempt(
        gdal.GetDriverByName(driver).CreateCopy, path, memory, options=CHIP_OPTIONS[driver]
    )


class ClassRasterWriter:
    """Writes a class raster: blocks in any order, at the end a Cloud Optimized GeoTIFF.

    Class value 0 is a legal value; :attr:`nodata` marks pixels without data. Until
    :meth:`finish` only files with temporary names exist, beside the final one.

    Args:
        path: of the GeoTIFF.
        like: the raster whose grid and coordinate reference system the result has.
        schema: names and colours of the classes.
        window: the part of ``like`` that the result covers; default the whole.

    Raises:
        RasterError: when the file cannot be written.
    """

    def __init__(
        self, path: str | Path, like: Raster, schema: Schema, window: Window | None = None
    ) -> None:
        self.path = Path(path)
        self.schema = schema
        self.window = window or like.window
        wide = max((0, *schema.values)) > 254
        self.dtype = np.dtype(np.uint16 if wide else np.uint8)
        self.nodata = 65535 if wide else 255
        self.path.parent.mkdir(parents=True, exist_ok=True)
        stem = f".{self.path.stem}.part-{os.getpid()}"
        self._blocks = self.path.with_name(f"{stem}.blocks.tif")
        self._whole = self.path.with_name(f"{stem}.tif")
        self._dataset = attempt(
            gdal.GetDriverByName("GTiff").Create,
            str(self._blocks),
            self.window.width,
            self.window.height,
            1,
            gdal_array.NumericTypeCodeToGDALTypeCode(self.dtype),
            [
                "TILED=YES",
                f"BLOCKXSIZE={BLOCK}",
                f"BLOCKYSIZE={BLOCK}",
                "COMPRESS=LZW",
                "SPARSE_OK=TRUE",
                "BIGTIFF=IF_SAFER",
            ],
        )
        if self._dataset is None:
            raise RasterError(f"'{self.path}' cannot be written: {last_error()}.")
        self._dataset.SetGeoTransform(like.geotransform.of_window(self.window).as_gdal())
        self._dataset.SetProjection(like.crs)
        self._band = self._dataset.GetRasterBand(1)
        self._describe(self._band)

    def write(self, window: Window, values: np.ndarray) -> None:
        """Write class values ``(rows, cols)`` at a window of the grid of ``like``."""
        place = window.intersection(self.window)
        if place is None:
            return
        part = values[place.slices(window)].astype(self.dtype, copy=False)
        col, row = place.col - self.window.col, place.row - self.window.row
        if attempt(self._band.WriteArray, np.ascontiguousarray(part), col, row) != 0:
            raise RasterError(f"'{self.path}' cannot be written: {last_error()}.")

    def finish(self, progress: Progress | None = None) -> Path:
        """Write overviews and the final file, give it its name and return that."""
        cancelled = progress.cancelled if progress is not None else lambda: False
        self._band.FlushCache()
        whole = attempt(
            gdal.GetDriverByName("COG").CreateCopy,
            str(self._whole),
            self._dataset,
            options=COG_OPTIONS,
            callback=lambda *_: 0 if cancelled() else 1,
        )
        reason = last_error()
        if whole is None:
            self.abort()
            if progress is not None:
                progress.check()
            raise RasterError(f"'{self.path}' cannot be written: {reason}.")
        whole = None  # closes the file, which writes its attribute table beside it
        sidecar = Path(f"{self._whole}.aux.xml")
        if sidecar.exists():
            sidecar.replace(f"{self.path}.aux.xml")
        self._whole.replace(self.path)
        self.abort()
        return self.path

    def abort(self) -> None:
        """Remove the temporary files."""
        self._close()
        for leftover in self.path.parent.glob(f"{_escape(self._whole.stem)}*"):
            with contextlib.suppress(FileNotFoundError):
                leftover.unlink()

    def __enter__(self) -> ClassRasterWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None and self._dataset is not None:
            self.abort()

    def _close(self) -> None:
        self._band = None
        self._dataset = None

    def _describe(self, band: gdal.Band) -> None:
        band.SetNoDataValue(self.nodata)
        band.SetDescription("Class")
        names = [""] * (max((0, *self.schema.values)) + 1)
        table = gdal.ColorTable()
        for each in self.schema.classes:
            names[each.value] = each.name
            table.SetColorEntry(each.value, (*each.color, 255))
        table.SetColorEntry(self.nodata, (0, 0, 0, 0))
        band.SetCategoryNames(names)
        band.SetColorTable(table)
        attributes = gdal.RasterAttributeTable()
        attributes.CreateColumn("Value", gdal.GFT_Integer, gdal.GFU_MinMax)
        attributes.CreateColumn("Classname", gdal.GFT_String, gdal.GFU_Name)
        for column, usage in zip(
            ("Red", "Green", "Blue"), (gdal.GFU_Red, gdal.GFU_Green, gdal.GFU_Blue)
        ):
            attributes.CreateColumn(column, gdal.GFT_Integer, usage)
        for row, each in enumerate(self.schema.classes):
            attributes.SetValueAsInt(row, 0, each.value)
            attributes.SetValueAsString(row, 1, each.name)
            for offset, part in enumerate(each.color):
                attributes.SetValueAsInt(row, 2 + offset, part)
        band.SetDefaultRAT(attributes)


def _escape(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "[]*?" else letter for letter in name)
