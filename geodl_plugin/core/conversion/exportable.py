"""Networks as other programs take them: one input, one output, probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.ops import box_convert

from ..errors import ModelError
from ..inference.model import Model
from ..models.registry import Task, model_type

USUAL_SIDE = 256  # pixels, for networks that say nothing of chips


class Exportable(nn.Module):
    """A network whose answer needs no decoding but the choice of the most probable.

    Attributes:
        side: of the images that it is best asked with, in pixels.
        bands: of the images; of both dates where there are two.
        several: whether an object may have several classes.

    Input are normalised images ``(b, c, h, w)``. Output are for pixels the probabilities
    ``(b, n + 1, h, w)`` with the background first; for objects ``(b, n)``, each class by itself
    where an object may have several; for detectors ``(b, 4 + n, k)``: centre x, centre y, width
    and height in pixels, then the probability of each class, for k boxes. The last form is the
    one of Ultralytics' YOLO, which others read.

    Raises:
        ModelError: when a network cannot be put into this form.
    """

    def __init__(self, network: nn.Module, model: Model) -> None:
        super().__init__()
        self.network = network
        self.task = model_type(model.spec.model_type).task
        simple = self.task in (Task.PIXELS, Task.OBJECTS, Task.CHANGE)
        inner = getattr(network, "network", None) if hasattr(network, "resize_to") else network
        if not simple and not (self.task is Task.DETECTION and hasattr(inner, "candidates")):
            raise ModelError(
                f"'{model.name}' is a {model.spec.model_type}, whose answer has no fixed form that "
                "other programs read. Convert SSD, RETINANET or FCOS, or a model that classifies "
                "pixels or objects."
            )
        self.side = side_of(network, model)
        self.several = model.several_labels
        self.dates = 2 if self.task is Task.CHANGE else 1
        self.bands = model.spec.band_count * self.dates
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Return the probabilities of ``images`` ``(b, c, h, w)``, and boxes with them."""
        answer = self.network(images)
        if self.task is not Task.DETECTION:
            return answer.sigmoid() if self.several else answer.softmax(1)
        boxes, chances = self.network.candidates(answer)
        boxes = box_convert(boxes, "xyxy", "cxcywh")
        return torch.cat([boxes, chances], -1).transpose(1, 2)

    @property
    def any_size(self) -> bool:
        """Whether images of other sizes than :attr:`side` may be taken."""
        return getattr(self.network, "fixed_tile", None) is None


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
