"""Pixel networks of segmentation-models-pytorch."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from ...errors import InputError, reason_of
from ..registry import NetworkSpec
from .backbones import REFUSALS
from .weights import adapt_first_convolution, fetch, load_encoder_weights

# What transformers of timm are told to take other sides than the one they were made for: first
# any side, then that of the chips alone.
_FREE_SIDE: dict[str, Any] = {"strict_img_size": False}


class SegmentationNetwork(nn.Module):
    """A network that gives every pixel a logit for each class and for the background.

    Args:
        architecture: name of the library's class.
        spec: what to build.
        arguments: of the library's class.
        tile_step: a tile's side must be a multiple of it; default the encoder's last stride.
        sees_whole_tile: whether each pixel's answer depends on all of its tile.

    Attributes:
        tile_step: a tile's side must be a multiple of it.
        fixed_tile: the only tile side, of encoders that take no other.
        sees_whole_tile: as above; such networks want tiles as large as the chips were.
    """

    def __init__(
        self,
        architecture: str,
        spec: NetworkSpec,
        arguments: dict[str, Any],
        tile_step: int = 0,
        sees_whole_tile: bool = False,
    ) -> None:
        super().__init__()
        self.sigmoid = check_sigmoid(spec)
        self.sees_whole_tile = sees_whole_tile
        encoder = encoder_name(spec.backbone)
        self.network, self.fixed_tile = build_library(architecture, encoder, spec, arguments)
        batch_norms_for_one(self.network.decoder)
        self.tile_step = tile_step or self.encoder.output_stride
        give_weights(self.encoder, encoder, spec)

    @property
    def encoder(self) -> nn.Module:
        """The part that pretrained weights are for."""
        return self.network.encoder

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(b, n + 1, h, w)`` of ``images`` ``(b, c, h, w)``."""
        logits = self.network(images).float()
        return beside_zero(logits) if self.sigmoid else logits


def output_count(spec: NetworkSpec) -> int:
    """Return how many maps the last convolution has: the background's too, unless by sigmoid."""
    return spec.class_count + (0 if spec.arguments.get("sigmoid") else 1)


def check_sigmoid(spec: NetworkSpec) -> bool:
    """Return whether the network has one output only; raise :class:`InputError` if it cannot."""
    wanted = bool(spec.arguments.get("sigmoid"))
    if wanted and spec.class_count != 1:
        raise InputError(
            f"sigmoid=true tells one class from the background, but there are {spec.class_count} "
            "classes. Leave it out."
        )
    return wanted


def beside_zero(logit: Tensor) -> Tensor:
    """Return ``(0, z)`` for ``z`` ``(b, 1, h, w)``: the softmax of it is the sigmoid of z."""
    return torch.cat([torch.zeros_like(logit), logit], 1)


def build_library(
    architecture: str, encoder: str, spec: NetworkSpec, arguments: dict[str, Any]
) -> tuple[nn.Module, int | None]:
    """Return a network of the library, and the only side that it takes, if so.

    Raises:
        InputError: when the architecture and the encoder do not go together.
    """
    told = {
        "encoder_name": encoder,
        "encoder_weights": None,
        "in_channels": spec.band_count,
        "classes": output_count(spec),
        **arguments,
    }
    way: dict[str, Any] | None = {}
    free, reason = True, ""
    if encoder.startswith("tu-"):  # those of the library itself take any side, timm's are asked
        way, free, reason = _choose_way(architecture, json.dumps(told), spec.chip_size)
    if way is not None:
        try:
            return getattr(smp, architecture)(**told, **way), None if free else spec.chip_size
        except REFUSALS as error:
            reason = reason_of(error)
    raise InputError(
        f"{spec.model_type} cannot be built on the backbone '{spec.backbone}' for chips of "
        f"{spec.chip_size} pixels ({reason}). Choose another backbone, resnet34 for example."
    )


@functools.lru_cache(maxsize=64)  # a trial takes up to a second, and networks are built twice
def _choose_way(
    architecture: str, told: str, chip_size: int
) -> tuple[dict[str, Any] | None, bool, str]:
    """Return what timm is told so that a network takes chips, and whether it takes all sides.

    Args:
        architecture: name of the library's class.
        told: its arguments, as JSON.
        chip_size: in pixels.

    Returns:
        The way, ``None`` where there is none, whether all sides are taken, and why none is.
    """
    reason, fixed = "", None
    for way in ({}, _FREE_SIDE, {"img_size": chip_size}):
        try:
            chips, others = _sides(architecture, {**json.loads(told), **way}, chip_size)
        except REFUSALS as error:
            reason = reason or reason_of(error)
            continue
        if chips and others:
            return way, True, ""
        if chips and fixed is None:
            fixed = way
    return fixed, False, reason


def _sides(architecture: str, told: dict[str, Any], chip_size: int) -> tuple[bool, bool]:
    """Return whether a network takes chips, and tiles of another side; nothing is computed."""
    with torch.device("meta"):
        trial = getattr(smp, architecture)(**told).eval()
    bands, step = told["in_channels"], max(32, trial.encoder.output_stride)
    return _takes(trial, bands, chip_size), _takes(trial, bands, chip_size + 3 * step, True)


@torch.no_grad()
def _takes(trial: nn.Module, bands: int, side: int, quiet: bool = False) -> bool:
    try:
        answer = trial(torch.zeros(1, bands, side, side, device="meta"))
    except REFUSALS:
        if quiet:
            return False
        raise
    return answer.shape[-2:] == (side, side)


def give_weights(encoder: nn.Module, name: str, spec: NetworkSpec) -> None:
    """Give an encoder the weights that the spec names; raise :class:`InputError` when it fails."""
    if spec.weights == "imagenet":
        weights = fetch(spec.backbone, lambda: _imagenet_weights(name))
        adapt_first_convolution(encoder, weights)
    elif spec.weights != "none":
        load_encoder_weights(encoder, spec.weights)


class BatchNormForOne(nn.BatchNorm2d):
    """Batch norm that also takes a batch of one value a channel, in training too.

    Maps pooled to one pixel have no spread in a batch of one: the running one serves.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Return normalised ``maps`` ``(b, c, h, w)``."""
        if self.training and maps.numel() == maps.shape[1]:
            return functional.batch_norm(
                maps, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(maps)


def batch_norms_for_one(module: nn.Module) -> None:
    """Replace every batch norm in a module that is not trained yet."""
    for parent, name, old in list(_batch_norms(module)):
        setattr(parent, name, BatchNormForOne(old.num_features, old.eps, old.momentum))


def _batch_norms(module: nn.Module) -> Iterator[tuple[nn.Module, str, nn.BatchNorm2d]]:
    for parent in module.modules():
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                yield parent, name, child


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
