"""What networks answer, however it is nested. Needs torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

DISAGREEMENT = 0.03  # a faster precision may differ by this share of float32's answer
CLASS_DISAGREEMENT = 0.01  # and in the class of this share of the pixels or objects


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """Yield the floating tensors of a network's answer, however it is nested."""
    if isinstance(value, torch.Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from tensors(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from tensors(each)


def as_float32(value: Any) -> Any:
    """Return a network's answer with all its floating tensors as ``float32``."""
    if isinstance(value, torch.Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, dict):
        return {name: as_float32(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(as_float32(each) for each in value)
    return value


def is_finite(value: Any) -> bool:
    """Return whether all of a network's answer are numbers."""
    return all(bool(torch.isfinite(each).all()) for each in tensors(value))


def agree(exact: Any, rough: Any) -> bool:
    """Return whether two answers are alike: in size, and in the class where there is one."""
    for one, other in zip(tensors(exact), tensors(rough)):
        if not torch.isfinite(other).all():
            return False
        if torch.linalg.vector_norm(other - one) > DISAGREEMENT * torch.linalg.vector_norm(one):
            return False
    if isinstance(exact, torch.Tensor) and exact.ndim > 1 and exact.shape[1] > 1:
        differing = (exact.argmax(1) != rough.argmax(1)).float().mean()
        return bool(differing <= CLASS_DISAGREEMENT)
    return True
