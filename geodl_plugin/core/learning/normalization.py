"""Normalisation of bands by the mean and spread of the training chips."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..chips.statistics import BandStatistics


@dataclass(frozen=True)
class Normalization:
    """Per band: ``(x − mean) / std`` in native units; invalid pixels become 0.

    Attributes:
        mean, std: one number a band.
        minimum, maximum: what the training chips hold, for information.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    minimum: tuple[float, ...] = ()
    maximum: tuple[float, ...] = ()

    def apply(self, pixels: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Return float32 ``(bands, rows, cols)`` of pixels ``(bands, rows, cols)``.

        Several dates may follow each other in the bands: all are normalised alike.
        """
        dates = len(pixels) // max(len(self.mean), 1)
        mean = np.tile(np.asarray(self.mean, np.float32), dates)[:, None, None]
        scale = 1 / np.tile(np.asarray(self.std, np.float32), dates)[:, None, None]
        result = np.subtract(pixels, mean, dtype=np.float32)
        result *= scale
        if not valid.all():
            # Not by multiplication: what is invalid may be NaN.
            result[:, ~valid] = 0.0
        return result

    def as_json(self) -> dict[str, Any]:
        """Return what a model definition keeps."""
        return {
            "mean": list(self.mean),
            "std": list(self.std),
            "min": list(self.minimum),
            "max": list(self.maximum),
        }


def measure(blocks: Iterable[tuple[np.ndarray, np.ndarray]]) -> Normalization:
    """Return the normalisation of images given as pixels and where they are valid.

    A band without any variation, or images without any valid pixel, get a spread of 1.
    """
    seen = BandStatistics()
    bands = 0
    for pixels, valid in blocks:
        bands = len(pixels)
        seen.update(pixels[:, valid])
    if not seen.count:
        return Normalization((0.0,) * bands, (1.0,) * bands)
    # Not by the deviation: rounding gives one to a band of a single real number, too.
    varies = (seen.maximum > seen.minimum) & (seen.deviation > 0)
    deviation = np.where(varies, seen.deviation, 1.0)
    return Normalization(
        tuple(seen.mean.tolist()),
        tuple(deviation.tolist()),
        tuple(seen.minimum.tolist()),
        tuple(seen.maximum.tolist()),
    )
