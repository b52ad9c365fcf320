"""Parameters that several tools share, built once."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterString,
)

from ..core.arguments import Argument
from ..core.errors import InputError
from ..core.inference.foreign.description import ARGUMENTS as FOREIGN_ARGUMENTS
from ..core.learning.augmentation_settings import AUGMENTATIONS, PARAMETERS
from ..core.models.registry import Task
from .base import GeoDLAlgorithm
from .vector_copies import AS_THEY_ARE, copied, differs

AUGMENTATION = "AUGMENTATION"
AUGMENTATION_PARAMETERS = "AUGMENTATION_PARAMETERS"
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
            "OpenVINO .xml, TorchScript .pt, torch.export .pt2), the name of an installed model, "
            "or the definition's JSON, whose ModelFile is an absolute path. Networks of other "
            "makers, TensorFlow's among them (.pb, SavedModel), need no other libraries."
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
            "whatever you can. It runs, in a process of its own, only with this consent. Its "
            "parameters are model arguments, and fields in the dialog, which asks it for them "
            "once this is ticked. Where the tool has one of the same name, the function's value "
            "counts. It is told the device as ArcGIS tells it: the number of a CUDA GPU, or -1 "
            "for the CPU, also where there is another GPU."
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


def add_augmentation(tool: GeoDLAlgorithm) -> None:
    """Add how chips are varied, for training and for showing it."""
    tool.add(
        QgsProcessingParameterEnum(
            AUGMENTATION,
            tool.tr("Augmentation"),
            list(AUGMENTATIONS),
            defaultValue=AUGMENTATIONS[0],
            usesStaticStrings=True,
        ),
        tool.tr(
            "DEFAULT: turns and mirrors chips (left and right only in pixel space), "
            "zooms in and changes brightness and contrast of a quarter of them, but not for a "
            "detector that starts from random weights. NONE: as they are. CUSTOM: see the next."
        ),
        advanced=True,
    )
    settings = "; ".join(f"{name}={value}" for name, value in PARAMETERS.items()).lower()
    tool.add(
        QgsProcessingParameterString(
            AUGMENTATION_PARAMETERS, tool.tr("Augmentation parameters"), None, optional=True
        ),
        tool.tr("What a CUSTOM augmentation changes, as name=value;name=value. Defaults are:")
        + f" {settings}.",
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

    A memory layer, a selection, a filtered layer and whatever else QGIS shows otherwise than its
    file holds it is written to a temporary file first: the user's own layer is never changed.
    """
    if parameters.get(name) in (None, ""):
        return None
    value = parameters[name]
    feedback = feedback or QgsProcessingFeedback()
    chosen = isinstance(value, QgsProcessingFeatureSourceDefinition)  # which features
    named = {name: value.source if chosen else value}
    layer = tool.parameterAsVectorLayer(named, name, context)
    source = tool.parameterAsSource(parameters, name, context)
    if layer is None or source is None:
        raise InputError(f"'{value}' cannot be opened as a vector layer. Choose an existing one.")
    if chosen or differs(layer):
        return copied(layer, source, name, context, feedback)
    # QGIS crashes when it must write a temporary file and has no feedback to tell it to.
    path, table = tool.parameterAsCompatibleSourceLayerPathAndLayerName(
        parameters, name, context, AS_THEY_ARE, "gpkg", feedback
    )
    return path, table
