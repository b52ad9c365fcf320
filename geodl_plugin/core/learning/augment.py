"""Augmentation: image, boxes and mask are moved together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torchvision.transforms import v2
from torchvision.tv_tensors import BoundingBoxes, Image, Mask


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


class BandNoise(v2.Transform):
    """Adds noise to a normalised image, of another strength in each band.

    Args:
        most: the largest standard deviation, in those of the bands.
    """

    def __init__(self, most: float) -> None:
        super().__init__()
        self.most = most

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Change an image; leave boxes and masks."""
        if not isinstance(inpt, Image):
            return inpt
        strength = torch.rand(len(inpt), 1, 1) * self.most
        return Image(inpt.as_subclass(torch.Tensor) + torch.randn(inpt.shape) * strength)

    _transform = transform


class BandBlur(v2.Transform):
    """Blurs an image, each band another way, as the bands of sensors are.

    Args:
        most: the largest standard deviation of the blur, in pixels.
    """

    def __init__(self, most: float) -> None:
        super().__init__()
        self.most = most

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Change an image; leave boxes and masks."""
        if not isinstance(inpt, Image):
            return inpt
        bands = []
        for band in inpt.as_subclass(torch.Tensor):
            sigma = float(torch.rand(())) * self.most
            side = 2 * min(math.ceil(3 * sigma), min(band.shape) - 1) + 1
            blurred = v2.functional.gaussian_blur(band[None], [side, side], [max(sigma, 1e-3)] * 2)
            bands.append(blurred[0])
        return Image(torch.stack(bands))

    _transform = transform


def make_augmentation(settings: Mapping[str, Any]) -> v2.Transform | None:
    """Return the augmentation of settings from :func:`settings_of`, ``None`` for none.

    The zoom is left to the data set, which cuts the smaller window that is enlarged.
    """
    moves: list[v2.Transform] = []
    if settings["mirror_x"]:
        moves.append(v2.RandomHorizontalFlip(0.5))
    if settings["mirror_y"]:
        moves.append(v2.RandomVerticalFlip(0.5))
    if settings["turn"]:
        moves.append(QuarterTurn())
    looks: list[v2.Transform] = []
    if settings["brightness"] > 0 or settings["contrast"] > 1:
        looks.append(Light(settings["brightness"], settings["contrast"]))
    if settings["blur"] > 0:
        looks.append(BandBlur(settings["blur"]))
    if settings["noise"] > 0:
        looks.append(BandNoise(settings["noise"]))
    moves += [v2.RandomApply([each], settings["probability"]) for each in looks]
    return v2.Compose(moves) if moves else None
