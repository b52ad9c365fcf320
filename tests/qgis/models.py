"""Model packages for the inference tools, and a worker that runs in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from geodl_plugin.core.models.registry import NetworkSpec, build_network, model_type
from geodl_plugin.core.packages.archive import write_package
from geodl_plugin.core.packages.definition import ModelDefinition, class_to_json
from geodl_plugin.core.progress import Progress
from geodl_plugin.worker.tasks import task_named
from tests.unit.inference.support import TREES


def work_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tasks run in this process, where the networks of the unit tests are known."""

    def run_task(task: str, options: dict[str, Any], progress: Progress, python: Any) -> Any:
        named = task_named(task)
        return named.load()(named.options(options), progress)

    monkeypatch.setattr("geodl_plugin.algorithms.base.run_task", run_task)


def write_untrained(
    path: Path,
    name: str,
    bands: int = 3,
    chip_size: int = 64,
    resize_to: int = 0,
    backbone: str = "timm:test_resnet",
    adjust: Callable[[Any], None] | None = None,
    **given: Any,
) -> str:
    """Write a package of a real model type that has learnt nothing; arguments may be given.

    ``adjust`` changes the network before it is written.
    """
    import numpy as np
    import torch
    from safetensors.torch import save

    kind = model_type(name)
    arguments = dict(kind.arguments)
    if kind.complete is not None:
        arguments = kind.complete(arguments, np.array([[16.0, 16.0]]), resize_to or chip_size)
    arguments.update(given)
    torch.manual_seed(0)
    spec = NetworkSpec(name, backbone, arguments, bands, len(TREES), chip_size, resize_to=resize_to)
    network = build_network(spec)
    if adjust is not None:
        adjust(network)
    weights = save({n: v.contiguous() for n, v in network.state_dict().items()})
    definition = {
        "Framework": "PyTorch",
        "ModelType": kind.task.value,
        "ModelConfiguration": name,
        "ModelFile": "weights.safetensors",
        "ImageHeight": chip_size,
        "ImageWidth": chip_size,
        "ExtractBands": list(range(bands)),
        "Classes": [class_to_json(each) for each in TREES.classes],
        "GeoDL": {
            "architecture": name,
            "backbone": backbone,
            "arguments": arguments,
            "band_count": bands,
            "class_count": len(TREES),
            "chip_size": chip_size,
            "resize_to": resize_to,
            "normalization": {"mean": [100.0] * bands, "std": [50.0] * bands},
        },
    }
    write_package(path, ModelDefinition(definition, path.stem), {"weights.safetensors": weights})
    return str(path)
