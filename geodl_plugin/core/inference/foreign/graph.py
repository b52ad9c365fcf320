"""Graphs that OpenVINO reads: ONNX, TensorFlow, TFLite, Paddle, its own. Needs torch."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import ModelError
from ...packages.archive import Package
from ...packages.networks.onnx_header import read_onnx
from ..model import Model
from ..openvino_streams import Streams, library, stream_count
from .asking import Answer, Ask

SAVED_MODEL = "saved_model.pb"
_FREE = -1


def open_network(model: Model, package: Package) -> Ask:
    """Open a graph.

    Raises:
        ModelError: when OpenVINO cannot read it.
    """
    return Graph(_path(model, package), model)


def _path(model: Model, package: Package) -> Path:
    file = model.foreign.file if model.foreign is not None else ""
    if "." not in file.rpartition("/")[2]:
        return package.file(f"{file.rstrip('/')}/{SAVED_MODEL}").parent
    path = package.file(file)
    if path.suffix.lower() == ".onnx":
        with path.open("rb") as stream:  # weights from elsewhere are refused
            read_onnx(stream, model.name)
    return path.parent if path.name.lower() == SAVED_MODEL else path


class Graph(Ask):
    """A graph that OpenVINO computes on the CPU, in the precision that torch is asked for."""

    is_compiled = True

    def __init__(self, path: Path, model: Model) -> None:
        super().__init__()
        self._openvino = library()
        self._core = self._openvino.Core()
        # A mapped file could not be removed on Windows, where it was unpacked to.
        self._core.set_property({"ENABLE_MMAP": False})
        try:
            self._model = self._core.read_model(str(path))
        except RuntimeError as error:
            reason = (str(error).strip().splitlines() or ["unknown"])[-1][:200].rstrip(".")
            raise ModelError(
                f"OpenVINO cannot read '{path.name}' of '{model.name}': {reason}. Save the network "
                "again as ONNX."
            ) from error
        self._compiled: dict[str, Streams] = {}
        self._compiling = threading.Lock()
        self.streams = stream_count()
        self._image, self._sizes = self._inputs(model.name)
        self.from_zero = bool(self._sizes)  # as RT-DETR and what is built like it
        self._arrange(model)
        self._names = [
            (min(each.names, key=len) if each.names else f"output{place}").partition(":")[0]
            for place, each in enumerate(self._model.outputs)
        ]

    def _inputs(self, name: str) -> tuple[Any, list[Any]]:
        """Return the input for images and those for their sizes."""
        ports = self._model.inputs
        images = [each for each in ports if each.get_partial_shape().rank.is_dynamic]
        images += [
            each
            for each in ports
            if each.get_partial_shape().rank.is_static and len(each.get_partial_shape()) == 4
        ]
        rest = [each for each in ports if not images or each.node != images[0].node]
        if not images or len(rest) > 1 or any(each in images for each in rest):
            raise ModelError(
                f"'{name}' takes {len(ports)} inputs. Use a network that takes images alone."
            )
        return images[0], rest

    def _arrange(self, model: Model) -> None:
        """Find the layout, and let the graph take any number of images where it can."""
        shape = self._image.get_partial_shape()
        count = len(model.bands) * (2 if model.task.value == "ChangeDetection" else 1)
        layout = model.foreign.layout if model.foreign is not None else ""
        dims = [0] * 4
        if shape.rank.is_static:
            dims = [each.get_length() if each.is_static else 0 for each in shape]
        self.channels_last = layout == "NHWC" if layout else dims[3] == count != dims[1]
        rows, cols, bands = (
            (dims[1], dims[2], dims[3]) if self.channels_last else (dims[2], dims[3], dims[1])
        )
        if bands not in (0, count):
            raise ModelError(
                f"'{model.name}' takes {bands} bands, but {count} are chosen. Choose {bands} with "
                "bands=… in the arguments."
            )
        if rows != cols and rows and cols:
            raise ModelError(f"'{model.name}' takes images of {cols} × {rows} pixels, not squares.")
        self.fixed = max(rows, cols)
        self.batch = dims[0]
        sides = [rows or _FREE, cols or _FREE]
        wanted = [_FREE, *sides, count] if self.channels_last else [_FREE, count, *sides]
        if self.batch != 1 or self._reshape([_FREE, *wanted[1:]]):
            return
        self._reshape([1, *wanted[1:]])

    def _reshape(self, sizes: list[int]) -> bool:
        """Give the input other sizes; return whether the graph takes them."""
        before = {each: each.get_partial_shape() for each in (self._image, *self._sizes)}
        pairs = {each: self._openvino.PartialShape([sizes[0], 2]) for each in self._sizes}
        try:
            self._model.reshape({self._image: self._openvino.PartialShape(sizes), **pairs})
            # What is written into the graph for one image holds for one only.
            out = [each.get_partial_shape() for each in self._model.outputs]
            if sizes[0] == _FREE and any(
                each.rank.is_static and len(each) and each[0].is_static for each in out
            ):
                raise RuntimeError("the answer is that to one image")
        except RuntimeError:
            self._model.reshape(before)
            return False
        self.batch = max(sizes[0], 0)
        return True

    def forward(self, images: Tensor) -> Answer:
        """Return the outputs by their names; a fixed number of images is filled up."""
        pixels = images.permute(0, 2, 3, 1) if self.channels_last else images
        array = pixels.contiguous().cpu().numpy()
        kind = self._image.get_element_type().to_dtype()
        if array.dtype != kind:
            array = _as_type(array, kind)
        step = self.batch or len(array)
        parts = [self._ask(array[at : at + step], step) for at in range(0, len(array), step)]
        if len(parts) == 1:
            return parts[0]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _ask(self, array: np.ndarray, step: int) -> Answer:
        count = len(array)
        if count < step:
            filler = np.zeros((step - count, *array.shape[1:]), array.dtype)
            array = np.concatenate([array, filler])
        rows, cols = array.shape[1:3] if self.channels_last else array.shape[2:]
        # RT-DETR is told the size that its boxes are for.
        size = np.tile([cols, rows], (len(array), 1))
        given = {
            place: array
            if each.node == self._image.node
            else size.astype(each.get_element_type().to_dtype())
            for place, each in enumerate(self._model.inputs)
        }
        outputs = self._compile(_precision())(given)
        return {
            name: torch.from_numpy(value[:count] if len(value) == step else value)
            for name, value in zip(self._names, map(_plain, outputs))
            if value.ndim  # a single number is no answer to an image
        }

    def _compile(self, precision: str) -> Streams:
        with self._compiling:
            if precision not in self._compiled:
                self._compiled[precision] = Streams(self._core, self._model, precision)
            return self._compiled[precision]


def _precision() -> str:
    """Return the precision that torch would compute in here."""
    try:
        faster = torch.is_autocast_enabled("cpu")
    except TypeError:  # before torch 2.4 it has a name of its own
        faster = torch.is_autocast_cpu_enabled()
    return "bf16" if faster else "f32"


def _as_type(array: np.ndarray, kind: np.dtype) -> np.ndarray:
    if np.issubdtype(kind, np.integer):
        limits = np.iinfo(kind)
        array = np.clip(np.rint(array), limits.min, limits.max)
    return array.astype(kind)


def _plain(array: np.ndarray) -> np.ndarray:
    """Return an array of a type that torch has."""
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        return array.astype(np.int64)
    return array.astype(np.float32) if array.dtype == np.float16 else array
