"""Encoders: networks that turn an image into maps of growing stride."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import InputError, reason_of
from .weights import adapt_first_convolution, fetch, load_encoder_weights

# torchvision's residual networks share one layout, so their stages are taken by name.
_RESIDUAL = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "wide_resnet50_2",
    "wide_resnet101_2",
)

# The libraries refuse what they cannot build with errors of all kinds.
REFUSALS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)
# What transformers of timm are told to take any side, each kind in its own words.
_FREE_SIDE: tuple[dict[str, Any], ...] = (
    {},
    {"strict_img_size": False},
    {"dynamic_img_size": True},
)


class ResidualPyramid(nn.Module):
    """A torchvision residual network that returns the maps of its stages.

    Attributes:
        strides: pixels of the image to one of each map, ascending.
        channels: of each map.
        fixed_tile: the only side of images; none, for any will do.
    """

    fixed_tile = None

    def __init__(self, name: str, band_count: int) -> None:
        from torchvision.models import get_model

        super().__init__()
        network = get_model(name, weights=None)
        if band_count != 3:
            network.conv1 = nn.Conv2d(band_count, 64, 7, stride=2, padding=3, bias=False)
            nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
        # The names of torchvision are kept so that its weights fit.
        self.conv1, self.bn1 = network.conv1, network.bn1
        self.relu, self.maxpool = network.relu, network.maxpool
        self.layer1, self.layer2 = network.layer1, network.layer2
        self.layer3, self.layer4 = network.layer3, network.layer4
        width = network.fc.in_features
        self.channels = (width // 8, width // 4, width // 2, width)
        self.strides = (4, 8, 16, 32)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the four maps of ``images`` ``(b, c, h, w)``, the finest first."""
        value = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        maps = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            value = stage(value)
            maps.append(value)
        return maps


class TimmPyramid(nn.Module):
    """A timm network that returns the maps of its stages.

    Attributes:
        strides, channels: as of :class:`ResidualPyramid`.
        way: what timm is told besides so that the network takes the images.
        fixed_tile: the only side of images, of networks that take no other.
    """

    def __init__(self, name: str, band_count: int, chip_size: int) -> None:
        import timm

        super().__init__()
        self.way, free, shape = choose_way(name, band_count, chip_size)
        self.fixed_tile = None if free else chip_size
        self.network = timm.create_model(name, **_features(band_count), **self.way)
        self.positions = tuple(
            index for index, each in enumerate(self.network.feature_info.reduction()) if each >= 4
        )
        self.channels_first = shape[1] == self.network.feature_info.channels()[0]
        self.strides = tuple(self.network.feature_info.reduction()[i] for i in self.positions)
        self.channels = tuple(self.network.feature_info.channels()[i] for i in self.positions)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps of ``images`` ``(b, c, h, w)`` from stride 4 on, the finest first."""
        maps = self.network(images)
        chosen = [maps[index] for index in self.positions]
        return chosen if self.channels_first else [each.permute(0, 3, 1, 2) for each in chosen]


def _features(band_count: int) -> dict[str, Any]:
    return {"features_only": True, "in_chans": band_count, "pretrained": False}


@functools.lru_cache(maxsize=64)  # a trial takes up to a second, and networks are built twice
def choose_way(
    name: str, band_count: int, chip_size: int
) -> tuple[dict[str, Any], bool, torch.Size]:
    """Return what timm is told so that a network takes chips, and whether it takes all sides.

    The last value is the shape of its first map, of one chip.

    Raises:
        InputError: when it takes no chips of this size whatever it is told.
    """
    import timm

    fixed, reason = None, ""
    ways = (*_FREE_SIDE, {"img_size": chip_size})
    # Nothing is computed on the device without memory, but not all networks know it.
    for device, way in itertools.product(("meta", "cpu"), ways):
        if device == "cpu" and fixed is not None:
            break
        try:
            with torch.device(device):
                trial = timm.create_model(name, **_features(band_count), **way).eval()
            shape = _first_map(trial, band_count, chip_size, device)
        except REFUSALS as error:
            if device == "cpu":
                reason = reason or reason_of(error)
            continue
        fixed = fixed or (way, False, shape)
        other = chip_size + 3 * max(32, *trial.feature_info.reduction())
        try:
            _first_map(trial, band_count, other, device)
        except REFUSALS:
            continue
        return way, True, shape
    if fixed is not None:
        return fixed
    raise InputError(
        f"The backbone '{name}' cannot be used for chips of {chip_size} pixels ({reason}). "
        "Choose another backbone, resnet34 for example."
    )


@torch.no_grad()
def _first_map(trial: nn.Module, band_count: int, side: int, device: str) -> torch.Size:
    return trial(torch.zeros(1, band_count, side, side, device=device))[0].shape


def check_strides(pyramid: nn.Module, backbone: str) -> None:
    """Raise :class:`InputError` when a detector cannot use the maps of an encoder."""
    odd = [each for each in pyramid.strides if each & (each - 1)]
    if odd or not pyramid.strides:
        raise InputError(
            f"The backbone '{backbone}' has maps of {', '.join(map(str, odd)) or 'no'} pixels a "
            "cell, but detectors need powers of two. Choose another backbone, resnet34 for "
            "example."
        )


def build_pyramid(name: str, band_count: int, chip_size: int, weights: str) -> nn.Module:
    """Return an encoder with ``strides`` and ``channels`` of its maps.

    Args:
        name: a residual network of torchvision, or ``timm:NAME`` (the prefix may be left out).
        band_count: bands of the images.
        chip_size: side of the images in training, in pixels.
        weights: ``none``, ``imagenet`` or a file.

    Raises:
        InputError: when the name is unknown or the weights cannot be had.
    """
    if name in _RESIDUAL:
        pyramid: nn.Module = ResidualPyramid(name, band_count)
        inner = pyramid
    else:
        plain = timm_name(name)
        pyramid = TimmPyramid(plain, band_count, chip_size)
        inner = pyramid.network
    if weights == "imagenet":
        source = (
            (lambda: _torchvision_weights(name))
            if name in _RESIDUAL
            else (lambda: _timm_weights(timm_name(name), pyramid.way))
        )
        adapt_first_convolution(inner, fetch(name, source))
    elif weights != "none":
        load_encoder_weights(inner, weights)
    return pyramid


def timm_name(backbone: str) -> str:
    """Return timm's name of a backbone; raise :class:`InputError` when timm has none."""
    import timm

    plain = backbone[5:] if backbone.startswith("timm:") else backbone
    if not timm.is_model(plain):
        raise InputError(
            f"There is no backbone '{backbone}'. Choose one of {', '.join(_RESIDUAL)}, "
            "or any network of timm as timm:NAME."
        )
    return plain


def _torchvision_weights(name: str) -> dict[str, Tensor]:
    from torchvision.models import get_model_weights

    return dict(get_model_weights(name).DEFAULT.get_state_dict(progress=False))


def _timm_weights(name: str, way: dict[str, Any]) -> dict[str, Tensor]:
    """Return the weights of a network that takes the same images; timm fits them to these."""
    import timm

    network = timm.create_model(name, pretrained=True, features_only=True, **way)
    return dict(network.state_dict())
