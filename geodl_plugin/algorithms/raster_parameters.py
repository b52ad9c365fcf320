"""Parameters for rasters and the parts of them, shared by several tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsMapLayer,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingUtils,
    QgsRasterLayer,
)

from ..core.chips.formats import files
from ..core.errors import InputError, RasterError
from ..core.geo.crs import Bounds
from ..core.progress import Progress
from .base import GeoDLAlgorithm
from .parameters import enum
from .raster_sources import as_chosen, fetch, is_file, outline

INPUT = "INPUT"
INPUT_FOLDER = "INPUT_FOLDER"
PROCESSING_MODE = "PROCESSING_MODE"
EXTENT = "EXTENT"
CELL_SIZE = "CELL_SIZE"
MASK = "MASK"
RASTER_SUFFIXES = (".tif", ".tiff", ".vrt", ".jp2", ".png", ".jpg", ".jpeg", ".img", ".mrf")


def add_input(tool: GeoDLAlgorithm, optional: bool = False) -> None:
    """Add the rasters: one, several, or a folder of them."""
    tool.add(
        QgsProcessingParameterMultipleLayers(
            INPUT,
            tool.tr("Input rasters"),
            QgsProcessing.SourceType.TypeRaster,
            optional=True,
        ),
        " ".join(
            [
                tool.tr(
                    "Layers or files, anything GDAL opens, and layers that only QGIS opens: XYZ "
                    "tiles, WMS, WMTS, ArcGIS services. In scripts those are written as "
                    "wms://type=xyz&zmin=0&zmax=19&url=https://…/{z}/{x}/{y}.png, or "
                    "arcgismapserver://… with the source that the layer's properties show."
                ),
                tool.tr("May stay empty.")
                if optional
                else tool.tr("May stay empty when a folder is given."),
            ]
        ),
    )
    tool.add(
        QgsProcessingParameterFile(
            INPUT_FOLDER,
            tool.tr("Input folder"),
            behavior=QgsProcessingParameterFile.Behavior.Folder,
            optional=True,
        ),
        tool.tr("A folder of rasters, instead of the input rasters."),
        advanced=True,
    )


def add_processing_mode(tool: GeoDLAlgorithm, help_text: str) -> None:
    """Add the choice between one mosaic and raster by raster."""
    tool.add(
        enum(PROCESSING_MODE, tool.tr("Processing mode"), ["MOSAIC", "SEPARATE"], "MOSAIC"),
        help_text,
        advanced=True,
    )


def is_separate(
    tool: GeoDLAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext
) -> bool:
    """Return whether several rasters are worked on one by one."""
    return tool.parameterAsEnumString(parameters, PROCESSING_MODE, context) == "SEPARATE"


def add_cell_size(tool: GeoDLAlgorithm) -> None:
    """Add the size of the pixels that are worked on."""
    tool.add(
        QgsProcessingParameterNumber(
            CELL_SIZE,
            tool.tr("Cell size (map units)"),
            QgsProcessingParameterNumber.Type.Double,
            None,
            optional=True,
            minValue=0.0,
        ),
        tool.tr(
            "Resamples the rasters to pixels of this size; default is their own. Layers that are "
            "drawn as asked for, such as XYZ tiles and WMS, need it: they are fetched at this "
            "size. Sizes next to those of a zoom level take its tiles as they are."
        ),
        advanced=True,
    )


def read_cell_size(
    tool: GeoDLAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext
) -> float:
    """Return the cell size, 0 where none is given."""
    if tool.parameterDefinition(CELL_SIZE) is None or parameters.get(CELL_SIZE) in (None, ""):
        return 0.0
    return tool.parameterAsDouble(parameters, CELL_SIZE, context)


def read_input(
    tool: GeoDLAlgorithm,
    parameters: dict[str, Any],
    context: QgsProcessingContext,
    optional: bool = False,
    progress: Progress | None = None,
    pixels: bool = True,
) -> list[str]:
    """Return the sources of the rasters, as GDAL opens them.

    Args:
        tool, parameters, context: what QGIS hands over.
        optional: there may be none.
        progress: is told while layers are fetched that only QGIS opens.
        pixels: whether pixels are read; if not, such layers are not fetched.

    Raises:
        InputError: when neither or both of layers and folder are given.
        RasterError: when a layer cannot be read.
    """
    layers = layers_of(tool, parameters, INPUT, context)
    folder = tool.text(parameters, INPUT_FOLDER, context)
    if layers and folder:
        raise InputError("Input rasters and an input folder are given. Give one of the two.")
    if folder:
        return rasters_of(Path(folder))
    if not layers:
        if optional:
            return []
        raise InputError("No input raster is given. Choose a raster layer, a file or a folder.")
    return read_layers(tool, layers, parameters, context, progress, pixels)


def layers_of(
    tool: GeoDLAlgorithm, parameters: dict[str, Any], name: str, context: QgsProcessingContext
) -> list[QgsMapLayer]:
    """Return the raster layers of a parameter that takes several; none where none is given.

    QGIS leaves out what it cannot open; where a model or a script runs a tool, it says nothing.

    Raises:
        RasterError: when one cannot be opened.
    """
    value = parameters.get(name)
    if not value:
        return []
    given = list(value) if isinstance(value, (list, tuple)) else [value]
    hint = QgsProcessingUtils.LayerHint.Raster
    found = []
    for each in given:
        layer = each if isinstance(each, QgsMapLayer) else None
        if isinstance(each, str) and each.strip():
            layer = QgsProcessingUtils.mapLayerFromString(each, context, True, hint)
            if layer is None:
                raise _unusable(each)
        found.append(layer)
    if all(layer is not None for layer in found):
        return found  # QGIS itself would take the vectors of a GeoPackage that has both
    layers = tool.parameterAsLayerList(parameters, name, context)
    if not layers:
        raise _unusable(given[0])
    return layers


def _unusable(value: Any) -> RasterError:
    return RasterError(
        f"'{value}' cannot be opened as a raster. Choose an existing raster layer or file."
    )


def read_layers(
    tool: GeoDLAlgorithm,
    layers: Sequence[QgsMapLayer],
    parameters: dict[str, Any],
    context: QgsProcessingContext,
    progress: Progress | None = None,
    pixels: bool = True,
) -> list[str]:
    """Return what GDAL opens for raster layers; what only QGIS opens is fetched into files."""
    sources = []
    for layer in layers:
        if not isinstance(layer, QgsRasterLayer) or is_file(layer):
            sources.append(gdal_source(layer, tool.scratch()))
        elif not pixels:
            sources.append(outline(layer, tool.scratch()))
        else:
            extent = tool.fetch_extent(parameters, context, layer.crs())
            cell_size = read_cell_size(tool, parameters, context)
            sources.append(fetch(layer, tool.scratch(), progress or Progress(), extent, cell_size))
    return sources


def gdal_source(layer: QgsMapLayer, folder: Path) -> str:
    """Return what GDAL opens for a raster layer.

    Args:
        layer: of a file.
        folder: for a file instead of it, where QGIS was told another coordinate reference system,
            or options to open it with.

    Raises:
        RasterError: for other layers.
    """
    if layer.providerType() != "gdal":
        raise RasterError(
            f"'{layer.name()}' is a layer of the provider '{layer.providerType()}', which GDAL "
            "does not read. Save it as a GeoTIFF first."
        )
    return as_chosen(layer, folder)


def rasters_of(folder: Path) -> list[str]:
    """Return the rasters in a folder by name; raise :class:`InputError` when there are none."""
    if not folder.is_dir():
        raise InputError(f"There is no folder '{folder}'. Choose an existing folder of rasters.")
    found = list(map(str, files(folder, RASTER_SUFFIXES)))
    if not found:
        raise InputError(f"The folder '{folder}' holds no rasters. Choose another folder.")
    return found


def add_extent(tool: GeoDLAlgorithm) -> None:
    """Add the extent that limits the work."""
    tool.add(
        QgsProcessingParameterExtent(EXTENT, tool.tr("Extent"), optional=True),
        tool.tr(
            "Only this part of the rasters; default is all of them. Layers that are fetched from "
            "a server of the whole world need it."
        ),
        advanced=True,
    )


def read_extent(
    tool: GeoDLAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext, crs: str
) -> Bounds | None:
    """Return the extent as ``(xmin, ymin, xmax, ymax)`` in the system ``crs`` (WKT), if given."""
    from qgis.core import QgsCoordinateReferenceSystem

    if parameters.get(EXTENT) in (None, ""):
        return None
    target = QgsCoordinateReferenceSystem.fromWkt(crs) if crs else QgsCoordinateReferenceSystem()
    box = tool.parameterAsExtent(parameters, EXTENT, context, target)
    if box.isNull():
        return None
    return box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()


def add_mask(tool: GeoDLAlgorithm) -> None:
    """Add the polygons inside which the tool works."""
    tool.add(
        QgsProcessingParameterFeatureSource(
            MASK,
            tool.tr("Mask"),
            [QgsProcessing.SourceType.TypeVectorPolygon],
            optional=True,
        ),
        tool.tr("Polygons; only what lies inside them is used."),
        advanced=True,
    )
