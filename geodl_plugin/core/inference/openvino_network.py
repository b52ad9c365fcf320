"""A network compiled by OpenVINO, which computes faster on CPUs than torch. Needs torch."""

from __future__ import annotations

import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from .openvino_streams import Streams, library

PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}


class ReadNetwork:
    """A network as OpenVINO has read it, to be compiled in one precision or another.

    Args:
        model: OpenVINO's.
        structure: of the network's answer.
    """

    def __init__(self, model: Any, structure: _pytree.TreeSpec) -> None:
        self._model = model
        self._structure = structure
        self._compiled: dict[str, CompiledNetwork] = {}

    @classmethod
    def of(cls, network: nn.Module, example: Tensor) -> ReadNetwork:
        """Have a network read.

        Args:
            network: whose answers are floating tensors, in tuples, lists and dicts.
            example: images ``(1, bands, rows, cols)``; others may be of any number and size,
                unless the network has a ``fixed_tile``.

        Raises:
            ImportError: when OpenVINO is not installed.
            Exception: whatever it raises when it does not take the network.
        """
        openvino = library()
        network.requires_grad_(False)  # a function's constants have no gradient
        structures: list[_pytree.TreeSpec] = []

        def answer(images: Tensor) -> tuple[Tensor, ...]:
            leaves, structure = _pytree.tree_flatten(network(images))
            if not all(isinstance(leaf, Tensor) and leaf.is_floating_point() for leaf in leaves):
                raise ValueError("The network's answer is not made of floating tensors alone.")
            structures.append(structure)
            return tuple(leaves)

        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # OpenVINO's own tracing computes everything once more, to check it. Of a function
            # the weights are constants: scripting every module takes longer than the rest.
            traced = torch.jit.trace(answer, example, strict=False, check_trace=False)
            model = openvino.convert_model(traced, example_input=example)
        if not getattr(network, "fixed_tile", None):
            model.reshape([-1, example.shape[1], -1, -1])
        return cls(model, structures[-1])

    @classmethod
    def open(cls, path: Path, structure: str) -> ReadNetwork:
        """Open what :meth:`save` has written, with its structure; else as :meth:`of`."""
        core = library().Core()
        # A mapped file that another run removes is a problem on Windows.
        core.set_property({"ENABLE_MMAP": False})
        return cls(core.read_model(str(path)), _pytree.treespec_loads(structure))

    def save(self, path: Path) -> None:
        """Write the graph to a path that ends in ``.xml``, and its weights beside it."""
        library().save_model(self._model, str(path), compress_to_fp16=False)

    def structure(self) -> str:
        """Return the structure of the answer as text: of tuples, lists and dicts it is."""
        return _pytree.treespec_dumps(self._structure)

    def compiled(self, precision: str) -> CompiledNetwork:
        """Return the network compiled in ``float32`` or ``bfloat16``; once for each."""
        if precision not in self._compiled:
            self._compiled[precision] = CompiledNetwork(self._model, self._structure, precision)
        return self._compiled[precision]


class CompiledNetwork:
    """What OpenVINO made of a network: it gives the same answers, nested in the same way.

    Several threads may ask it; :attr:`streams` of them are answered at the same time.

    Args:
        model: OpenVINO's.
        structure: of the network's answer.
        precision: ``float32`` or ``bfloat16``.
    """

    def __init__(self, model: Any, structure: _pytree.TreeSpec, precision: str) -> None:
        self._structure = structure
        self._compiled = Streams(library().Core(), model, PRECISIONS[precision])
        self.streams = self._compiled.count

    def __call__(self, images: Tensor) -> Any:
        """Return the answer to images ``(b, bands, rows, cols)`` in full precision."""
        leaves = map(torch.from_numpy, self._compiled(images.contiguous().numpy()))
        return _pytree.tree_unflatten(list(leaves), self._structure)

    def seconds(self, images: Tensor) -> float:
        """Return how long images take where all streams are busy."""
        with ThreadPoolExecutor(self.streams) as threads:
            start = time.perf_counter()
            list(threads.map(self, [images] * self.streams))
            return (time.perf_counter() - start) / self.streams


def processor() -> str:
    """Return the processor's name, as OpenVINO knows it."""
    return str(library().Core().get_property("CPU", "FULL_DEVICE_NAME"))
