"""Computing several batches at a time with OpenVINO. Needs torch."""

from __future__ import annotations

import queue
from typing import Any

import numpy as np
import torch

from ..telemetry import silence

STREAMS = 2  # batches computed at a time: threads that share one wait for each other more


def library() -> Any:
    """Return OpenVINO, which sends nothing.

    Raises:
        ImportError: when it is not installed.
    """
    silence()
    import openvino

    return openvino


def stream_count() -> int:
    """Return how many batches are computed at a time, each by as many threads as the others."""
    return min(STREAMS, torch.get_num_threads())


class Streams:
    """A model on the CPU that several threads may ask.

    Args:
        core: OpenVINO's.
        model: to be compiled.
        precision: ``f32`` or ``bf16``.

    Attributes:
        count: how many threads are answered at the same time.
    """

    def __init__(self, core: Any, model: Any, precision: str) -> None:
        self.count = stream_count()
        settings = {
            "INFERENCE_PRECISION_HINT": precision,
            "NUM_STREAMS": str(self.count),
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        compiled = core.compile_model(model, "CPU", settings)
        self._outputs = len(model.outputs)
        self._requests: queue.LifoQueue[Any] = queue.LifoQueue()
        for _ in range(self.count):
            self._requests.put(compiled.create_infer_request())

    def __call__(self, inputs: Any) -> list[np.ndarray]:
        """Return the outputs to an array, or to several by their numbers, in order."""
        request = self._requests.get()
        try:
            found = request.infer(inputs, share_inputs=True, share_outputs=True)
            # The buffers belong to the request, which uses them again.
            return [np.array(found[place]) for place in range(self._outputs)]
        finally:
            self._requests.put(request)
