"""Augmentation: image, boxes and mask are moved together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torchvision.transforms import v2
from torchvision.tv_tensors import BoundingBoxes, Image, Mask

from .augmentation_settings import settings_of


class QuarterTurn(v2.Transform):
    """Turns everything by 90 degrees with probability one half, without resampling."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw whether to turn."""
        return {"turn": bool(torch.rand(()) < 0.5)}

    # The name before torchvision 0.21.
    _get_params = make_params

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Turn an image, a mask or boxes."""
        if not params["turn"]:
            return inpt
        if isinstance(inpt, (Image, Mask)):
            return type(inpt)(torch.rot90(inpt.as_subclass(torch.Tensor), 1, (-2, -1)))
        if isinstance(inpt, BoundingBoxes):
            height, width = inpt.canvas_size
            left, top, right, bottom = inpt.as_subclass(torch.Tensor).unbind(-1)
            turned = torch.stack([top, width - right, bottom, width - left], -1)
            return BoundingBoxes(turned, format=inpt.format, canvas_size=(width, height))
        return inpt

    # The name before torchvision 0.21.
    _transform = transform


class Light(v2.Transform):
    """Changes brightness and contrast of a normalised image with any number of bands.

    In fast.ai's terms, where a brightness of 0.5 and a contrast of 1 leave an image as it is.

    Args:
        brightness: how far from 0.5 it may be.
        contrast: the largest factor; the least lies as far on the other side for halves.
    """

    def __init__(self, brightness: float, contrast: float) -> None:
        super().__init__()
        self.brightness = math.log((0.5 + brightness) / (0.5 - brightness))
        self.contrast = (-math.log(1 + (contrast - 1) * 2 / 3), math.log(contrast))

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the changes, the same for all bands."""
        shift = (torch.rand(()) * 2 - 1) * self.brightness
        low, high = self.contrast
        factor = torch.exp(low + torch.rand(()) * (high - low))
        return {"shift": float(shift), "factor": float(factor)}

    _get_params = make_params

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Change an image; leave boxes and masks."""
        if not isinstance(inpt, Image):
            return inpt
        return Image(inpt * params["factor"] + params["shift"])

    _transform = transform


def make_augmentation(settings: Mapping[str, Any]) -> v2.Transform | None:
    """Return the augmentation of settings from :func:`settings_of`, ``None`` for none."""
    moves: list[v2.Transform] = []
    if settings["mirror_x"]:
        moves.append(v2.RandomHorizontalFlip(0.5))
    if settings["mirror_y"]:
        moves.append(v2.RandomVerticalFlip(0.5))
    if settings["turn"]:
        moves.append(QuarterTurn())
    if settings["brightness"] > 0 or settings["contrast"] > 1:
        moves.append(Light(settings["brightness"], settings["contrast"]))
    return v2.Compose(moves) if moves else None


def default_augmentation(reference_system: str) -> v2.Transform | None:
    """Return the augmentation that chips get unless the user wants another."""
    return make_augmentation(settings_of("DEFAULT", "", reference_system))
