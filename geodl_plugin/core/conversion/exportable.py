"""Networks as other programs take them: one input, one output, probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Union

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import box_convert

from ..errors import ModelError
from ..inference.model import Model
from ..models.networks.two_stage import TwoStageDetector
from ..models.registry import Task, model_type
from .two_stage import SecondStage

USUAL_SIDE = 256  # pixels, for networks that say nothing of chips

Answer = Union[Tensor, dict[str, Tensor]]


class Exportable(nn.Module):
    """A network whose answer needs no decoding but the choice of the most probable.

    Attributes:
        side: of the images that it is best asked with, in pixels.
        bands: of the images; of both dates where there are two.
        several: whether an object may have several classes.
        second: what follows the maps in a detector of two stages, which decides by itself which
            boxes are one object; rounding may change their order.

    Input are normalised images ``(b, c, h, w)``. Output are for pixels the probabilities
    ``(b, n + 1, h, w)`` with the background first; for objects ``(b, n)``, each class by itself
    where an object may have several; for detectors ``(b, 4 + n, k)``: centre x, centre y, width
    and height in pixels, then the probability of each class, for k boxes. The last form is the
    one of Ultralytics' YOLO, which others read. Networks that outline give by their names, the
    best first, ``boxes`` ``(b, n, 4)`` as corners in pixels, ``scores`` and ``labels``
    ``(b, n)``, these being the values of the classes, and ``masks`` ``(b, n, s, s)``:
    probabilities on a grid that is stretched over each box. What fills a list up has the score 0.

    Raises:
        ModelError: when a network cannot be put into this form.
    """

    def __init__(self, network: nn.Module, model: Model) -> None:
        super().__init__()
        self.network = network
        self.task = model_type(model.spec.model_type).task
        self.values = list(model.schema.values)
        self.side = side_of(network, model)
        self.several = model.several_labels
        self.dates = 2 if self.task is Task.CHANGE else 1
        self.bands = model.spec.band_count * self.dates
        self.scale = float(getattr(network, "scale", 1.0)) if hasattr(network, "resize_to") else 1.0
        self.second = self._second_stage(model)
        if hasattr(network, "make_portable"):  # one that scales its images
            network.make_portable()
        self.eval()

    def _second_stage(self, model: Model) -> SecondStage | None:
        """Return what a detector of two stages does with its maps; none for other networks."""
        resized = hasattr(self.network, "resize_to")
        inner = self.network.network if resized else self.network
        if isinstance(inner, TwoStageDetector):
            side = self.network.resize_to if resized else self.side
            return SecondStage(inner.eval(), self.bands, side)
        simple = self.task in (Task.PIXELS, Task.OBJECTS, Task.CHANGE)
        if not simple and not (self.task is Task.DETECTION and hasattr(inner, "candidates")):
            raise ModelError(
                f"'{model.name}' is a {model.spec.model_type}, whose answer has no fixed form that "
                "other programs read. Convert a model of another type."
            )
        return None

    def forward(self, images: Tensor) -> Answer:
        """Return the probabilities of ``images`` ``(b, c, h, w)``, and boxes with them."""
        answer = self.network(images)
        if self.second is not None:
            return self._detected(*self.second(answer))
        if self.task is not Task.DETECTION:
            return answer.sigmoid() if self.several else answer.softmax(1)
        boxes, chances = self.network.candidates(answer)
        boxes = box_convert(boxes, "xyxy", "cxcywh")
        return torch.cat([boxes, chances], -1).transpose(1, 2)

    def _detected(
        self, boxes: Tensor, scores: Tensor, labels: Tensor, masks: Tensor | None = None
    ) -> Answer:
        boxes = boxes / self.scale
        if masks is not None:
            values = sum((labels == index) * value for index, value in enumerate(self.values))
            return {"boxes": boxes, "scores": scores, "labels": values, "masks": masks}
        # Every box is of one class; the others have no chance.
        chances = functional.one_hot(labels, len(self.values)) * scores[..., None]
        return torch.cat([box_convert(boxes, "xyxy", "cxcywh"), chances], -1).transpose(1, 2)

    @property
    def outputs(self) -> list[str]:
        """The names of what is answered."""
        instances = self.task is Task.INSTANCES
        return ["boxes", "scores", "labels", "masks"] if instances else ["probabilities"]

    @property
    def any_size(self) -> bool:
        """Whether images of other sizes than :attr:`side` may be taken."""
        fixed = getattr(self.network, "fixed_tile", None) is not None or self.second is not None
        return not fixed and not any(map(_divides_images, self.network.modules()))


def _divides_images(module: nn.Module) -> bool:
    """Return whether a module divides an image of any size into cells or windows.

    Where cells begin and end, the exporters write down for the size of their example. Windows of
    transformers, for which images are filled up, they ponder for hours unless the size is known.
    """
    cells = isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size not in (1, (1, 1))
    return cells or hasattr(module, "window_size")


def side_of(network: nn.Module, model: Model) -> int:
    """Return the side of the images that a network is best asked with, in pixels."""
    fixed = getattr(network, "fixed_tile", None)
    if fixed:
        return int(fixed)
    step = int(getattr(network, "tile_step", 32))
    return math.ceil((model.chip_size or USUAL_SIDE) / step) * step


def trial_images(bands: int, shapes: Sequence[tuple[int, int, int]]) -> list[Tensor]:
    """Return batches of images on which two forms of a network are compared.

    Args:
        bands: of the images.
        shapes: of each batch, as count, rows and columns.
    """
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(count, bands, rows, cols, generator=generator) for count, rows, cols in shapes
    ]
