"""Parameters that several tools share, built once."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsMapLayer,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterString,
)

from ..core.arguments import Argument
from ..core.errors import InputError, RasterError
from ..core.geo.vector import Bounds
from ..core.models.registry import Task
from .base import GeoDLAlgorithm

INPUT = "INPUT"
INPUT_FOLDER = "INPUT_FOLDER"
PROCESSING_MODE = "PROCESSING_MODE"
EXTENT = "EXTENT"
MASK = "MASK"
MODEL = "MODEL"
ARGUMENTS = "ARGUMENTS"
DEVICE = "DEVICE"
PRECISION = "PRECISION"

PRECISIONS = ["auto", "float32", "bfloat16", "float16"]
# By name, so that nothing of the window is imported where there is none.
MODEL_WIDGET = "geodl_plugin.gui.model_widget.ModelWidgetWrapper"
ARGUMENTS_WIDGET = "geodl_plugin.gui.arguments_widget.ArgumentsWidgetWrapper"
RASTER_SUFFIXES = {".tif", ".tiff", ".vrt", ".jp2", ".png", ".jpg", ".jpeg", ".img", ".mrf"}


def add_input(tool: GeoDLAlgorithm, optional: bool = False) -> None:
    """Add the rasters: one, several, or a folder of them."""
    tool.add(
        QgsProcessingParameterMultipleLayers(
            INPUT,
            tool.tr("Input rasters"),
            QgsProcessing.SourceType.TypeRaster,
            optional=True,
        ),
        tool.tr(
            "Layers or files, anything GDAL opens. Several rasters are joined to one mosaic. "
            "May stay empty when a folder is given."
        )
        if not optional
        else tool.tr("Layers or files, anything GDAL opens. May stay empty."),
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


def read_input(
    tool: GeoDLAlgorithm,
    parameters: dict[str, Any],
    context: QgsProcessingContext,
    optional: bool = False,
) -> list[str]:
    """Return the sources of the rasters.

    Raises:
        InputError: when neither or both of layers and folder are given.
        RasterError: when a layer is not read by GDAL.
    """
    layers = tool.parameterAsLayerList(parameters, INPUT, context) if parameters.get(INPUT) else []
    folder = tool.text(parameters, INPUT_FOLDER, context)
    if layers and folder:
        raise InputError("Input rasters and an input folder are given. Give one of the two.")
    if folder:
        return _rasters_of(Path(folder))
    if not layers:
        if parameters.get(INPUT):
            raise RasterError(
                f"'{_first(parameters[INPUT])}' cannot be opened as a raster. "
                "Choose an existing raster layer or file."
            )
        if optional:
            return []
        raise InputError("No input raster is given. Choose a raster layer, a file or a folder.")
    return [gdal_source(layer) for layer in layers]


def gdal_source(layer: QgsMapLayer) -> str:
    """Return what GDAL opens for a raster layer; raise :class:`RasterError` for other layers."""
    if layer.providerType() != "gdal":
        raise RasterError(
            f"'{layer.name()}' is a layer of the provider '{layer.providerType()}', which GDAL "
            "does not read. Save it as a GeoTIFF first."
        )
    return layer.source()


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, (list, tuple)) and value else value


def _rasters_of(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise InputError(f"There is no folder '{folder}'. Choose an existing folder of rasters.")
    found = sorted(str(path) for path in folder.iterdir() if path.suffix.lower() in RASTER_SUFFIXES)
    if not found:
        raise InputError(f"The folder '{folder}' holds no rasters. Choose another folder.")
    return found


def enum(name: str, label: str, choices: list[str], default: str) -> QgsProcessingParameterEnum:
    """Return a choice between words, which models and scripts name by the word."""
    return QgsProcessingParameterEnum(
        name, label, choices, defaultValue=default, optional=True, usesStaticStrings=True
    )


def add_model(
    tool: GeoDLAlgorithm,
    task: Task | None = None,
    arguments: Sequence[Argument] = (),
    optional: bool = False,
) -> None:
    """Add the model and its arguments.

    Args:
        tool: gets the parameters.
        task: what the model must be made for; the dialog says so when it is not.
        arguments: those that the tool knows, for its help and for the form in its dialog.
        optional: whether the tool works without a model.
    """
    model = QgsProcessingParameterString(MODEL, tool.tr("Model"), optional=optional)
    model.setMetadata(
        {"widget_wrapper": {"class": MODEL_WIDGET, "task": task.value if task else ""}}
    )
    tool.add(
        model,
        tool.tr(
            "Path of a model package (.dlpk) or definition (.emd), the name of an installed model, "
            "or the definition's JSON."
        ),
    )
    # As text: QGIS would sort the arguments and blur their types.
    listed = json.dumps([dataclasses.asdict(each) for each in arguments])
    text = QgsProcessingParameterString(ARGUMENTS, tool.tr("Model arguments"), optional=True)
    text.setMetadata({"widget_wrapper": {"class": ARGUMENTS_WIDGET, "arguments": listed}})
    sentences = [tool.tr("The model's own arguments as name=value;name=value.")]
    if arguments:
        known = "; ".join(f"{each.name}={_shown(each.default)}" for each in arguments)
        sentences.append(f"{tool.tr('Known, with their defaults:')} {known}.")
    tool.add(text, " ".join(sentences))


def _shown(value: Any) -> str:
    if value is None:
        return "…"
    return str(value).lower() if isinstance(value, bool) else str(value)


def parse_arguments(text: str, defaults: dict[str, Any]) -> dict[str, Any]:
    """Read ``name=value;name=value`` over ``defaults``, whose types rule.

    Raises:
        InputError: when a name is unknown or a value has the wrong type.
    """
    from ..core.arguments import parse

    return parse(text, defaults)


def add_extent(tool: GeoDLAlgorithm) -> None:
    """Add the extent that limits the work."""
    tool.add(
        QgsProcessingParameterExtent(EXTENT, tool.tr("Extent"), optional=True),
        tool.tr("Only this part of the rasters; default is all of them."),
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


def add_device(tool: GeoDLAlgorithm) -> None:
    """Add the device and the precision of the computation."""
    tool.add(
        QgsProcessingParameterString(DEVICE, tool.tr("Device"), "auto", optional=True),
        tool.tr("auto, cpu, cuda, cuda:1 or mps. auto takes a GPU where there is one."),
    )
    tool.add(
        QgsProcessingParameterEnum(
            PRECISION,
            tool.tr("Precision"),
            PRECISIONS,
            defaultValue="auto",
            optional=True,
            usesStaticStrings=True,
        ),
        tool.tr("Number format of the computation. auto takes the fastest one that agrees."),
        advanced=True,
    )


def vector_source(
    tool: QgsProcessingAlgorithm,
    parameters: dict[str, Any],
    name: str,
    context: QgsProcessingContext,
    feedback: Any = None,
) -> tuple[str, str] | None:
    """Return path and layer name of a vector parameter as OGR opens it.

    A memory layer, a selection or a filtered layer is written to a temporary file first:
    the user's own layer is never changed.
    """
    if parameters.get(name) in (None, ""):
        return None
    # QGIS crashes when it must write a temporary file and has no feedback to tell it to.
    path, layer = tool.parameterAsCompatibleSourceLayerPathAndLayerName(
        parameters,
        name,
        context,
        ["gpkg", "shp", "geojson", "fgb"],
        "gpkg",
        feedback or QgsProcessingFeedback(),
    )
    if not path:
        raise InputError(
            f"'{parameters[name]}' cannot be opened as a vector layer. Choose an existing one."
        )
    return path, layer
