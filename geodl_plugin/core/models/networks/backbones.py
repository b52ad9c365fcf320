"""Encoders: networks that turn an image into maps of growing stride."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...errors import InputError
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


class ResidualPyramid(nn.Module):
    """A torchvision residual network that returns the maps of its stages.

    Attributes:
        strides: pixels of the image to one of each map, ascending.
        channels: of each map.
    """

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
    """A timm network that returns the maps of its stages."""

    def __init__(self, name: str, band_count: int, chip_size: int) -> None:
        import timm

        super().__init__()
        arguments = {"features_only": True, "in_chans": band_count, "pretrained": False}
        try:
            self.network = timm.create_model(name, **arguments)
        except RuntimeError as error:
            raise InputError(
                f"The backbone '{name}' gives no feature maps ({error}). Choose another one."
            ) from None
        self.network.eval()
        with torch.no_grad():
            probe = self.network(torch.zeros(1, band_count, chip_size, chip_size))
        self.network.train()
        self.positions = tuple(
            index for index, each in enumerate(self.network.feature_info.reduction()) if each >= 4
        )
        self.channels_first = probe[0].shape[1] == self.network.feature_info.channels()[0]
        self.strides = tuple(self.network.feature_info.reduction()[i] for i in self.positions)
        self.channels = tuple(self.network.feature_info.channels()[i] for i in self.positions)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps of ``images`` ``(b, c, h, w)`` from stride 4 on, the finest first."""
        maps = self.network(images)
        chosen = [maps[index] for index in self.positions]
        return chosen if self.channels_first else [each.permute(0, 3, 1, 2) for each in chosen]


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
            else (lambda: _timm_weights(timm_name(name)))
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


def _timm_weights(name: str) -> dict[str, Tensor]:
    import timm

    network = timm.create_model(name, pretrained=True, features_only=True)
    return dict(network.state_dict())
