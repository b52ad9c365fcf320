"""OpenVINO: networks in its own format, and its runtime as a judge of ONNX files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from ..errors import ModelError

_EXACT = {"INFERENCE_PRECISION_HINT": "f32"}  # else it may compute with bfloat16


def read(source: bytes | Path) -> Any:
    """Return a network of OpenVINO's from an ONNX file, its content, or an .xml.

    Raises:
        ModelError: when OpenVINO does not know an operator of the network.
    """
    try:
        return ov.Core().read_model(source if isinstance(source, bytes) else str(source))
    except RuntimeError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise ModelError(f"OpenVINO cannot read the network: {lines[-1].strip(' -.')}.") from error


def add_metadata(model: Any, values: dict[str, Any]) -> None:
    """Write metadata into a network, each value as JSON."""
    for name, value in values.items():
        model.set_rt_info(json.dumps(value, ensure_ascii=False), ["geodl", name])


def write(model: Any, path: Path) -> None:
    """Write a network as .xml with a .bin beside it, its weights as they are."""
    ov.save_model(model, str(path), compress_to_fp16=False)


def open_runner(path: Path) -> Callable[[np.ndarray], Any]:
    """Return a function that computes with a network that was written, ONNX or .xml.

    It returns an array; several by their names where there are several.
    """
    compiled = ov.Core().compile_model(read(path), "CPU", _EXACT)

    def answer(images: np.ndarray) -> Any:
        found = compiled(images)
        if len(compiled.outputs) == 1:
            return found[0]
        # What is handed on as it is has its own name beside that of the output, which is short.
        return {min(each.names, key=len): found[each] for each in compiled.outputs}

    return answer
