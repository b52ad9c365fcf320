"""Networks alone, without a package: their definitions, made of what the files say."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from ...errors import ModelError
from ..definition import CaselessDict, ModelDefinition, read_definition
from .metadata import NETWORK, interpret
from .onnx_header import UNSIGNED_BYTE, Port, read_onnx
from .openvino_header import read_openvino
from .torch_archive import EXPORTED, exported_shape, read_torch

SIDE_FILES = (".emd", ".json")
_WEIGHTS = {".xml": ".bin", ".pdmodel": ".pdiparams"}  # where those of a graph lie
_MOST_BANDS = 512  # of an input whose layout is to be guessed


def is_network(path: Path) -> bool:
    """Return whether a file is a network alone, by its name."""
    return path.suffix.lower() in _READERS


def suffixes() -> tuple[str, ...]:
    """Return the extensions of the files that hold a network alone."""
    return tuple(_READERS)


def network_definition(path: Path) -> ModelDefinition:
    """Return the definition of a network: what its file says, and a file beside it.

    Raises:
        ModelError: when the file is no network, or not a safe one.
    """
    values = _READERS[path.suffix.lower()](path)
    for suffix in SIDE_FILES:
        beside = path.with_suffix(suffix)
        if beside.is_file():
            merge(values, _beside(beside))
    values["ModelFile"] = path.name
    return ModelDefinition(values, path.name)


def network_files(path: Path) -> list[Path]:
    """Return the files without which a network cannot be opened: itself, or those of its folder.

    Args:
        path: of the network; other files have no further ones.

    Raises:
        ModelError: when it is ONNX and damaged, or not safe.
    """
    if path.is_dir():  # a SavedModel
        return sorted(each for each in path.rglob("*") if each.is_file())
    kind = path.suffix.lower()
    if kind == ".onnx":
        with path.open("rb") as file:
            return [path, *(path.parent / each for each in read_onnx(file, path.name).external)]
    return [path, path.with_suffix(_WEIGHTS[kind])] if kind in _WEIGHTS else [path]


def complete(definition: ModelDefinition, open_file: Callable[[str], BinaryIO]) -> ModelDefinition:
    """Return a definition with what the ONNX file that it names says beside it.

    Args:
        definition: rules where both say something.
        open_file: opens a file of the model by its name, or raises ``OSError``.

    Raises:
        ModelError: when the file is no network, or not a safe one.
    """
    name = definition.values.get("ModelFile")
    if not isinstance(name, str) or not name.lower().endswith(".onnx"):
        return definition
    try:
        with open_file(name.replace("\\", "/")) as file:
            values = onnx_values(file, definition.name)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error):
        return definition  # its absence is told when the network is needed
    merge(values, dict(definition.values))
    return ModelDefinition(values, definition.name)


def merge(values: dict[str, Any], more: dict[str, Any]) -> None:
    """Let the keys of one definition rule over those of another; cases do not matter."""
    _leave_out(values, CaselessDict(more))
    spelt = {name.lower(): name for name in values}
    for name, value in more.items():
        own = spelt.get(name.lower(), name)
        if own == NETWORK and isinstance(values.get(own), dict) and isinstance(value, dict):
            values[own] = {**values[own], **value}
        else:
            values[own] = value


def _leave_out(values: dict[str, Any], more: CaselessDict) -> None:
    """Forget of a network what a definition says in keys of another name."""
    network = values.get(NETWORK)
    if not isinstance(network, dict):
        return
    said: list[str] = []
    if more.get("Classes"):
        said += ["names", "background"]
    if isinstance(more.get("NormalizationStats"), dict) or isinstance(more.get("DataRange"), list):
        said += ["scale", "mean", "std"]
    values[NETWORK] = {name: value for name, value in network.items() if name not in said}


def _beside(path: Path) -> dict[str, Any]:
    """Return what a file beside a network says: a definition, or metadata by their names."""
    told = read_definition(path).values
    if any(name in told for name in ("ModelType", "Classes", "Framework")):
        return {name: value for name, value in told.items() if name.lower() != "framework"}
    return interpret({name: json.dumps(value) for name, value in told.items()})


def _of_onnx(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return onnx_values(file, path.name)
    except OSError as error:
        raise ModelError(f"'{path}' cannot be read: {error}.") from error


def onnx_values(file: BinaryIO, name: str) -> dict[str, Any]:
    """Return what an ONNX file says, as a definition."""
    header = read_onnx(file, name)
    values = interpret(header.metadata)
    network = values.setdefault(NETWORK, {})
    image = next((port for port in header.inputs if len(port.shape) == 4), Port("", (), 0))
    network.update(_shape(image))
    values["Framework"] = "ONNX"
    return values


def _shape(image: Port) -> dict[str, Any]:
    """Return layout, bands and size of the images as far as the sizes of an input tell."""
    found: dict[str, Any] = {"raw": True} if image.kind == UNSIGNED_BYTE else {}
    if not image.shape:
        return found
    _, second, third, last = image.shape
    channels_last = 0 < last <= _MOST_BANDS and (second == 0 or second > last)
    channels_first = 0 < second <= _MOST_BANDS and (last == 0 or last >= second)
    if channels_last and not (channels_first and last >= second):
        found["layout"], bands, rows, cols = "NHWC", last, second, third
    else:
        found["layout"], bands, rows, cols = "NCHW", second, third, last
    if bands:
        found["bands"] = bands
    if rows and cols:
        found["fixed"] = [rows, cols]
    return found


def _of_openvino(path: Path) -> dict[str, Any]:
    header = read_openvino(path)
    values = interpret(header.metadata)
    shape = next((each for each in header.inputs if len(each) == 4), ())
    values.setdefault(NETWORK, {}).update(_shape(Port("", shape, 0)))
    values["Framework"] = "OpenVINO"
    return values


def _of_torch(path: Path) -> dict[str, Any]:
    kind, extra = read_torch(path)
    told: dict[str, str] = {}
    for name, text in extra.items():
        try:
            parsed = json.loads(text)
        except ValueError:
            parsed = None
        # A file of its own for each key, or one for all of them, as Ultralytics writes it.
        if isinstance(parsed, dict) and Path(name).suffix:
            told.update({key: json.dumps(value) for key, value in parsed.items()})
        else:
            told[name] = text
    found = CaselessDict(interpret(told))
    found["Framework"] = "PyTorch"
    found[NETWORK] = {**found.get(NETWORK, {}), "program": kind}
    if kind == EXPORTED:
        shape = exported_shape(path)
        found[NETWORK].update(_shape(Port("", shape, 0)), batch=shape[0] if shape else 0)
    return dict(found)


_READERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    ".onnx": _of_onnx,
    ".xml": _of_openvino,
    ".pt": _of_torch,
    ".pt2": _of_torch,
}
