"""Rasters that only QGIS opens (XYZ, WMS, WMTS, ArcGIS, WCS …), fetched into a file for GDAL."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsRasterDataProvider,
    QgsRasterLayer,
    QgsRectangle,
)
from qgis.PyQt import sip

from ..core.errors import InputError, RasterError
from ..core.geo.grid import GeoTransform, Window
from ..core.geo.image_writer import ImageLayout, ImageWriter, write_placeholder
from ..core.geo.mosaic import write_in_crs
from ..core.progress import Phase, Progress
from .raster_fetcher import IMAGES, NUMBERS, Fetcher
from .xyz_tiles import XyzTiles

STEP = 1024  # pixels of a side that are fetched at a time
MOST_PIXELS = 10**9  # that are fetched without being asked for by an extent
OPTION = "|option:"  # in the source of a layer, before each option to open its file with
SAME = 1e-3  # relative difference of cell sizes that are one, of a pixel for places


@dataclass(frozen=True)
class Grid:
    """The pixels to fetch: those of ``window`` on a grid of cells from an origin (top left)."""

    origin: tuple[float, float]
    cell: tuple[float, float]
    window: Window

    @property
    def geotransform(self) -> GeoTransform:
        (x, y), (across, down) = self.origin, self.cell
        return GeoTransform(x, across, 0.0, y, 0.0, -down).of_window(self.window)

    def rectangle(self, window: Window) -> QgsRectangle:
        """Return the map bounds of a window of the grid."""
        (x, y), (across, down) = self.origin, self.cell
        return QgsRectangle(
            x + window.col * across,
            y - window.bottom * down,
            x + window.right * across,
            y - window.row * down,
        )

    def parts(self, step: int) -> list[Window]:
        """Return the windows to fetch one by one; their borders are those of the tiles."""
        area = self.window
        return [
            part
            for row in range(area.row // step * step, area.bottom, step)
            for col in range(area.col // step * step, area.right, step)
            if (part := Window(col, row, step, step).intersection(area)) is not None
        ]


def is_file(layer: QgsRasterLayer) -> bool:
    """Return whether GDAL opens what a layer shows."""
    return layer.providerType() == "gdal"


def as_chosen(layer: QgsRasterLayer, folder: Path) -> str:
    """Return what GDAL opens for a layer of a file, as it was chosen in QGIS.

    The file itself stays as it is: where it has another reference system or none, or is opened
    with options, a VRT in ``folder`` says so.
    """
    chosen = layer.crs()
    known = not chosen.isValid() or chosen == layer.dataProvider().crs()
    source, *options = layer.source().split(OPTION)
    if known and not options:
        return source
    path = _free_path(folder, layer.name(), ".vrt")
    write_in_crs(source, "" if known else _text(chosen), path, options)
    return str(path)


def fetch(
    layer: QgsRasterLayer,
    folder: Path,
    progress: Progress,
    extent: QgsRectangle | None = None,
    cell_size: float = 0.0,
) -> str:
    """Write what a layer shows to a GeoTIFF, block by block, and return its path.

    Args:
        layer: a raster of any provider.
        folder: gets the file.
        progress: is told what is being done, and asked whether to go on.
        extent: in the layer's coordinate reference system; default all of the layer.
        cell_size: in map units; default the layer's own, where it has one.

    Raises:
        InputError: when extent or cell size are missing or do not fit.
        RasterError: when the server does not answer with pixels.
        CancelledError: when the user cancels.
    """
    provider = _provider(layer)
    try:
        grid = plan(provider, layer.name(), extent, cell_size)
        return _write(provider, layer.name(), grid, folder, progress)
    finally:
        # An error on its way keeps what it came by: the provider would die in another thread.
        sip.delete(provider)


def _write(
    provider: QgsRasterDataProvider, name: str, grid: Grid, folder: Path, progress: Progress
) -> str:
    finest = min(provider.nativeResolutions(), default=0.0)
    if grid.cell[0] < finest * (1 - SAME):
        progress.warn(
            f"The pixels of '{name}' are {finest:.6g} map units at best: cells of "
            f"{grid.cell[0]:.6g} show no more."
        )
    layout = _layout(provider, name, grid)
    step = min(STEP, provider.stepWidth() or STEP, provider.stepHeight() or STEP)
    parts = grid.parts(step)
    phase = Phase(progress, f"Fetching {name}", len(parts), "blocks")
    path = _free_path(folder, name, ".tif")
    tiles = XyzTiles.of(provider, grid.cell[0]) if layout.alpha else None
    with ImageWriter(path, layout) as writer, Fetcher(provider, name, progress, tiles) as fetcher:
        for part in parts:
            pixels = fetcher.pixels(grid.rectangle(part), part, layout)
            col, row = part.col - grid.window.col, part.row - grid.window.row
            writer.write(Window(col, row, part.width, part.height), pixels)
            phase.step()
        return str(writer.finish())


def outline(layer: QgsRasterLayer, folder: Path) -> str:
    """Return a raster without pixels that has a layer's place and its finest cells."""
    provider = _provider(layer)
    finest = min(provider.nativeResolutions(), default=0.0)
    box = provider.extent()
    # A coarser grid does where nobody knows a better one: only sizes are measured on it.
    longest = max(box.width(), box.height())
    cell = max(finest or longest / 2**20, longest / 2**30)
    width, height = max(round(box.width() / cell), 1), max(round(box.height() / cell), 1)
    corner = GeoTransform(box.xMinimum(), cell, 0.0, box.yMaximum(), 0.0, -cell)
    path = _free_path(folder, layer.name(), ".vrt")
    layout = ImageLayout(width, height, 1, "uint8", corner, _text(provider.crs()))
    return str(write_placeholder(path, layout))


def plan(
    provider: QgsRasterDataProvider, name: str, extent: QgsRectangle | None, cell_size: float
) -> Grid:
    """Return the pixels that cover an extent.

    The grid is the source's own where it has one of this cell size, else one that starts at
    the origin of the coordinate reference system, so that several rasters lie on one grid.

    Raises:
        InputError: when extent or cell size are missing or do not fit.
    """
    whole = provider.extent()
    own = _own_cells(provider)
    cell = _cells(provider, name, cell_size, own)
    origin = (whole.xMinimum(), whole.yMaximum()) if own and cell == own else (0.0, 0.0)
    bounded = not whole.isEmpty() and whole.isFinite()
    if extent is None and not bounded:
        raise InputError(f"'{name}' has no bounds. Give an EXTENT.")
    area = whole if extent is None else extent
    if bounded:
        area = area.intersect(whole)
    if area.isEmpty():
        raise InputError(f"The EXTENT lies outside of '{name}'. Choose one that meets it.")
    (across, down), (left, top) = cell, origin
    first_col = math.floor((area.xMinimum() - left) / across + SAME)
    first_row = math.floor((top - area.yMaximum()) / down + SAME)
    width = max(math.ceil((area.xMaximum() - left) / across - SAME) - first_col, 1)
    height = max(math.ceil((top - area.yMinimum()) / down - SAME) - first_row, 1)
    if extent is None and width * height > MOST_PIXELS:
        raise InputError(
            f"All of '{name}' at a cell size of {across:.6g} would be {width:,} × {height:,} "
            "pixels. Give an EXTENT, or a larger CELL_SIZE."
        )
    return Grid(origin, cell, Window(first_col, first_row, width, height))


def _cells(
    provider: QgsRasterDataProvider,
    name: str,
    size: float,
    own: tuple[float, float] | None,
) -> tuple[float, float]:
    """Return the sides of a pixel; a cell size next to one of the source's own is that one."""
    if size <= 0 and own:
        return own
    natives = sorted(provider.nativeResolutions())
    if size <= 0:
        known = (
            f"Its finest pixels are {natives[0]:.10g}, the next ones {natives[1]:.10g}. "
            if len(natives) > 1
            else ""
        )
        raise InputError(
            f"'{name}' has no pixels of its own size: it is drawn as asked for. {known}"
            "Give a CELL_SIZE in map units of its coordinate reference system "
            f"({provider.crs().authid() or 'unknown'})."
        )
    if own and max(abs(size / side - 1) for side in own) < SAME:
        return own
    near = [side for side in natives if abs(size / side - 1) < SAME]
    return (near[0], near[0]) if near else (size, size)


def _own_cells(provider: QgsRasterDataProvider) -> tuple[float, float] | None:
    if provider.xSize() <= 0 or provider.ySize() <= 0:
        return None
    box = provider.extent()
    return box.width() / provider.xSize(), box.height() / provider.ySize()


def _provider(layer: QgsRasterLayer) -> QgsRasterDataProvider:
    """Return a provider of this thread's own."""
    own = layer.dataProvider().clone() if layer.isValid() and layer.dataProvider() else None
    if own is None:
        raise RasterError(
            f"'{layer.name()}' cannot be opened as a raster. See that its server can be reached."
        )
    return own


def _layout(provider: QgsRasterDataProvider, name: str, grid: Grid) -> ImageLayout:
    size = (grid.window.width, grid.window.height)
    crs = _text(provider.crs())
    if provider.dataType(1) in IMAGES:
        return ImageLayout(*size, 4, "uint8", grid.geotransform, crs, alpha=True)
    kinds = [provider.dataType(band + 1) for band in range(provider.bandCount())]
    if not kinds or any(kind not in NUMBERS for kind in kinds):
        raise RasterError(
            f"'{name}' has pixels of a kind that GeoDL does not know. Save it as a GeoTIFF first."
        )
    dtype = str(np.result_type(*(NUMBERS[kind] for kind in kinds)))
    known = provider.sourceHasNoDataValue(1) and provider.useSourceNoDataValue(1)
    nodata = provider.sourceNoDataValue(1) if known else None
    return ImageLayout(*size, len(kinds), dtype, grid.geotransform, crs, nodata=nodata)


def _text(crs: QgsCoordinateReferenceSystem) -> str:
    return crs.toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT_PREFERRED_GDAL)


def _free_path(folder: Path, name: str, suffix: str) -> Path:
    """Return a path named after a layer that is not taken."""
    stem = re.sub(r"[^\w .-]+", "_", name).strip(" .")[:60] or "raster"
    path, count = folder / f"{stem}{suffix}", 1
    while path.exists():
        count += 1
        path = folder / f"{stem} {count}{suffix}"
    return path
