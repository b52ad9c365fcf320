"""The device and the number format of a training."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import distributed

from ..device import choose_device, device_label, has_fast_bfloat16
from ..errors import InputError

_LIGHTNING_PRECISION = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}


@dataclass(frozen=True)
class Hardware:
    """Where a training runs, and how it computes.

    Attributes:
        device: of torch.
        precision: ``float32``, ``bfloat16`` or ``float16``.
        count: how many devices of this kind train together, one process each.
    """

    device: torch.device
    precision: str
    count: int = 1

    def trainer_arguments(self) -> dict[str, Any]:
        """Return what Lightning's trainer needs to know."""
        kind = self.device.type
        arguments: dict[str, Any] = {
            "accelerator": "gpu" if kind == "cuda" else kind,
            "devices": [self.device.index or 0] if kind == "cuda" else 1,
            "precision": _LIGHTNING_PRECISION[self.precision],
        }
        if self.count > 1:
            arguments.update(
                devices=self.count, strategy=self._strategy(), use_distributed_sampler=False
            )
        return arguments

    def _strategy(self) -> DDPStrategy:
        """Return how processes share gradients; a frozen encoder has none to share."""
        # Lightning takes NCCL for GPUs, which PyTorch for Windows lacks.
        lacking = self.device.type == "cuda" and not distributed.is_nccl_available()
        return DDPStrategy(
            find_unused_parameters=True, process_group_backend="gloo" if lacking else None
        )

    def describe(self) -> str:
        """Return device and number format as people know them."""
        label = f"{device_label(self.device)}, {self.precision}"
        return label if self.count == 1 else f"{label}, {self.count} processes"


def choose_hardware(device: str, precision: str, count: int = 1) -> Hardware:
    """Return the hardware that the options ask for.

    Raises:
        InputError: when there is no such device, or it does not know the precision.
    """
    chosen = choose_device(device)
    _check_count(chosen, count)
    wanted = precision.strip().lower() or "auto"
    if wanted == "auto":
        return Hardware(chosen, fastest_precision(chosen), count)
    if wanted not in _LIGHTNING_PRECISION:
        known = ", ".join(["auto", *_LIGHTNING_PRECISION])
        raise InputError(f"There is no PRECISION '{precision}'. Choose one of: {known}.")
    if wanted == "float16" and chosen.type != "cuda":
        raise InputError("PRECISION=float16 trains on CUDA GPUs only. Choose auto or bfloat16.")
    return Hardware(chosen, wanted, count)


def _check_count(device: torch.device, count: int) -> None:
    """Raise :class:`InputError` when there are fewer devices of a kind than wanted."""
    if count > 1 and device.index is not None:
        raise InputError(
            f"DEVICES={count} does not go with DEVICE={device}, which is one. Use DEVICE=cuda."
        )
    known = {"cuda": torch.cuda.device_count(), "cpu": os.cpu_count() or 1}.get(device.type, 1)
    if count > known:
        raise InputError(
            f"DEVICES={count}, but there are only {known} of the kind '{device.type}'. "
            f"Set DEVICES={known} at most."
        )


def fastest_precision(device: torch.device) -> str:
    """Return the number format that trains fastest on a device and just as well."""
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    if device.type == "cpu" and has_fast_bfloat16():
        return "bfloat16"
    return "float32"
