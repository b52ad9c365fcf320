"""Networks around networks. Needs torch."""

from __future__ import annotations

from typing import Any

from torch import nn


class Wrapper(nn.Module):
    """What changes a network's images or answers, and has whatever else the network has.

    Args:
        network: that it is put around.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("network"), name)
