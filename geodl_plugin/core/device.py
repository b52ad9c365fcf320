"""The device that a network computes on. Needs torch."""

from __future__ import annotations

import platform

import torch

from .errors import InputError


def choose_device(name: str) -> torch.device:
    """Return the device of a name; ``auto`` takes a GPU where there is one.

    Raises:
        InputError: when there is no such device.
    """
    name = (name or "auto").strip().lower()
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    kind, colon, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and not index.isdecimal()):
        raise InputError(f"There is no device '{name}'. Choose auto, cpu, cuda, cuda:1 or mps.")
    count = {"cpu": 1, "cuda": torch.cuda.device_count() if cuda else 0, "mps": int(mps)}[kind]
    if int(index or 0) >= count:
        raise InputError(
            f"PyTorch finds no device '{name}' on this machine. Choose 'auto' or 'cpu'."
        )
    return torch.device(name)


def has_fast_bfloat16() -> bool | None:
    """Return whether the processor multiplies bfloat16 itself: emulated it is slower than float32.

    ``None`` where torch does not tell, which it does of x86 alone.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return None
    names = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, name)() for name in names if hasattr(torch.cpu, name))


def device_label(device: torch.device) -> str:
    """Return a device as people know it."""
    if device.type == "cuda":
        return f"the GPU {torch.cuda.get_device_name(device)} ({device})"
    if device.type == "mps":
        return "the Apple GPU (mps)"
    name = platform.processor() or platform.machine()
    return f"the CPU ({name}, {torch.get_num_threads()} threads)"
