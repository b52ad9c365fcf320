"""Small networks of other makers, whose answers are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LEVELS = (0.0, 10.0, 20.0)  # of the first band, in the raster's units: background and classes


def level_weights(bands: int, scale: float, levels: tuple[float, ...] = LEVELS) -> Any:
    """Return a 1 × 1 convolution whose largest answer is the nearest level of the first band."""
    levels = np.array(levels, np.float32) / scale
    weights = np.zeros((len(levels), bands, 1, 1), np.float32)
    weights[:, 0, 0, 0] = 2 * levels * 100
    return weights, -(levels**2) * 100


def save_onnx(
    path: Path,
    nodes: list[Any],
    weights: dict[str, np.ndarray],
    shape: list[Any],
    outputs: dict[str, list[Any]],
    kind: int = TensorProto.FLOAT,
    **metadata: Any,
) -> str:
    """Write a graph whose input is ``images``."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for name, value in metadata.items():
        text = value if isinstance(value, str) and name == "names" else json.dumps(value)
        model.metadata_props.add(key=name, value=text)
    onnx.save(model, str(path))
    return str(path)


def pixel_onnx(
    path: Path,
    bands: int = 1,
    side: Any = "side",
    batch: Any = "batch",
    scale: float = 255.0,
    nhwc: bool = False,
    activation: str = "",
    levels: tuple[float, ...] = LEVELS,
    **metadata: Any,
) -> str:
    """Write a network that tells the nearest level of the first band for each pixel."""
    weights, bias = level_weights(bands, scale, levels)
    count = len(levels)
    nodes = []
    shape: list[Any] = [batch, bands, side, side]
    out: list[Any] = [batch, count, side, side]
    source, target = "images", "logits"
    if nhwc:
        shape, out = [batch, side, side, bands], [batch, side, side, count]
        nodes.append(helper.make_node("Transpose", [source], ["turned"], perm=[0, 3, 1, 2]))
        source, target = "turned", "answer"
    nodes.append(helper.make_node("Conv", [source, "weights", "bias"], [target]))
    if nhwc:
        nodes.append(helper.make_node("Transpose", [target], ["logits"], perm=[0, 2, 3, 1]))
        target = "logits"
    if activation:
        axis = {"axis": 3 if nhwc else 1} if activation == "Softmax" else {}
        nodes.append(helper.make_node(activation, [target], ["chances"], **axis))
        target = "chances"
    values = {"weights": weights, "bias": bias}
    return save_onnx(path, nodes, values, shape, {target: out}, **metadata)


def constant_onnx(
    path: Path, answers: dict[str, np.ndarray], bands: int = 3, side: int = 64, **metadata: Any
) -> str:
    """Write a detector that always answers the same, whatever it sees."""
    nodes = [
        helper.make_node("ReduceSum", ["images"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "zero"], ["nothing"]),
    ]
    weights: dict[str, np.ndarray] = {"zero": np.array(0, np.float32)}
    outputs = {}
    for name, value in answers.items():
        weights[f"{name}_value"] = value.astype(np.float32)
        nodes.append(helper.make_node("Add", [f"{name}_value", "nothing"], [name]))
        outputs[name] = list(value.shape)
    return save_onnx(path, nodes, weights, [1, bands, side, side], outputs, **metadata)
