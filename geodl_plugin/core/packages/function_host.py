"""Runs a Python inference function of a model package; started in a process of its own.

It is run by its path, knows nothing of GeoDL, and speaks over its standard input and output: a
line of JSON, and behind it the arrays that it announces. What the function prints goes to the
standard error.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

Arrays = list[np.ndarray]
HIDDEN = ("model", "device")  # parameters that the host itself fills in
SHOWN = ("name", "dataType", "value", "required", "displayName", "domain", "description")


class Host:
    """Keeps one function and calls it by the steps of its contract."""

    def __init__(self) -> None:
        self.function: Any = None

    def start(self, order: dict[str, Any], _: Arrays) -> tuple[dict[str, Any], Arrays]:
        """Import the function's file, make an instance and hand it the model."""
        stub_arcpy(order["device"])
        name_old_types()
        folder, file = order["folder"], Path(order["function"])
        own = Path(__file__).resolve().parent  # GeoDL's modules would hide the author's libraries
        others = [each for each in sys.path if Path(each).resolve() != own]
        sys.path[:] = [str(file.parent), folder, *others]
        os.chdir(folder)
        module = importlib.import_module(file.stem)
        self.function = getattr(module, file.stem)()
        self.function.initialize(model=order["model"], device=order["device"])
        parameters = []
        for each in self.function.getParameterInfo():
            kind = str(each.get("dataType", "")).lower()
            if kind not in ("raster", "rasters") and each.get("name") not in HIDDEN:
                parameters.append({name: each.get(name) for name in SHOWN})
        has = [name for name in ("vectorize", "updatePixels") if hasattr(self.function, name)]
        return {"parameters": parameters, "has": has}, []

    def configure(self, order: dict[str, Any], _: Arrays) -> tuple[dict[str, Any], Arrays]:
        """Hand over the arguments and return what blocks the function wants."""
        found = dict(self.function.getConfiguration(**order["scalars"]) or {})
        answer: dict[str, Any] = {"configuration": found}
        if hasattr(self.function, "getGeometryType"):
            answer["geometry"] = self.function.getGeometryType()
        return answer, []

    def describe(self, order: dict[str, Any], _: Arrays) -> tuple[dict[str, Any], Arrays]:
        """Return what the function says of its resulting raster."""
        info = order["info"]
        if not hasattr(self.function, "updateRasterInfo"):
            return {"info": {"bandCount": 1, "pixelType": "u1"}}, []
        told = self.function.updateRasterInfo(raster_info=dict(info), output_info=dict(info))
        output = told["output_info"]
        names = ("bandCount", "pixelType", "noData")
        return {"info": {name: output.get(name) for name in names}}, []

    def vectorize(self, order: dict[str, Any], arrays: Arrays) -> tuple[dict[str, Any], Arrays]:
        """Hand over one block, or one image for each object, and return the features."""
        if order.get("several"):
            half = len(arrays) // 2 if order["mask"] else len(arrays)
            blocks = {"rasters_pixels": tuple(arrays[:half])}
            if order["mask"]:
                blocks["rasters_mask"] = tuple(arrays[half:])
        else:
            blocks = dict(zip(("raster_pixels", "raster_mask"), arrays))
        vectors = self.function.vectorize(**blocks)["output_vectors"]
        found = json.loads(vectors) if isinstance(vectors, (str, bytes)) else vectors
        return {"features": found.get("features") or []}, []

    def pixels(self, order: dict[str, Any], arrays: Arrays) -> tuple[dict[str, Any], Arrays]:
        """Hand over one block and return the resulting pixels and where they are valid."""
        shape, kind = tuple(order["shape"]), order["pixelType"]
        _, rows, cols = shape
        props = {
            "pixelType": kind,
            "extent": (0, 0, cols, rows),
            "width": cols,
            "height": rows,
            "cellSize": (1.0, 1.0),
            "spatialReference": 0,
        }
        blocks = dict(zip(("raster_pixels", "raster_mask"), arrays))
        result = self.function.updatePixels((0, 0), shape, props, **blocks)
        values = np.asarray(result["output_pixels"]).reshape(-1, rows, cols)
        mask = result.get("output_mask")
        valid = np.ones((rows, cols), "u1") if mask is None else np.asarray(mask, "u1")
        return {}, [values, valid.reshape(-1, rows, cols)[0]]


def stub_arcpy(device: int) -> None:
    """Offer what functions ask of ArcGIS Pro's module, where it is not installed.

    Args:
        device: number of the GPU, negative for the CPU.
    """
    if importlib.util.find_spec("arcpy") is not None:
        return
    arcpy = types.ModuleType("arcpy")
    kind = "GPU" if device >= 0 else "CPU"
    environment = types.SimpleNamespace(processorType=kind, gpuId=max(device, 0))
    arcpy.env = environment  # type: ignore[attr-defined]
    for name in ("AddMessage", "AddWarning", "AddError"):
        setattr(arcpy, name, lambda text: sys.stderr.write(f"{text}\n"))
    sys.modules["arcpy"] = arcpy


def name_old_types() -> None:
    """Give NumPy the names back that older functions use."""
    for name, kind in (("float", float), ("int", int), ("bool", bool), ("object", object)):
        if name not in vars(np):
            setattr(np, name, kind)


def read_message(stream: BinaryIO) -> tuple[dict[str, Any], Arrays] | None:
    """Return the next message with its arrays; ``None`` when there will be no more."""
    line = stream.readline()
    if not line:
        return None
    message = json.loads(line)
    arrays = []
    for size in message.pop("sizes", []):
        content = stream.read(size)
        if len(content) < size:
            return None
        arrays.append(np.load(io.BytesIO(content), allow_pickle=False))
    return message, arrays


def write_message(stream: BinaryIO, message: dict[str, Any], arrays: Arrays) -> None:
    """Write a message and its arrays."""
    contents = []
    for array in arrays:
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        contents.append(buffer.getvalue())
    message = {**message, "sizes": [len(each) for each in contents]}
    stream.write(json.dumps(message, default=plain).encode() + b"\n")
    for each in contents:
        stream.write(each)
    stream.flush()


def plain(value: Any) -> Any:
    """Return a value of NumPy's as JSON knows it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    return str(value)


def serve(source: BinaryIO, target: BinaryIO) -> None:
    """Answer calls until there are no more."""
    host = Host()
    calls: dict[str, Callable[..., tuple[dict[str, Any], Arrays]]] = {
        name: getattr(host, name)
        for name in ("start", "configure", "describe", "vectorize", "pixels")
    }
    while True:
        message = read_message(source)
        if message is None:
            return
        order, arrays = message
        try:
            answer, results = calls[order["call"]](order, arrays)
        except Exception as error:  # the author's code may raise anything
            import traceback

            traceback.print_exc()
            first = (str(error).strip().splitlines() or [""])[0][:200]
            answer, results = {"error": f"{type(error).__name__}: {first}".rstrip(": .")}, []
        write_message(target, answer, results)


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what is printed must not get between the answers
    questions = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    serve(questions, answers)
