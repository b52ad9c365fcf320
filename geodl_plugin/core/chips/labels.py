"""What a chip can be labelled with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

import numpy as np


@dataclass(frozen=True)
class BoxLabel:
    """Boxes of objects.

    Attributes:
        boxes: ``(n, 4)`` float, ``(xmin, ymin, xmax, ymax)`` in pixels from the top left.
        values: ``(n,)`` integer class values.
    """

    boxes: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class MaskLabel:
    """A class value for every pixel: ``(rows, cols)``, 0 = background or not labelled."""

    values: np.ndarray


@dataclass(frozen=True)
class ClassLabel:
    """The class values of the chip as a whole."""

    values: tuple[int, ...]


Label = Union[BoxLabel, MaskLabel, ClassLabel]
