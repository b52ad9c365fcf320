"""A network compiled by OpenVINO, which computes faster on CPUs than torch. Needs torch."""

from __future__ import annotations

import queue
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from ..telemetry import silence

PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}
STREAMS = 2  # batches computed at a time: threads that share one wait for each other more


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
        threads = torch.get_num_threads()
        self.streams = min(STREAMS, threads)
        settings = {
            "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
            "NUM_STREAMS": str(self.streams),
            "INFERENCE_NUM_THREADS": threads,
        }
        compiled = openvino.Core().compile_model(model, "CPU", settings)
        self._requests: queue.LifoQueue[Any] = queue.LifoQueue()
        for _ in range(self.streams):
            self._requests.put(compiled.create_infer_request())
        self._count = len(leaves)

    def __call__(self, images: Tensor) -> Any:
        """Return the answer to images ``(b, bands, rows, cols)`` in full precision."""
        request = self._requests.get()
        try:
            array = images.contiguous().numpy()
            found = request.infer(array, share_inputs=True, share_outputs=True)
            # The buffers belong to the request, which uses them again.
            leaves = [torch.from_numpy(found[index].copy()) for index in range(self._count)]
        finally:
            self._requests.put(request)
        return _pytree.tree_unflatten(leaves, self._structure)

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
