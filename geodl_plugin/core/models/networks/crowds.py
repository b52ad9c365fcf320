"""How many objects an image may show: wide tiles show more than chips. Needs no torch."""

from __future__ import annotations

import math

SIDE = 512  # pixels, of the largest image for which counts hold as they are told


def of_image(count: int, image_size: tuple[int, int]) -> int:
    """Return a limit on the objects of an image that is told for one of 512 × 512 or less.

    Args:
        count: what is told.
        image_size: height and width of the image; its area counts.
    """
    return math.ceil(count * max(1.0, image_size[0] * image_size[1] / SIDE**2))
