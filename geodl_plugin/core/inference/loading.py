"""A model's network, loaded into an engine. Needs torch."""

from __future__ import annotations

import torch
from torch import nn

from ..device import choose_device
from ..errors import InputError, ModelError, reason_of
from ..models.registry import build_answers, build_network
from ..packages.archive import Package, open_package
from ..packages.definition import understood
from ..progress import Progress
from .engine import Engine
from .kept_networks import KeptNetworks, key_of
from .lazy_network import LazyNetwork
from .model import Model
from .options import InferenceOptions


def load_network(model: Model, package: Package, device: torch.device | None = None) -> nn.Module:
    """Build the network of a model and give it its weights.

    Args:
        model: its description.
        package: with its files.
        device: that a Python function is told to compute on; the CPU where not given.

    Raises:
        ModelError: when the weights do not fit.
    """
    if model.foreign is not None:
        from .foreign.loaders import load_foreign

        return load_foreign(model, package, device or torch.device("cpu"))
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = package.file(model.weights)
    try:
        with understood(model.name):
            network = build_network(model.spec)
        network.load_state_dict(load_file(path))
    except (RuntimeError, MemoryError, SafetensorError, OSError) as error:
        raise ModelError(
            f"The weights of '{model.name}' do not fit its network: {reason_of(error)}. Get the "
            "model again."
        ) from error
    return network


def open_engine(model: Model, options: InferenceOptions, progress: Progress) -> Engine:
    """Load a model's network into an engine as the options want it.

    Raises:
        InputError: when the model takes batches of another size only.
    """
    if model.batch_size and options.batch_size not in (0, model.batch_size):
        raise InputError(
            f"batch_size={options.batch_size} does not fit '{model.name}', whose definition fixes "
            f"it at {model.batch_size}. Leave the argument out."
        )
    progress.update(0.0, f"Loading {model.name}")
    # Before the weights: it may be refused. The workers of a cluster choose theirs.
    device = choose_device("cpu" if options.scheduler else options.device)

    def load(package: Package) -> nn.Module:
        network = load_network(model, package, device)
        if getattr(network, "is_compiled", False):
            return network.eval()  # another library computes, or another process
        return network.eval().to(device, memory_format=torch.channels_last)

    def build() -> nn.Module:
        with open_package(options.model) as package:
            return load(package)

    kept = None
    with open_package(options.model) as package:
        if model.foreign is None and device.type == "cpu":
            kept = KeptNetworks(key_of(model, package.file(model.weights)))
        facts = None if kept is None else kept.facts()
        if facts is None:
            network = load(package)
        else:
            network = LazyNetwork(build, facts, build_answers(model.spec))
    if getattr(network, "is_compiled", False):
        device = torch.device("cpu")
    batch = model.batch_size or options.batch_size
    return Engine(network, str(device), options.precision, batch, progress, kept)
