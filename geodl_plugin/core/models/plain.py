"""Pixel networks without an encoder of others: FCN, the plain U-Net and the nested one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .registry import NetworkSpec, Task, register

if TYPE_CHECKING:
    from torch import nn

ARGUMENTS: dict[str, Any] = {
    "channels": [32, 64, 128, 256, 512],  # of every level, each half the size of the one before
    "dropout": 0.0,
    "batch_norm": True,
    "sigmoid": False,
}


def complete_arguments(arguments: dict[str, Any], _: np.ndarray, chip_size: int) -> dict[str, Any]:
    """Return the arguments; raise :class:`InputError` when one cannot be used."""
    channels, dropout = arguments["channels"], arguments["dropout"]
    if len(channels) < 2 or not all(
        isinstance(each, int) and not isinstance(each, bool) and each > 0 for each in channels
    ):
        raise InputError(
            f"channels={channels} must be two whole numbers at least, like [32,64,128,256,512]."
        )
    if 2 ** (len(channels) - 1) > chip_size:
        raise InputError(
            f"channels={channels} halve the chips {len(channels) - 1} times, but these have only "
            f"{chip_size} pixels a side. Use fewer levels or a larger CHIP_SIZE."
        )
    if not 0 <= dropout < 1:
        raise InputError(f"dropout={dropout} must be at least 0 and less than 1.")
    branches, prune = len(channels) - 1, arguments.get("prune", 0)
    if not 0 <= prune <= branches:
        raise InputError(
            f"prune={prune} must be 0 for the average of all branches, or one of the branches 1 "
            f"to {branches}."
        )
    return arguments


def _enter(name: str, network: str, arguments: dict[str, Any], description: str) -> None:
    """Register a network of the module with the networks as a model type."""

    def build(spec: NetworkSpec) -> nn.Module:
        from .networks import plain

        return getattr(plain, network)(spec)

    register(
        name,
        task=Task.PIXELS,
        formats=("Classified_Tiles", "Panoptic_Segmentation"),
        arguments=arguments,
        description=description,
        complete=complete_arguments,
        pretrained=False,
    )(build)


_enter(
    "FCN",
    "FullyConvolutional",
    ARGUMENTS,
    "Fully convolutional network: small and plain, without pretrained weights.",
)
_enter(
    "UNET_PLAIN",
    "PlainUNet",
    ARGUMENTS,
    "U-Net of double convolutions, without pretrained weights.",
)
_enter(
    "UNETPLUSPLUS_DS",
    "NestedUNet",
    {"prune": 0, **ARGUMENTS},
    "U-Net++ with deep supervision; can be pruned to be faster.",
)
