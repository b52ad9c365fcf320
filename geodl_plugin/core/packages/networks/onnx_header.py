"""ONNX files: metadata, inputs and outputs, without the weights.

Field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

from ...errors import ModelError
from .protobuf import DEEPEST, DamagedMessageError, Span, integer, parts, text, whole

MODEL_GRAPH, MODEL_METADATA, MODEL_FUNCTIONS = 7, 14, 25
GRAPH_NODES, GRAPH_WEIGHTS, GRAPH_INPUTS, GRAPH_OUTPUTS, GRAPH_SPARSE = 1, 5, 11, 12, 15
FUNCTION_NODES, NODE_ATTRIBUTES = 7, 5
ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS = 5, 6, 10, 11
TENSOR_NAME, TENSOR_EXTERNAL = 8, 13
UNSIGNED_BYTE = 2


@dataclass(frozen=True)
class Port:
    """An input or output: its name, its sizes with 0 for free ones, its type's number."""

    name: str
    shape: tuple[int, ...]
    kind: int


@dataclass(frozen=True)
class OnnxHeader:
    """What an ONNX file says beside its weights.

    Attributes:
        metadata: texts by their names.
        inputs, outputs: of the graph.
        external: files beside it that hold weights.
    """

    metadata: dict[str, str]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    external: tuple[str, ...]


def read_onnx(file: BinaryIO, name: str) -> OnnxHeader:
    """Read the header of an ONNX file.

    Raises:
        ModelError: when it is no ONNX file, or wants weights from elsewhere on the machine.
    """
    try:
        header = _read(file)
    except (DamagedMessageError, OSError, EOFError, OverflowError, RecursionError) as error:
        raise ModelError(f"'{name}' is no ONNX network: {error}. Get it again.") from error
    if not header.inputs or not header.outputs:
        raise ModelError(f"'{name}' is no ONNX network: it has no input or no output.")
    for each in header.external:
        place = PurePosixPath(each.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts or ":" in each or not each:
            raise ModelError(
                f"'{name}' wants to read '{each}', which lies outside its folder. Do not use it."
            )
    return header


def _read(file: BinaryIO) -> OnnxHeader:
    model = whole(file)
    graphs = parts(file, model, MODEL_GRAPH)
    if len(graphs) != 1:
        raise DamagedMessageError("it has no graph")
    (graph,) = graphs
    entries = parts(file, model, MODEL_METADATA)
    weights = {text(file, each, TENSOR_NAME) for each in parts(file, graph, GRAPH_WEIGHTS)}
    inputs = (_port(file, each) for each in parts(file, graph, GRAPH_INPUTS))
    external: set[str] = set(_external(file, graph, 0))
    for function in parts(file, model, MODEL_FUNCTIONS):
        for node in parts(file, function, FUNCTION_NODES):
            external.update(_external_of_node(file, node, 0))
    return OnnxHeader(
        {text(file, each, 1): text(file, each, 2) for each in entries},
        tuple(port for port in inputs if port.name not in weights),
        tuple(_port(file, each) for each in parts(file, graph, GRAPH_OUTPUTS)),
        tuple(sorted(external)),
    )


def _port(file: BinaryIO, value: Span) -> Port:
    """Read a ValueInfoProto: type (2), of a tensor (1), with element type (1) and shape (2)."""
    name = text(file, value, 1)
    for kind in parts(file, value, 2):
        for tensor in parts(file, kind, 1):
            sizes: list[int] = []
            for shape in parts(file, tensor, 2):
                sizes = [integer(file, dim, 1) for dim in parts(file, shape, 1)]
            return Port(name, tuple(sizes), integer(file, tensor, 1))
    return Port(name, (), 0)


def _external(file: BinaryIO, graph: Span, depth: int) -> Iterator[str]:
    if depth > DEEPEST:
        raise DamagedMessageError("graphs inside graphs without an end")
    for tensor in parts(file, graph, GRAPH_WEIGHTS):
        yield from _external_of_tensor(file, tensor)
    for sparse in parts(file, graph, GRAPH_SPARSE):
        for number in (1, 2):
            for tensor in parts(file, sparse, number):
                yield from _external_of_tensor(file, tensor)
    for node in parts(file, graph, GRAPH_NODES):
        yield from _external_of_node(file, node, depth)


def _external_of_node(file: BinaryIO, node: Span, depth: int) -> Iterator[str]:
    for attribute in parts(file, node, NODE_ATTRIBUTES):
        for number in (ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS):
            for tensor in parts(file, attribute, number):
                yield from _external_of_tensor(file, tensor)
        for number in (ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS):
            for graph in parts(file, attribute, number):
                yield from _external(file, graph, depth + 1)


def _external_of_tensor(file: BinaryIO, tensor: Span) -> Iterator[str]:
    for entry in parts(file, tensor, TENSOR_EXTERNAL):
        if text(file, entry, 1) == "location":
            yield text(file, entry, 2)
