"""Packages that ArcGIS Pro runs: TorchScript and a Python inference function."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import ModelError, reason_of
from ..inference.foreign.functions import JOINED_LABELS
from ..inference.model import Model
from ..models.registry import Task
from ..packages.archive import write_package
from ..packages.definition import ModelDefinition
from .exportable import Exportable, trial_images
from .proof import Disagreement, arrays, compare

FUNCTIONS = {
    Task.DETECTION: "GeoDLObjectDetector",
    Task.INSTANCES: "GeoDLInstanceDetector",
    Task.PIXELS: "GeoDLPixelClassifier",
    Task.OBJECTS: "GeoDLObjectClassifier",
}
_FOLDER = Path(__file__).resolve().parent / "functions"
# What GeoDL alone needs to rebuild the network, which the package does not hold.
_OURS = ("architecture", "backbone", "arguments")


def write_arcgis(
    network: Exportable, model: Model, definition: ModelDefinition, path: Path
) -> Disagreement:
    """Write a package for ArcGIS and return how its network differs from the original.

    Raises:
        ModelError: when the network cannot be written as TorchScript.
    """
    if network.task not in FUNCTIONS:
        raise ModelError(
            f"'{model.name}' is a {network.task.value} model, for which ArcGIS has no way to hand "
            "over two dates. Convert it to onnx or openvino."
        )
    if network.bands != len(model.bands):
        raise ModelError(f"'{model.name}' names other bands than its network takes.")
    weights = path.with_suffix(".pt")
    traced = _trace(network)
    traced.save(str(weights))
    # What the function will open is what is judged.
    found = compare(network, _images(network), _runner(weights))
    name = FUNCTIONS[network.task]
    function = _FOLDER / f"{name}.py"
    files: dict[str, Path | bytes] = {weights.name: weights, function.name: function}
    values = describe(network, definition, model, weights.name, function.name)
    write_package(path, ModelDefinition(values, path.stem), files)
    weights.unlink()
    return found


def describe(
    network: Exportable, definition: ModelDefinition, model: Model, weights: str, function: str
) -> dict[str, Any]:
    """Return the definition of the package: the model's own with what ArcGIS runs."""
    values = dict(definition.values)
    for name in list(values):
        if name.lower() in ("modelfile", "inferencefunction", "framework", "modelconfiguration"):
            del values[name]
    own = {name: value for name, value in definition.geodl.items() if name not in _OURS}
    # The function gives one text with all names of an object, not the classes' chances.
    if own.pop("several_labels", False):
        own[JOINED_LABELS] = True
    own.setdefault("crop", {"mode": model.crop_mode, "blacken": model.blacken})
    own["normalization"] = {"mean": list(model.mean), "std": list(model.std)}
    own["converted_from"] = definition.name
    return {
        "Framework": "PyTorch",
        "ModelConfiguration": "GeoDL",
        "ModelFile": weights,
        "InferenceFunction": function,
        **values,
        "ImageHeight": network.side,
        "ImageWidth": network.side,
        "ExtractBands": list(model.bands),
        "SupportsVariableTileSize": False,
        "GeoDL": own,
    }


def _images(network: Exportable) -> list[torch.Tensor]:
    side = network.side
    shapes = [(1, side, side)]
    if network.task is Task.OBJECTS:  # several objects come at a time
        shapes.append((3, side, side))
    return trial_images(network.bands, shapes)


def _trace(network: Exportable) -> torch.jit.ScriptModule:
    example = trial_images(network.bands, [(2, network.side, network.side)])[0]
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            # Not strict, for answers with names.
            traced = torch.jit.trace(network, example[:1], strict=False, check_trace=False)
            frozen = torch.jit.freeze(traced)
            _follow_images(frozen)
            return frozen
    except Exception as error:  # the tracer raises errors of all kinds
        raise ModelError(
            f"The network cannot be written as TorchScript: {reason_of(error)}."
        ) from error


def _follow_images(module: torch.jit.ScriptModule) -> None:
    """Let a traced network make its tensors, anchors for example, where its images are.

    The tracer writes down the device of the example, and a graphics card does not take numbers
    from another device.
    """
    graph = module.graph
    devices = [
        each
        for each in graph.findAllNodes("prim::Constant")
        if each.output().type().kind() == "DeviceObjType"
    ]
    if not devices:
        return
    _, images = graph.inputs()
    followed = graph.create("prim::device", [images], 1)
    followed.output().setType(devices[0].output().type())
    graph.prependNode(followed)
    for each in devices:
        each.output().replaceAllUsesWith(followed.output())
        each.destroy()


def _runner(path: Path) -> Any:
    with warnings.catch_warnings():  # newer PyTorch calls it old, ArcGIS knows no other
        warnings.simplefilter("ignore")
        loaded = torch.jit.load(str(path)).eval()

    def answer(images: np.ndarray) -> Any:
        with torch.inference_mode():
            return arrays(loaded(torch.from_numpy(images)))

    return answer
