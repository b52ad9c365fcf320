"""ONNX files: written with what other programs need to know, and read for what they tell."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import torch

from ..errors import GeoDLError, ModelError, reason_of
from ..inference.model import Model
from ..inference.options import DETECTION_ARGUMENTS, DetectionOptions, argument_defaults
from ..models.registry import Task
from ..packages.definition import ModelDefinition
from ..packages.information import describe
from ..packages.networks.files import network_definition
from ..progress import Progress
from .exportable import Exportable
from .resolution import centimetres

OPSET = 18  # what onnxruntime 1.14 and OpenVINO 2023 read
DEFINITION = "geodl_definition"  # metadata: the model definition, from which all is rebuilt
_BYTE = 255.0  # Deepness divides every pixel by it before it normalises
_OVERLAP = {
    Task.DETECTION: 50,
    Task.INSTANCES: 50,
    Task.PIXELS: 25,
}  # percent of a tile, as GeoDL's own padding
_FORMS = {Task.DETECTION: "YOLO_Ultralytics", Task.INSTANCES: "boxes"}
_KINDS = {Task.DETECTION: "Detector", Task.PIXELS: "Segmentor", Task.OBJECTS: "Classifier"}


def export(network: Exportable) -> onnx.ModelProto:
    """Return a network as ONNX: any batch, and any size where the network takes any.

    Raises:
        ModelError: when an operator of the network has no counterpart.
    """
    sizes = [True, False] if network.any_size else [False]
    for free in sizes:
        try:
            with _silent():
                return _export(network, free) if network.second is None else _trace(network)
        except TypeError as error:
            raise ModelError(
                f"PyTorch {torch.__version__} is too old to write ONNX. Install 2.6 or newer."
            ) from error
        except Exception as error:  # the exporter raises errors of all kinds
            reason = error
    raise ModelError(f"The network cannot be written as ONNX: {reason_of(reason)}.") from reason


def _export(network: Exportable, free: bool) -> onnx.ModelProto:
    side, dim = network.side, torch.export.Dim
    # Sizes that differ, and no ones: the exporter takes what is equal, or one, for a rule.
    images = torch.zeros(2, network.bands, side + (side if free else 0), side)
    axes: dict[int, Any] = {0: dim("batch")}
    if free:
        axes.update({2: dim.DYNAMIC, 3: dim.DYNAMIC})
    program = torch.onnx.export(
        network,
        (images,),
        dynamo=True,
        verbose=False,
        input_names=["images"],
        output_names=["probabilities"],
        dynamic_shapes={"images": axes},
        opset_version=OPSET,
        external_data=False,
    )
    if program is None:
        raise RuntimeError("the exporter gave nothing")
    proto = program.model_proto
    if not proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param:
        raise RuntimeError("it takes batches of one size only")
    return proto


def _trace(network: Exportable) -> onnx.ModelProto:
    """Return a network whose answer depends on what it sees.

    The newer exporter wants to know how many boxes there will be.
    """
    file = io.BytesIO()
    axes = {name: {0: "batch"} for name in ("images", *network.outputs)}
    if len(network.outputs) > 1:
        for name in network.outputs:
            axes[name][1] = "objects"
    torch.onnx.export(
        copy.deepcopy(network),  # it leaves its marks
        (torch.zeros(2, network.bands, network.side, network.side),),
        file,
        dynamo=False,
        input_names=["images"],
        output_names=network.outputs,
        dynamic_axes=axes,
        opset_version=OPSET,
    )
    return onnx.load_model_from_string(file.getvalue())


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep the exporter's remarks away: they are about its own insides."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def fix_size(proto: onnx.ModelProto, network: Exportable) -> None:
    """Declare the one tile size that Deepness wants; the graph itself takes others still."""
    if not network.any_size:
        return
    for value in (*proto.graph.input, *proto.graph.output):
        dims = value.type.tensor_type.shape.dim
        if len(dims) == 4:
            for dim in dims[2:]:
                dim.dim_value = network.side
        elif len(dims) == 3 and dims[2].dim_param:
            dims[2].dim_param = "boxes"


def metadata(model: Model, definition: ModelDefinition, network: Exportable) -> dict[str, Any]:
    """Return what Deepness and others read from an ONNX file, by its names for it.

    Deepness divides pixels by 255 and then takes ``standardization_mean`` off and divides by
    ``standardization_std``: what the graph gets are the values it was trained with, of any type.
    """
    task = network.task
    names = list(model.schema.names)
    if task in (Task.PIXELS, Task.CHANGE):
        names = ["background", *names]
    numbers = model.schema.values if task is Task.INSTANCES else range(len(names))
    found: dict[str, Any] = {
        "model_type": _KINDS.get(task, task.value),
        "class_names": dict(zip(numbers, names)),
        "tile_size": network.side,
        "tiles_size": network.side,
        "tiles_overlap": _OVERLAP.get(task, 0),
        "standardization_mean": [value / _BYTE for value in model.mean] * network.dates,
        "standardization_std": [value / _BYTE for value in model.std] * network.dates,
        "author": "GeoDL",
    }
    resolution = centimetres(definition)
    if resolution:
        found["resolution"] = resolution
    if task in _FORMS:
        usual = argument_defaults(DetectionOptions, DETECTION_ARGUMENTS)
        found.update(
            det_type=_FORMS[task],
            det_conf=usual["threshold"],
            det_iou_thresh=usual["nms_overlap"],
            det_remove_overlap=True,
        )
    elif task is Task.PIXELS:
        found.update(seg_thresh=0.0, seg_small_segment=0)
    found[DEFINITION] = dict(definition.values)
    return found


def add_metadata(proto: onnx.ModelProto, values: dict[str, Any]) -> None:
    """Write metadata into a model, each value as JSON."""
    del proto.metadata_props[:]
    for name, value in values.items():
        proto.metadata_props.add(key=name, value=json.dumps(value, ensure_ascii=False))


def describe_file(options: dict[str, Any], _progress: Progress) -> dict[str, Any]:
    """Return what an ONNX file tells: the task "describe_onnx".

    Args:
        options: ``model``, its path.

    Raises:
        ModelError: when it is no ONNX file.
    """
    path = Path(options["model"])
    if not path.is_file():
        raise ModelError(f"There is no file '{path}'. Choose a network (.onnx) that exists.")
    try:
        proto = onnx.load(str(path), load_external_data=False)
        onnx.checker.check_model(str(path))  # which knows where weights beside it lie
    except Exception as error:  # protobuf and the checker raise errors of all kinds
        reason = reason_of(error, "it is empty")
        raise ModelError(f"'{path.name}' is no ONNX network: {reason}.") from error
    texts = {entry.key: entry.value for entry in proto.metadata_props}
    found = _described(texts.pop(DEFINITION, ""), path)
    weights = {each.name for each in proto.graph.initializer}
    inputs = [_value(each) for each in proto.graph.input if each.name not in weights]
    outputs = [_value(each) for each in proto.graph.output]
    opsets = ", ".join(f"{each.domain or 'ai.onnx'} {each.version}" for each in proto.opset_import)
    found.setdefault("summary", f"An ONNX network of {len(proto.graph.node)} operators")
    found.update(
        name=path.name,
        path=str(path),
        inputs=inputs,
        outputs=outputs,
        metadata={
            "producer": f"{proto.producer_name} {proto.producer_version}".strip(),
            "operators": opsets,
            **texts,
        },
    )
    return found


def _described(text: str, path: Path) -> dict[str, Any]:
    """Return what the definition in the metadata says, or what others' metadata amount to."""
    try:
        return describe(
            ModelDefinition.from_json(text, path.name) if text else network_definition(path)
        )
    except (GeoDLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return {}


def _value(value: onnx.ValueInfoProto) -> dict[str, str]:
    kind = value.type.tensor_type
    dims = [str(dim.dim_value or dim.dim_param or "?") for dim in kind.shape.dim]
    type_name = onnx.TensorProto.DataType.Name(kind.elem_type).lower()
    return {"name": value.name, "shape": " × ".join(dims), "type": type_name}
