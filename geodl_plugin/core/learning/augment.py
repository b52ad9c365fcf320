"""Augmentation: image, boxes and mask are moved together."""

from __future__ import annotations

import math
from typing import Any

import torch
from torchvision.transforms import v2
from torchvision.tv_tensors import BoundingBoxes, Image, Mask

# fast.ai's terms: brightness 0.4 to 0.6 (0.5 = unchanged) and contrast 0.75 to 1.5 (1 = unchanged).
_BRIGHTNESS = math.log(0.6 / 0.4)
_CONTRAST = (math.log(0.75), math.log(1.5))


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
    """Changes brightness and contrast of a normalised image with any number of bands."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the changes, the same for all bands."""
        shift = (torch.rand(()) * 2 - 1) * _BRIGHTNESS
        low, high = _CONTRAST
        factor = torch.exp(low + torch.rand(()) * (high - low))
        return {"shift": float(shift), "factor": float(factor)}

    _get_params = make_params

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Change an image; leave boxes and masks."""
        if not isinstance(inpt, Image):
            return inpt
        return Image(inpt * params["factor"] + params["shift"])

    _transform = transform


def default_augmentation(reference_system: str) -> v2.Transform:
    """Return the default augmentation.

    In map space an object looks the same from every side: all eight turns and mirrorings are
    used. In pixel space, as in pictures taken from the ground, up is up: only left and right
    are swapped.
    """
    moves: list[v2.Transform] = [v2.RandomHorizontalFlip(0.5)]
    if reference_system.upper() != "PIXEL_SPACE":
        moves += [v2.RandomVerticalFlip(0.5), QuarterTurn()]
    return v2.Compose([*moves, Light()])
