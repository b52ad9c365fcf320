"""Augmentation: image, boxes and mask are moved together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torchvision.transforms import v2
from torchvision.tv_tensors import BoundingBoxes, Image, Mask


class Turns(v2.Transform):
    """Mirrors and turns everything without resampling, each with probability one half.

    One transform instead of three: what torchvision does around each takes longer than it.

    Args:
        mirror_x: whether to swap left and right.
        mirror_y: whether to swap top and bottom.
        turn: whether to turn by 90 degrees.
    """

    def __init__(self, mirror_x: bool, mirror_y: bool, turn: bool) -> None:
        super().__init__()
        self.wanted = (mirror_x, mirror_y, turn)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw what to do: a quarter turn is to swap left and right, then rows and columns."""
        drawn = (torch.rand(3) < 0.5).tolist()
        mirror_x, mirror_y, turn = (one and other for one, other in zip(self.wanted, drawn))
        axes = [axis for axis, flip in ((-1, mirror_x != turn), (-2, mirror_y)) if flip]
        return {"axes": axes, "swap": turn}

    # The name before torchvision 0.21.
    _get_params = make_params

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Move an image, a mask or boxes."""
        axes, swap = params["axes"], params["swap"]
        if not (axes or swap):
            return inpt
        plain = inpt.as_subclass(torch.Tensor)
        if isinstance(inpt, (Image, Mask)):
            moved = plain.flip(axes) if axes else plain
            return type(inpt)(moved.transpose(-2, -1) if swap else moved)
        if isinstance(inpt, BoundingBoxes):
            height, width = inpt.canvas_size
            left, top, right, bottom = plain.unbind(-1)
            if -1 in axes:
                left, right = width - right, width - left
            if -2 in axes:
                top, bottom = height - bottom, height - top
            sides, size = (left, top, right, bottom), (height, width)
            if swap:
                sides, size = (top, left, bottom, right), (width, height)
            return BoundingBoxes(torch.stack(sides, -1), format=inpt.format, canvas_size=size)
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
    turns = (settings["mirror_x"], settings["mirror_y"], settings["turn"])
    if any(turns):
        moves.append(Turns(*turns))
    looks: list[v2.Transform] = []
    if settings["brightness"] > 0 or settings["contrast"] > 1:
        looks.append(Light(settings["brightness"], settings["contrast"]))
    if settings["blur"] > 0:
        looks.append(BandBlur(settings["blur"]))
    if settings["noise"] > 0:
        looks.append(BandNoise(settings["noise"]))
    moves += [v2.RandomApply([each], settings["probability"]) for each in looks]
    return moves[0] if len(moves) == 1 else v2.Compose(moves) if moves else None
