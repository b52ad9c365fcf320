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
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
    QgsRasterLayer,
)

from ..core.arguments import Argument
from ..core.errors import InputError, RasterError
from ..core.geo.vector import Bounds
from ..core.inference.foreign.description import ARGUMENTS as FOREIGN_ARGUMENTS
from ..core.models.registry import Task
from ..core.progress import Progress
from .base import GeoDLAlgorithm
from .raster_sources import fetch, is_file, outline

INPUT = "INPUT"
INPUT_FOLDER = "INPUT_FOLDER"
PROCESSING_MODE = "PROCESSING_MODE"
EXTENT = "EXTENT"
CELL_SIZE = "CELL_SIZE"
MASK = "MASK"
MODEL = "MODEL"
ARGUMENTS = "ARGUMENTS"
DEVICE = "DEVICE"
PRECISION = "PRECISION"
SCHEDULER = "SCHEDULER"
ALLOW_CODE = "ALLOW_CODE"

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
    layers = tool.parameterAsLayerList(parameters, INPUT, context) if parameters.get(INPUT) else []
    folder = tool.text(parameters, INPUT_FOLDER, context)
    if layers and folder:
        raise InputError("Input rasters and an input folder are given. Give one of the two.")
    if folder:
        return rasters_of(Path(folder))
    if not layers:
        if parameters.get(INPUT):
            raise RasterError(
                f"'{_first(parameters[INPUT])}' cannot be opened as a raster. "
                "Choose an existing raster layer or file."
            )
        if optional:
            return []
        raise InputError("No input raster is given. Choose a raster layer, a file or a folder.")
    return read_layers(tool, layers, parameters, context, progress, pixels)


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
            sources.append(gdal_source(layer))
        elif not pixels:
            sources.append(outline(layer, tool.scratch()))
        else:
            extent = tool.fetch_extent(parameters, context, layer.crs())
            cell_size = read_cell_size(tool, parameters, context)
            sources.append(fetch(layer, tool.scratch(), progress or Progress(), extent, cell_size))
    return sources


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


def rasters_of(folder: Path) -> list[str]:
    """Return the rasters in a folder by name; raise :class:`InputError` when there are none."""
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
            "Path of a model package (.dlpk), a definition (.emd) or a network alone (.onnx, "
            "TorchScript .pt, torch.export .pt2), the name of an installed model, or the "
            "definition's JSON. Networks of other makers, TensorFlow's among them (.pb, "
            "SavedModel), need no other libraries."
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
    told = "; ".join(f"{name}: {meaning}" for name, meaning in FOREIGN_ARGUMENTS.items())
    sentences.append(f"{tool.tr('Of a network of another maker, what its file does not say:')}")
    sentences.append(f"{told}.")
    tool.add(text, " ".join(sentences))


def add_allow_code(tool: GeoDLAlgorithm) -> None:
    """Add the consent to run code that a model package brings."""
    tool.add(
        QgsProcessingParameterBoolean(
            ALLOW_CODE, tool.tr("Run the model's own Python code"), defaultValue=False
        ),
        tool.tr(
            "Some packages bring a Python inference function of their author, which can do "
            "whatever you can. It runs, in a process of its own, only with this consent; its "
            "parameters are set as model arguments."
        ),
        advanced=True,
    )


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


def parse_model_arguments(
    model: str, text: str, defaults: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Read what a tool knows of its model's arguments, and all of them as they are written.

    What only the model knows is checked where the model is read. The maker of a network may
    suggest other defaults.

    Raises:
        GeoDLError: when there is no such model, or a value has the wrong type.
    """
    from ..core.inference.foreign.description import split_arguments
    from ..core.packages.archive import peek_definition
    from ..core.packages.summary import suggested_arguments

    suggested = suggested_arguments(peek_definition(model))
    known = {name: suggested.get(name, value) for name, value in defaults.items()}
    own, written = split_arguments(text, known)
    return parse_arguments(own, known), written


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


def add_scheduler(tool: GeoDLAlgorithm) -> None:
    """Add the cluster whose machines compute instead of this one."""
    tool.add(
        QgsProcessingParameterString(SCHEDULER, tool.tr("Dask scheduler"), optional=True),
        tool.tr(
            "Address of a Dask scheduler, such as tcp://10.0.0.5:8786, whose workers compute; the "
            "result is the same. Rasters, model and GeoDL lie where all machines see them under "
            "the same path, and the workers' Python has GeoDL's libraries. One worker with one "
            "thread for each GPU or processor is best. Empty: this machine."
        ),
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
