"""A network that is built when it is needed, which it may never be. Needs torch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

# What inference asks of a network before it computes anything.
TOLD = ("tile_step", "fixed_tile", "sees_whole_tile", "padding", "scalars")
TOLD += ("is_compiled", "is_exact", "streams")


def facts_of(network: nn.Module) -> dict[str, Any]:
    """Return what a network tells of itself, ``None`` where it says nothing."""
    return {name: getattr(network, name, None) for name in TOLD}


class LazyNetwork(nn.Module):
    """Stands for a network of which the facts are known.

    Args:
        build: makes the network, ready to compute.
        facts: from :func:`facts_of` of a network that was built before.
        answers: reads the network's answers without it, by the network's own methods.
    """

    def __init__(
        self, build: Callable[[], nn.Module], facts: Mapping[str, Any], answers: Any = None
    ) -> None:
        super().__init__()
        self._build = build
        self._facts = facts
        self._answers = answers
        self._building = threading.Lock()
        self._built: nn.Module | None = None

    def forward(self, images: Tensor) -> Any:
        """Return the network's answer."""
        return self._network()(images)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name not in TOLD:
                reads = hasattr(self._answers, name)
                return getattr(self._answers if reads else self._network(), name)
            value = self._facts.get(name)
            if value is None:
                raise
            return value

    def _network(self) -> nn.Module:
        with self._building:
            if self._built is None:
                with torch.inference_mode(False):  # weights as of any other network
                    self._built = self._build()
            return self._built
