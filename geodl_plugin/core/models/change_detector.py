"""Change between two dates: one encoder sees both (Daudt et al. 2018, arXiv:1810.08462)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .registry import NetworkSpec, Task, register

if TYPE_CHECKING:
    from torch import nn

ATTENTION = ("none", "channel", "spatial")


def complete_arguments(arguments: dict[str, Any], _: np.ndarray, __: int) -> dict[str, Any]:
    """Return the arguments; raise :class:`InputError` when one cannot be used."""
    if arguments["attention"] not in ATTENTION:
        raise InputError(
            f"There is no attention '{arguments['attention']}'. "
            f"Choose one of: {', '.join(ATTENTION)}."
        )
    return arguments


@register(
    "CHANGEDETECTOR",
    task=Task.CHANGE,
    formats=("Classified_Tiles",),
    arguments={"attention": "none", "sigmoid": False},
    description="What has changed between images of two dates: a class for every pixel.",
    complete=complete_arguments,
)
def build(spec: NetworkSpec) -> nn.Module:
    """Return the network of ``spec``, whose ``band_count`` is that of one date."""
    from .networks.change import SiameseNetwork

    return SiameseNetwork(spec)
