"""Pixel networks of segmentation-models-pytorch."""

from __future__ import annotations

import segmentation_models_pytorch as smp
from torch import Tensor, nn

from ...errors import InputError
from ..registry import NetworkSpec
from .weights import adapt_first_convolution, fetch, load_encoder_weights

TILE_STEP = 32


class SegmentationNetwork(nn.Module):
    """A network that gives every pixel a logit for each class and for the background.

    Attributes:
        tile_step: a tile's side must be a multiple of it.
        fixed_tile: the only tile side; none, for the network is fully convolutional.
    """

    def __init__(self, architecture: str, spec: NetworkSpec) -> None:
        super().__init__()
        encoder = encoder_name(spec.backbone)
        self.network = getattr(smp, architecture)(
            encoder,
            encoder_weights=None,
            in_channels=spec.band_count,
            classes=spec.class_count + 1,
            **spec.arguments,
        )
        self.tile_step = TILE_STEP
        self.fixed_tile = None
        if spec.weights == "imagenet":
            weights = fetch(spec.backbone, lambda: _imagenet_weights(encoder))
            adapt_first_convolution(self.encoder, weights)
        elif spec.weights != "none":
            load_encoder_weights(self.encoder, spec.weights)

    @property
    def encoder(self) -> nn.Module:
        """The part that pretrained weights are for."""
        return self.network.encoder

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(b, n + 1, h, w)`` of ``images`` ``(b, c, h, w)``."""
        return self.network(images).float()


def encoder_name(backbone: str) -> str:
    """Return the library's name of a backbone; raise :class:`InputError` when it has none."""
    import timm

    if backbone in smp.encoders.get_encoder_names():
        return backbone
    plain = backbone[5:] if backbone.startswith("timm:") else backbone
    if timm.is_model(plain):
        return f"tu-{plain}"
    raise InputError(
        f"There is no backbone '{backbone}'. Choose resnet18, resnet34, resnet50, another encoder "
        "of segmentation-models-pytorch, or any network of timm as timm:NAME."
    )


def _imagenet_weights(encoder: str) -> dict[str, Tensor]:
    return dict(smp.encoders.get_encoder(encoder, weights="imagenet").state_dict())
