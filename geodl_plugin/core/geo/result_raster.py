"""Result rasters: classes and probabilities, as Cloud Optimized GeoTIFFs."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import numpy as np
from osgeo import gdal

from ..errors import RasterError
from ..leftovers import unfinished
from ..progress import Progress
from ..replacing import discard, replace
from ..samples.schema import Schema
from .block_store import BlockStore
from .gdal_calls import attempt, last_error
from .grid import Window
from .overviews import Halve, build_overviews, mean, most_frequent
from .raster import Raster

BLOCK = 512  # side of the blocks of result rasters
COG_OPTIONS = [
    f"BLOCKSIZE={BLOCK}",
    "BIGTIFF=IF_SAFER",
    "NUM_THREADS=ALL_CPUS",
    "OVERVIEWS=FORCE_USE_EXISTING",
]
PERCENT = 100  # a probability of 1
NO_PERCENT = 255
SIDECARS = (".aux.xml", ".ovr", ".msk")  # what GDAL reads beside a raster


class ResultRaster:
    """Writes a raster: windows in any order, at the end a Cloud Optimized GeoTIFF.

    Pixels that are not written have no data. Until :meth:`publish` only files with names that
    begin with a dot exist, beside the final one. A killed run goes on wherever it was: what was
    written stays until :meth:`abort`, and a file that is whole is not made again.

    Args:
        path: of the GeoTIFF.
        like: the raster whose grid and coordinate reference system the result has.
        window: the part of ``like`` that the result covers; default the whole.
        bands, dtype, nodata: of the result.
        resume: what an earlier run has written is kept, and what this one leaves unfinished;
            else only files of this process exist, and none is left behind.
        progress: asked for cancelling.

    Raises:
        RasterError: when the file cannot be written.
    """

    halve: Halve = staticmethod(most_frequent)
    # Of classes as small as by DEFLATE, in a third of the time.
    compression: tuple[str, ...] = ("COMPRESS=LZW",)

    def __init__(
        self,
        path: str | Path,
        like: Raster,
        window: Window | None,
        bands: int,
        dtype: np.dtype,
        nodata: int,
        resume: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.path = Path(path)
        self.window = window or like.window
        self.dtype = np.dtype(dtype)
        self.nodata = nodata
        self._geotransform = like.geotransform.of_window(self.window).as_gdal()
        self._crs = like.crs
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RasterError(
                f"'{self.path.parent}' cannot be written: {error.strerror}."
            ) from error
        stem = f".{self.path.name}.part-{os.getpid()}"
        own = self.path.with_name(f"{stem}.pixels")
        self._part = self.path.with_name(f"{stem}.new.tif")
        whole = self.path.with_name(f"{stem}.tif")
        self._whole = unfinished(self.path, "tif") if resume else whole
        self.store = BlockStore(
            unfinished(self.path, "pixels") if resume else own,
            self.window.width,
            self.window.height,
            bands,
            self.dtype,
            nodata,
            resume,
            progress,
        )
        if not self.store.resumed:
            _remove(self._whole)

    @property
    def is_whole(self) -> bool:
        """Whether the final file is there, under its own name or not."""
        return self._whole.exists()

    def write(self, window: Window, values: np.ndarray) -> None:
        """Write pixels ``(rows, cols)`` or ``(bands, rows, cols)`` at a window of ``like``."""
        place = window.intersection(self.window)
        if place is None:
            return
        part = values.reshape(-1, *values.shape[-2:])[(slice(None), *place.slices(window))]
        col, row = place.col - self.window.col, place.row - self.window.row
        self.store.write(Window(col, row, place.width, place.height), part)

    def build(self, progress: Progress | None = None) -> Path:
        """Write overviews and the final file, under a name that begins with a dot.

        Returns:
            That name; a file that an earlier run has made is taken as it is.
        """
        if self.is_whole:
            return self._whole
        progress = progress or Progress()
        dataset = self.store.dataset()
        made = build_overviews(dataset, self.halve, self.nodata, progress)
        dataset.SetGeoTransform(self._geotransform)
        dataset.SetProjection(self._crs)
        self.describe(dataset)
        whole = made and attempt(
            gdal.GetDriverByName("COG").CreateCopy,
            str(self._part),
            dataset,
            options=[*self.compression, *COG_OPTIONS],
            callback=lambda *_: 0 if progress.cancelled() else 1,
        )
        reason = last_error()
        dataset = None
        if not whole:
            self._remove_parts()
            progress.check()
            raise RasterError(f"'{self.path}' cannot be written: {reason}.")
        whole = None  # closes the file, which writes its attribute table beside it
        self.store.remove_overviews()
        for suffix in SIDECARS:  # first: a file with that name is whole
            _move_part(self._part, self._whole, suffix)
        _move_part(self._part, self._whole)
        return self._whole

    def publish(self) -> Path:
        """Give the final file its name, without what lay beside an earlier one, and return it."""
        move(self._whole, self.path)
        return self.path

    def finish(self, progress: Progress | None = None) -> Path:
        """Write the final file, give it its name, remove all else and return the name."""
        self.build(progress)
        self.publish()
        self.abort()
        return self.path

    def describe(self, dataset: gdal.Dataset) -> None:
        """Give the bands what belongs to them, names for example."""

    def abort(self) -> None:
        """Remove all but the finished file."""
        self.store.remove()
        self._remove_parts()
        for suffix in ("", *SIDECARS):
            discard(Path(f"{self._whole}{suffix}"))

    def __enter__(self) -> ResultRaster:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            self.abort()

    def _remove_parts(self) -> None:
        for leftover in self.path.parent.glob(f"{_escape(self._part.name)}*"):
            discard(leftover)
        with contextlib.suppress(OSError):
            self.store.remove_overviews()


class ClassRasterWriter(ResultRaster):
    """Writes a class raster with names, colours and an attribute table.

    Class value 0 is a legal value; :attr:`nodata` marks pixels without data.

    Args:
        path, like, window, resume, progress: as of :class:`ResultRaster`.
        schema: names and colours of the classes.
    """

    def __init__(
        self,
        path: str | Path,
        like: Raster,
        schema: Schema,
        window: Window | None = None,
        resume: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.schema = schema
        wide = max((0, *schema.values)) > 254
        dtype, nodata = (np.uint16, 65535) if wide else (np.uint8, 255)
        super().__init__(path, like, window, 1, np.dtype(dtype), nodata, resume, progress)

    def describe(self, dataset: gdal.Dataset) -> None:
        band = dataset.GetRasterBand(1)
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


class ProbabilityWriter(ResultRaster):
    """Writes probabilities in percent, a band a class.

    Args:
        path, like, window, resume, progress: as of :class:`ResultRaster`.
        names: of the classes.
    """

    halve: Halve = staticmethod(mean)
    # A fifteenth larger than by the usual level, in a third of the time.
    compression = ("COMPRESS=DEFLATE", "LEVEL=1")

    def __init__(
        self,
        path: str | Path,
        like: Raster,
        names: tuple[str, ...],
        window: Window | None = None,
        resume: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.names = names
        super().__init__(
            path, like, window, len(names), np.dtype(np.uint8), NO_PERCENT, resume, progress
        )

    def describe(self, dataset: gdal.Dataset) -> None:
        for index, name in enumerate(self.names, 1):
            band = dataset.GetRasterBand(index)
            band.SetNoDataValue(self.nodata)
            band.SetDescription(name)


def forget(path: str | Path) -> None:
    """Remove what earlier runs have left unfinished of a result raster."""
    for what in ("pixels", "tif"):
        _remove(unfinished(path, what))
    for what in ("tiles", "sums"):
        shutil.rmtree(unfinished(path, what), ignore_errors=True)


def _remove(path: Path) -> None:
    """Remove a raster and what lies beside it."""
    for suffix in ("", *SIDECARS):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def move(source: Path, target: Path) -> None:
    """Let a raster replace another one; what lay beside that is gone.

    Raises:
        RasterError: when a file cannot be written.
    """
    for suffix in ("", *SIDECARS):
        _move_part(source, target, suffix)


def _move_part(source: Path, target: Path, suffix: str = "") -> None:
    """Let a file, or one that lies beside it, replace another; without it, there is none."""
    begin, end = Path(f"{source}{suffix}"), Path(f"{target}{suffix}")
    try:
        if suffix and not begin.exists():
            end.unlink(missing_ok=True)
        else:
            replace(begin, end)
    except OSError as error:
        raise RasterError(f"'{end}' cannot be written: {error.strerror}.") from error


def _escape(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "[]*?" else letter for letter in name)
