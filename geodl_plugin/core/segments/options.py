"""What a segment is asked for with."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError

SMALLEST = 6  # pixels: the disc in the middle is still a pixel, and the ring outside it
LARGEST = 480  # pixels: a window of 500², a quarter of a second
DEFAULT = 64


@dataclass(frozen=True)
class SegmentOptions:
    """Where a segment is looked for.

    Attributes:
        raster: the image, as GDAL opens it.
        x, y: a place inside the segment, in the raster's map coordinates.
        reach: diameter of the circle around that place which holds all of the segment,
            in pixels.
    """

    raster: str
    x: float
    y: float
    reach: int = DEFAULT

    def __post_init__(self) -> None:
        if not SMALLEST <= self.reach <= LARGEST:
            raise InputError(
                f"The circle around the object is {self.reach} pixels wide. "
                f"Choose {SMALLEST} to {LARGEST}."
            )
