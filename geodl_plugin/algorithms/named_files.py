"""The files that a tool's parameters name, before layers are copied or fetched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qgis.core import (
    QgsMapLayer,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingUtils,
    QgsProperty,
    QgsProviderRegistry,
)

from ..core.places import unquoted

# The types of parameters that may name what is read.
_READ = {"file", "layer", "multilayer", "raster", "source", "string", "vector"}
_TEXT = "string"  # a model's path, or a word that a layer may have for its name
_FOLDER = "folderDestination"  # what is in it stays


def named_files(
    tool: QgsProcessingAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext
) -> tuple[list[str], list[str]]:
    """Return the files that a tool is to write, and what it reads: layers, files or other text."""
    outputs, inputs = [], []
    for parameter in tool.parameterDefinitions():
        is_text = parameter.type() == _TEXT
        found = list(_texts(parameters.get(parameter.name()), context, not is_text))
        if parameter.type() in _READ:
            inputs += found
        elif parameter.isDestination() and parameter.type() != _FOLDER:
            outputs += [each for each in found if each != QgsProcessing.TEMPORARY_OUTPUT]
    return outputs, inputs


def _texts(value: Any, context: QgsProcessingContext, layers: bool) -> Iterator[str]:
    """Yield what a parameter's value names; of layers their files, if it can be one."""
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each, context, layers)
    elif isinstance(value, QgsProcessingFeatureSourceDefinition):
        yield from _texts(value.source, context, layers)
    elif isinstance(value, QgsProcessingOutputLayerDefinition):
        yield from _texts(value.sink, context, layers)
    elif isinstance(value, QgsProperty):
        yield from _texts(value.valueAsString(context.expressionContext())[0], context, layers)
    elif isinstance(value, QgsMapLayer):
        yield _path(value)
    elif isinstance(value, str) and value.strip():
        layer = QgsProcessingUtils.mapLayerFromString(value, context, False) if layers else None
        yield unquoted(value) if layer is None else _path(layer)


def _path(layer: QgsMapLayer) -> str:
    """Return the file of a layer, or its source where it has none."""
    registry = QgsProviderRegistry.instance()
    parts = registry.decodeUri(layer.providerType(), layer.source())
    return str(parts.get("path") or layer.source())
