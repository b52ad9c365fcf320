"""A network compiled by OpenVINO, which computes faster on CPUs than torch. Needs torch."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from ..telemetry import silence

PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}


class CompiledNetwork:
    """What OpenVINO made of a network: it gives the same answers, nested in the same way.

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
        settings = {
            "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        self._compiled = openvino.Core().compile_model(model, "CPU", settings)
        self._count = len(leaves)

    def __call__(self, images: Tensor) -> Any:
        """Return the answer to images ``(b, bands, rows, cols)`` in full precision."""
        found = self._compiled(images.contiguous().numpy())
        # The buffers belong to the compiled network, which uses them again.
        leaves = [torch.from_numpy(found[index].copy()) for index in range(self._count)]
        return _pytree.tree_unflatten(leaves, self._structure)


class _Flat(nn.Module):
    """Gives a network's answer as a flat tuple."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(_pytree.tree_leaves(self.network(images)))
