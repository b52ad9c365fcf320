"""How chips of a training are shown: which bands, how bright, two dates side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..chips.contact_sheet import side_by_side
from ..chips.labels import Label
from ..geo.picture import Limits, shown_bands, stretch_limits
from ..geo.raster import Block

if TYPE_CHECKING:
    from ..chips.folder import ChipFolder
    from .examination import Example

_SAMPLE = 4096  # pixels of a chip that count for the stretch


@dataclass(frozen=True)
class Looks:
    """What all chips of a report share, so that they can be compared.

    Attributes:
        bands: those that are shown.
        band_count: of one date.
        limits: what becomes black and white.
    """

    bands: tuple[int, ...]
    band_count: int
    limits: Limits

    @classmethod
    def at(cls, folder: ChipFolder, taken: Sequence[int], examples: Sequence[Example]) -> Looks:
        """Return how the chips of a folder are shown, stretched by these examples.

        Args:
            folder: of the chips.
            taken: positions of the bands that the network takes, and the examples have.
            examples: of all kinds.
        """
        names = folder.band_names or ("",) * folder.band_count
        bands = shown_bands([names[band] for band in taken])
        samples = []
        for each in examples:
            pixels = each.pixels[list(bands)].reshape(len(bands), -1)
            samples.append(pixels[:, :: max(pixels.shape[1] // _SAMPLE, 1)])
        return cls(bands, len(taken), stretch_limits(samples, folder.dtype))

    def of(self, example: Example, label: Label) -> tuple[np.ndarray, Label]:
        """Return the shown pixels ``(1 or 3, rows, cols)`` of a chip, and its label on them."""
        block = Block(example.pixels, np.ones(example.pixels.shape[1:], bool))
        if len(block.pixels) == 2 * self.band_count:
            block, label = side_by_side(block, label)
        return block.pixels[list(self.bands)], label
