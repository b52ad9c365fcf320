"""Networks around networks. Needs torch."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class Wrapper(nn.Module):
    """What changes a network's images or answers, and has whatever else the network has.

    Args:
        network: that it is put around.
        constants: tensors by the names of their attributes; they go where the network goes.
    """

    def __init__(self, network: nn.Module, **constants: Tensor) -> None:
        super().__init__()
        for name, value in constants.items():  # first: else the network is asked for them
            self.register_buffer(name, value, persistent=False)
        self.network = network

    @property
    def form(self) -> str:
        """What it makes of a network, in one word."""
        return type(self).__name__

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("network"), name)


def form_of(network: nn.Module) -> str:
    """Return what is put around a network, from the outside."""
    if not isinstance(network, Wrapper):
        return ""
    return f"{network.form}/{form_of(network.network)}"


def innermost(network: nn.Module) -> nn.Module:
    """Return the network that all else is put around."""
    return innermost(network.network) if isinstance(network, Wrapper) else network
