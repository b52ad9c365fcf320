"""Weights of encoders: fetched or read from a file, and fitted to the bands at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ...errors import InputError


def fetch(name: str, source: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the pretrained weights that ``source`` downloads.

    Raises:
        InputError: when they cannot be had, most often because there is no network.
    """
    try:
        return source()
    except Exception as error:  # Each library fails offline with errors of its own.
        reason = str(error).strip().splitlines()
        raise InputError(
            f"The ImageNet weights of '{name}' could not be downloaded "
            f"({reason[0] if reason else type(error).__name__}). "
            "Set WEIGHTS=none to start from random weights, or give a file with the weights."
        ) from error


def load_encoder_weights(network: nn.Module, path: str) -> None:
    """Load the weights of an encoder from a ``.safetensors`` or ``.pth`` file.

    Raises:
        InputError: when the file cannot be read or nothing in it fits.
    """
    adapt_first_convolution(network, read_weights(path), path)


def read_weights(path: str) -> dict[str, Tensor]:
    """Return the tensors in a file by name, without running code from it."""
    if not Path(path).is_file():
        raise InputError(
            f"There is no file '{path}' with weights. WEIGHTS is imagenet, none or a file."
        )
    try:
        if path.lower().endswith(".safetensors"):
            from safetensors.torch import load_file

            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # Damaged files fail in many ways, in two libraries.
        raise InputError(f"'{path}' holds no weights that can be read safely.") from error
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise InputError(f"'{path}' holds no weights by name.")
    return {name: value for name, value in content.items() if isinstance(value, Tensor)}


def adapt_first_convolution(
    network: nn.Module, weights: dict[str, Tensor], source: str = "the weights"
) -> None:
    """Load what fits; a first convolution for other bands gets those of :func:`repeat_bands`.

    It remembers for how many bands its weights were made, for :func:`arrange_bands`.
    """
    own = network.state_dict()
    fitting = {}
    for name, target in own.items():
        value = weights.get(name)
        if value is None:
            continue
        if value.shape != target.shape and value.dim() == 4:
            value = repeat_bands(value, target.shape[1])
        if value.shape == target.shape:
            fitting[name] = value
    if len(fitting) < len(own) / 2:
        raise InputError(
            f"Only {len(fitting)} of {len(own)} tensors of the backbone are in {source}. "
            "Choose the backbone that the weights were made for."
        )
    network.load_state_dict(fitting, strict=False)
    for name, each in network.named_modules():
        if isinstance(each, nn.Conv2d):
            given = weights.get(f"{name}.weight")
            each.made_for = None if given is None else given.shape[1]
            break


def repeat_bands(
    weight: Tensor, band_count: int, sources: Sequence[int | None] | None = None
) -> Tensor:
    """Return a convolution's weight ``(o, bands, k, k)`` for another number of bands.

    The bands are repeated in turn and scaled so that the sum of the answers stays the same;
    a single band gets the sum of all, as if it were in each of them.

    Args:
        weight: of a convolution.
        band_count: wanted.
        sources: for each wanted band the one that it is, none where it is a new one.
    """
    if band_count == 1:
        return weight.sum(1, keepdim=True)
    old = weight.shape[1]
    order = [index % old for index in range(band_count)]
    for place, source in enumerate(sources or ()):
        order[place] = order[place] if source is None else source
    return weight[:, order] * (old / band_count)


def first_convolution(encoder: nn.Module) -> nn.Conv2d | None:
    """Return the convolution that sees the bands."""
    return next((each for each in encoder.modules() if isinstance(each, nn.Conv2d)), None)


def arrange_bands(
    encoder: nn.Module, band_count: int, scheme: str, colours: tuple[int, int, int]
) -> None:
    """Give a first convolution, loaded from weights for red, green and blue, its bands.

    Those of the three colours keep their pretrained weights. The others get random ones
    (``RANDOM``) or a copy of the red band's (``RED_BAND``); ``ALL_RANDOM`` gives all random ones.
    Fewer than three bands have no others: they keep what :func:`repeat_bands` gave them, unless
    all are to be random. Weights that were made for another number of bands stay as they are.

    Args:
        encoder: whose weights were loaded by :func:`adapt_first_convolution`.
        band_count: of the images.
        scheme: as above.
        colours: positions of the red, green and blue band.
    """
    first = first_convolution(encoder)
    if first is None or first.in_channels != band_count or getattr(first, "made_for", 0) != 3:
        return
    if band_count < 3 and scheme != "ALL_RANDOM":
        return
    weight = first.weight.detach()
    random = torch.empty_like(weight)
    nn.init.kaiming_normal_(random, mode="fan_out", nonlinearity="relu")
    if scheme != "ALL_RANDOM":
        # The first three bands were repeated and scaled down.
        pretrained = weight[:, :3] * (band_count / 3)
        if scheme == "RED_BAND":
            random[:] = pretrained[:, :1]
        random[:, list(colours)] = pretrained
    with torch.no_grad():
        first.weight.copy_(random)
