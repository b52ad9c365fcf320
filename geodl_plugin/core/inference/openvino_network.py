"""A network compiled by OpenVINO, which computes faster on CPUs than torch. Needs torch."""

from __future__ import annotations

import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from ..telemetry import silence
from .openvino_streams import Streams

PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}


class CompiledNetwork:
    """What OpenVINO made of a network: it gives the same answers, nested in the same way.

    Several threads may ask it; :attr:`streams` of them are answered at the same time.

    Args:
        network: whose answers are floating tensors, in tuples, lists and dicts.
        example: images ``(1, bands, rows, cols)``; others may be of any number and size,
            unless the network has a ``fixed_tile``.
        precision: ``float32`` or ``bfloat16``.

    Raises:
        ImportError: when OpenVINO is not installed.
        Exception: whatever it raises when it cannot compile the network.
    """

    def __init__(self, network: nn.Module, example: Tensor, precision: str) -> None:
        silence()
        import openvino

        with torch.inference_mode():
            leaves, self._structure = _pytree.tree_flatten(network(example))
        if not all(isinstance(leaf, Tensor) and leaf.is_floating_point() for leaf in leaves):
            raise ValueError("The network's answer is not made of floating tensors alone.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # OpenVINO's own tracing computes everything once more, to check it.
            traced = torch.jit.trace(_Flat(network), example, strict=False, check_trace=False)
            model = openvino.convert_model(traced, example_input=example)
        if not getattr(network, "fixed_tile", None):
            model.reshape([-1, example.shape[1], -1, -1])
        self._compiled = Streams(openvino.Core(), model, PRECISIONS[precision])
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


class _Flat(nn.Module):
    """Gives a network's answer as a flat tuple."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(_pytree.tree_leaves(self.network(images)))
