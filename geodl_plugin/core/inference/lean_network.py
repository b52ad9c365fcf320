"""A network without what training alone needs, for a CPU that has no OpenVINO yet. Needs torch.

A batch normalisation that no longer learns is a factor and a summand for each channel, which the
convolution before it can have in its weights. Weights that are stored in the precision in which
autocast multiplies need not be converted for each image.
"""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .answers import tensors

TOLERANCE = 1e-3  # share of the answer by which the order of multiplications may change it
BYTES = 256
# What autocast multiplies in the lower precision; subclasses may do something else.
_MULTIPLYING = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def lean_forms(network: nn.Module, batch: Tensor) -> dict[str, nn.Module]:
    """Return for each precision what answers as the network, with less work; none is an answer.

    They are tried with noise in the form of ``batch``, so that the network alone decides, and a
    run that goes on computes as it began.
    """
    forms: dict[str, nn.Module] = {}
    noise = _noise(batch)
    with suppress(Exception):  # whatever cannot be made leaner is computed as it is
        whole = folded(network)
        if whole is not None and same(network, whole, noise):
            forms["float32"] = whole
        whole = forms.get("float32", network)
        half = halved(whole, torch.bfloat16)
        if half is not None and same(whole, half, noise, torch.bfloat16):
            forms["bfloat16"] = half
    return forms


def folded(network: nn.Module) -> nn.Module | None:
    """Return a network whose batch normalisations lie in the convolutions; ``None`` without any.

    What follows a convolution in the order of its parents' parts is taken for what follows it in
    computing: :func:`same` tells whether that is true. All other weights are shared.
    """
    twin = _twin(network, {})
    if twin is None:
        return None
    count = 0
    for parent in list(twin.modules()):
        parts = list(parent.named_children())
        for (name, first), (following, second) in zip(parts, parts[1:]):
            if isinstance(first, nn.Conv2d) and _is_fixed(second):
                setattr(parent, name, fuse_conv_bn_eval(first, second))
                # timm's hold what follows them: an activation.
                setattr(parent, following, nn.Sequential(*second.children()))
                count += 1
    return twin if count else None


def halved(network: nn.Module, kind: torch.dtype) -> nn.Module | None:
    """Return a network for autocast whose large weights are of ``kind``; ``None`` without any."""
    twin = _twin(network, {})
    if twin is None:
        return None
    chosen = [each for each in twin.modules() if type(each) in _MULTIPLYING]
    for each in chosen:
        for name, weights in each._parameters.items():
            if weights is not None:
                each._parameters[name] = nn.Parameter(weights.detach().to(kind), False)
    return twin if chosen else None


def same(
    one: nn.Module, other: nn.Module, batch: Tensor, kind: torch.dtype = torch.float32
) -> bool:
    """Return whether two networks answer a batch alike, computing in ``kind``.

    Answers without any number but 0 say nothing, and are none that are alike.
    """
    half = torch.autocast(batch.device.type, dtype=kind, enabled=kind != torch.float32)
    with torch.inference_mode(), half:
        pairs = list(zip(_numbers(one(batch)), _numbers(other(batch))))
    return any(bool(a.any()) for a, _ in pairs) and all(
        a.shape == b.shape
        and bool(torch.linalg.vector_norm(a - b) <= TOLERANCE * torch.linalg.vector_norm(a))
        for a, b in pairs
    )


def _numbers(answer: Any) -> list[Tensor]:
    return [each.float() for each in tensors(answer)]


def _noise(batch: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    if batch.is_floating_point():
        noise = torch.randn(batch.shape, generator=generator)
    else:
        noise = torch.randint(0, BYTES, batch.shape, generator=generator)
    return noise.to(batch.dtype).contiguous(memory_format=torch.channels_last)


def _is_fixed(part: nn.Module) -> bool:
    known = isinstance(part, nn.BatchNorm2d) and part.running_var is not None
    return known and not part.training


def _twin(module: nn.Module, made: dict[int, Any]) -> Any:
    """Return a copy of a network that shares its weights, ``None`` of what cannot be copied."""
    if isinstance(module, torch.jit.ScriptModule):
        return None
    if id(module) not in made:
        twin = made[id(module)] = copy.copy(module)
        parts = {}
        for name, part in module._modules.items():
            parts[name] = None if part is None else _twin(part, made)
            if part is not None and parts[name] is None:
                return None
        twin._modules = parts
        twin._parameters = dict(module._parameters)
        twin._buffers = dict(module._buffers)
    return made[id(module)]
