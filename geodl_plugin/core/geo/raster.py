"""Reading rasters through GDAL."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from osgeo import gdal, gdal_array

from ..errors import RasterError
from .coverage import MANY_BANDS, Coverage
from .dataset_facts import band_name, geotransform_of, is_alpha, open_dataset, value_names
from .gdal_calls import attempt, last_error
from .grid import GeoTransform, Window


@dataclass(frozen=True)
class Block:
    """Pixels of a window.

    Attributes:
        pixels: array ``(bands, rows, cols)`` in the raster's data type; 0 where invalid.
        valid: array ``(rows, cols)``, false outside the raster and where it has no data.
    """

    pixels: np.ndarray
    valid: np.ndarray

    def valid_pixels(self) -> np.ndarray:
        """Return the pixels that have data, ``(bands, n)``."""
        if self.valid.all():
            return self.pixels.reshape(len(self.pixels), -1)
        return self.pixels[:, self.valid]


LONGEST_SIDE = 10**9  # pixels: GDAL counts to twice as many
SAME_CELLS = 1e-3  # relative difference of cell sizes that are one

Recipe = tuple[tuple[str, ...], GeoTransform, int, int, bool]  # of a resampled raster


class Raster:
    """A raster opened for reading, or several joined to one mosaic.

    A GDAL handle must not be shared between threads: each takes its own by :meth:`reopen`.
    An alpha band is no band of the image but its mask.
    """

    def __init__(
        self, dataset: gdal.Dataset, sources: tuple[str, ...], recipe: Recipe | None = None
    ) -> None:
        self._dataset = dataset
        self._recipe = recipe
        self.sources = sources
        self.name = Path(sources[0]).name
        self.width: int = dataset.RasterXSize
        self.height: int = dataset.RasterYSize
        self.window = Window(0, 0, self.width, self.height)
        self.geotransform = geotransform_of(dataset)
        self.has_place = dataset.GetGeoTransform(can_return_null=True) is not None
        bands = [dataset.GetRasterBand(index + 1) for index in range(dataset.RasterCount)]
        if not bands:
            raise RasterError(f"'{self.name}' has no bands. Choose one of its subdatasets.")
        alpha = [band for band in bands if is_alpha(band)]
        # Not 'not in alpha': comparing bands is arithmetic from GDAL 3.12 on.
        self._bands = [band for band in bands if not is_alpha(band)] or bands
        self.band_count = len(self._bands)
        self.band_names = tuple(band_name(band) for band in self._bands)
        self.dtype = np.result_type(
            *(gdal_array.GDALTypeCodeToNumericTypeCode(band.DataType) for band in self._bands)
        )
        self.nodata: float | None = self._bands[0].GetNoDataValue()
        self._coverage = Coverage(self._bands, alpha)
        self.has_mask = self._coverage.is_declared or np.issubdtype(self.dtype, np.floating)

    @classmethod
    def open(cls, source: str | Path | Sequence[str | Path]) -> Raster:
        """Open a raster, or several as one mosaic.

        Raises:
            RasterError: when a raster cannot be read, or several do not fit together.
        """
        one = isinstance(source, (str, Path))
        paths = (str(source),) if one else tuple(str(path) for path in source)
        if not paths:
            raise RasterError("No raster was given. Choose one at least.")
        if len(paths) == 1:
            return cls(open_dataset(paths[0]), paths)
        from .mosaic import join

        return cls(join(paths), paths)

    @cached_property
    def crs(self) -> str:
        """The coordinate reference system as well-known text, "" for none.

        GDAL takes longer to tell it than to read a training chip, so it is asked only when needed.
        """
        return str(self._dataset.GetProjection())

    @property
    def has_palette(self) -> bool:
        """Whether the pixels of a band are places in a table of colours."""
        return gdal.GCI_PaletteIndex in self.band_colors

    @property
    def band_colors(self) -> tuple[int, ...]:
        """What each band shows, as GDAL's ``GCI_`` numbers."""
        return tuple(band.GetColorInterpretation() for band in self._bands)

    @property
    def has_declared_mask(self) -> bool:
        """Whether the file has a no-data value, a mask or an alpha band."""
        return self._coverage.is_declared

    @property
    def has_alpha(self) -> bool:
        """Whether a band beside those of the image tells where it has data."""
        return self._dataset.RasterCount > self.band_count

    @property
    def has_plain_alpha(self) -> bool:
        """Whether GDAL takes the alpha band for one more band of the image.

        It does so but beside one or three others, of 8 or 16 bits.
        """
        return self.has_alpha and not self._bands[0].GetMaskFlags() & gdal.GMF_ALPHA

    @property
    def block_size(self) -> tuple[int, int]:
        """Columns and rows of the blocks in which the file is stored."""
        cols, rows = self._bands[0].GetBlockSize()
        return cols, rows

    def reopen(self) -> Raster:
        """Return another handle of the same raster, for another thread."""
        if self._recipe is None:
            return Raster.open(self.sources)
        return Raster(_warped(*self._recipe), self.sources, self._recipe)

    def on_grid(
        self, geotransform: GeoTransform, width: int, height: int, bounded: bool = False
    ) -> Raster:
        """Return this raster resampled bilinearly, while reading, to another grid of its system.

        Args:
            geotransform, width, height: of the grid.
            bounded: have no data, rather than 0, where this raster does not reach.

        Raises:
            RasterError: when GDAL cannot, with a turned grid for example.
        """
        recipe = (self.sources, geotransform, width, height, bounded)
        return Raster(_warped(*recipe), self.sources, recipe)

    def with_cells(self, size: float) -> Raster:
        """Return this raster resampled to square pixels of ``size`` map units.

        Where they have this size already, to a thousandth, the raster stays as it is. One that is
        stored from south to north stays so.

        Raises:
            RasterError: when the raster is turned, or has no georeference, or the size does not
                fit its extent.
        """
        if not self.has_place:
            raise RasterError(
                f"'{self.name}' has no georeference, so pixels of {size:g} map units mean nothing. "
                "Leave CELL_SIZE out, or georeference the raster."
            )
        across, down = self.geotransform.cell_size()
        if max(abs(across / size - 1), abs(down / size - 1)) < SAME_CELLS:
            return self
        grid = self.geotransform
        self._check_cells(size, self.width * across, self.height * down)
        width = max(round(self.width * across / size), 1)
        height = max(round(self.height * down / size), 1)
        col_x, row_y = math.copysign(size, grid.col_x), math.copysign(size, grid.row_y)
        target = GeoTransform(grid.x_origin, col_x, 0.0, grid.y_origin, 0.0, row_y)
        return self.on_grid(target, width, height)

    def _check_cells(self, size: float, across: float, down: float) -> None:
        """Refuse a size that is probably meant in other units than those of the map."""
        longest = max(across, down)
        reach = f"'{self.name}' reaches over {across:.6g} × {down:.6g} map units"
        if size > longest:
            raise RasterError(
                f"{reach}, of which CELL_SIZE={size:g} would make a single pixel. Give the size in "
                "map units of the raster."
            )
        if longest / size > LONGEST_SIDE:
            raise RasterError(
                f"{reach}, of which CELL_SIZE={size:g} would make more than {LONGEST_SIDE:,} "
                "pixels a side. Give a larger size."
            )

    def placed(self) -> Raster:
        """Return this raster, for work whose result lies on the map.

        One without any georeference, a photo, stays where QGIS shows it: below 0, 0.

        Raises:
            RasterError: when control points alone tell where it lies.
        """
        if not self.has_place and self._dataset.GetGCPCount() > 0:
            raise RasterError(
                f"'{self.name}' is placed by control points only. Warp it first, for instance with "
                "the tool 'Warp (reproject)'."
            )
        return self

    def close(self) -> None:
        """Let go of the file."""
        self._dataset = None
        self._bands = []
        self._coverage = Coverage([], [])

    def __enter__(self) -> Raster:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def read(self, window: Window, bands: Sequence[int] | None = None) -> Block:
        """Read a window, which may reach beyond the raster.

        Args:
            window: in pixels.
            bands: 0-based indexes, default all.

        Raises:
            RasterError: when a block cannot be read, with its place.
        """
        chosen = list(range(self.band_count)) if bands is None else list(bands)
        inside = window.intersection(self.window)
        if inside == window:
            return self._read_inside(window, chosen)
        pixels = np.zeros((len(chosen), window.height, window.width), self.dtype)
        valid = np.zeros((window.height, window.width), bool)
        if inside is not None:
            place = inside.slices(window)
            block = self._read_inside(inside, chosen)
            pixels[(slice(None), *place)] = block.pixels
            valid[place] = block.valid
        return Block(pixels, valid)

    def reduced(self, largest: int, bands: Sequence[int]) -> Block:
        """Return the whole raster, averaged to at most ``largest`` pixels a side."""
        scale = min(1.0, largest / max(self.width, self.height))
        shape = max(round(scale * self.height), 1), max(round(scale * self.width), 1)
        pixels = np.empty((len(bands), *shape), self.dtype)
        for position, band in enumerate(bands):
            self._read_band(self._bands[band], self.window, pixels[position], gdal.GRIORA_Average)

        def read(mask: gdal.Band) -> np.ndarray:
            return self._read_band(mask, self.window, np.empty(shape, np.uint8))

        valid = self._coverage.valid(pixels, bands, read)
        pixels[:, ~valid] = 0
        return Block(pixels, valid)

    def _read_inside(self, window: Window, bands: Sequence[int]) -> Block:
        """Read a window that lies in the raster."""
        if len(bands) >= MANY_BANDS:
            pixels = self._read_many(window, bands)
        else:
            pixels = np.empty((len(bands), window.height, window.width), self.dtype)
            for position, band in enumerate(bands):
                self._read_band(self._bands[band], window, pixels[position])
        valid = self._coverage.valid(pixels, bands, lambda mask: self._read_band(mask, window))
        if not valid.all():
            pixels = np.where(valid, pixels, self.dtype.type(0))  # a sixth of an assignment's time
        return Block(pixels, valid)

    def is_empty(self, window: Window) -> bool:
        """Return whether the file says, without reading pixels, that the window has no data."""
        inside = window.intersection(self.window)
        return inside is None or self._coverage.is_absent(inside)

    def is_blank(self, window: Window) -> bool:
        """Return whether a window has no data, as far as its masks tell; pixels stay unread."""
        inside = window.intersection(self.window)
        if inside is None or self._coverage.is_absent(inside):
            return True
        return self._coverage.is_blank(lambda mask: self._read_band(mask, inside))

    def class_names(self) -> dict[int, str]:
        """Return the names of the pixel values, as the file tells them; empty when it does not."""
        return value_names(self._bands[0])

    def _read_band(
        self,
        band: gdal.Band,
        window: Window,
        array: np.ndarray | None = None,
        resampling: int = gdal.GRIORA_NearestNeighbour,
    ) -> np.ndarray:
        place = (window.col, window.row, window.width, window.height)
        found = attempt(band.ReadAsArray, *place, buf_obj=array, resample_alg=resampling)
        if found is None:
            raise self.damage(window)
        return found

    def _read_many(self, window: Window, bands: Sequence[int]) -> np.ndarray:
        """Read many bands at once: GDAL unpacks blocks that hold all of them only once then."""
        place = (window.col, window.row, window.width, window.height)
        data = attempt(
            self._dataset.ReadRaster,
            *place,
            buf_type=gdal_array.NumericTypeCodeToGDALTypeCode(self.dtype),
            band_list=[self._bands[band].GetBand() for band in bands],
        )
        if data is None:
            raise self.damage(window)
        shape = (len(bands), window.height, window.width)
        return np.frombuffer(data, self.dtype).reshape(shape).copy()

    def damage(self, window: Window) -> RasterError:
        """Return the error that tells a place where GDAL has just failed to read."""
        return RasterError(
            f"'{self.name}' cannot be read at column {window.col}, row {window.row}: "
            f"{last_error() or 'unknown error'}. The file may be damaged."
        )


def _warped(
    sources: tuple[str, ...], geotransform: GeoTransform, width: int, height: int, bounded: bool
) -> gdal.Dataset:
    source = Raster.open(sources)
    if geotransform.row_x or geotransform.col_y or source.geotransform.row_x:
        raise RasterError(
            f"'{source.name}' is turned against the grid that it is resampled to. Warp it first."
        )
    if not source.has_place:
        raise RasterError(f"'{source.name}' has no georeference. Georeference it first.")
    left, top = geotransform.x_origin, geotransform.y_origin
    right, bottom = left + width * geotransform.col_x, top + height * geotransform.row_y
    options = gdal.WarpOptions(
        format="VRT",
        outputBounds=(left, bottom, right, top),  # of a grid from south to north: the other way
        width=width,
        height=height,
        resampleAlg="bilinear",
        dstAlpha=source.nodata is None and (bounded or source.has_declared_mask),
    )
    target = f"/vsimem/geodl-{uuid.uuid4().hex}.vrt"
    dataset = attempt(gdal.Warp, target, source._dataset, options=options)
    if dataset is None:
        raise RasterError(
            f"'{source.name}' cannot be resampled: {last_error() or 'unknown error'}."
        )
    if not np.allclose(dataset.GetGeoTransform(), geotransform.as_gdal(), rtol=1e-12, atol=1e-9):
        raise RasterError(
            f"'{source.name}' cannot be resampled to a grid that is stored from south to north. "
            "Warp the raster of that grid first."
        )
    return dataset
