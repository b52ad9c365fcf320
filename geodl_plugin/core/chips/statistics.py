"""Statistics of chips, gathered while they are written, in the words of ArcGIS."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..samples.schema import Schema

SQUARES = {np.dtype(np.uint8): np.uint16, np.dtype(np.uint16): np.uint32}  # hold the squares


@dataclass
class BandStatistics:
    """Minimum, maximum, mean and standard deviation of bands, mergeable.

    The variance runs as in Chan, Golub and LeVeque 1983, "Algorithms for computing the
    sample variance". Arrays have one number a band.
    """

    count: int = 0
    minimum: np.ndarray = field(default_factory=lambda: np.array(np.inf))
    maximum: np.ndarray = field(default_factory=lambda: np.array(-np.inf))
    mean: np.ndarray = field(default_factory=lambda: np.array(0.0))
    squares: np.ndarray = field(default_factory=lambda: np.array(0.0))

    @classmethod
    def of(cls, pixels: np.ndarray) -> BandStatistics:
        """Return the statistics of pixels ``(bands, n)``."""
        if not pixels.shape[1]:
            return cls()
        if pixels.dtype in SQUARES:
            return cls._of_integers(pixels)
        values = pixels.astype(np.float64)
        mean = values.mean(axis=1)
        squares = ((values - mean[:, np.newaxis]) ** 2).sum(axis=1)
        return cls(values.shape[1], values.min(axis=1), values.max(axis=1), mean, squares)

    @classmethod
    def _of_integers(cls, pixels: np.ndarray) -> BandStatistics:
        """Return the statistics of small integers, whose sums of squares are exact."""
        number = pixels.shape[1]
        squares = np.multiply(pixels, pixels, dtype=SQUARES[pixels.dtype])
        # Half the width is twice the speed, where the sums fit.
        wide = np.uint32 if number * np.iinfo(pixels.dtype).max ** 2 < 1 << 32 else np.uint64
        sums = pixels.sum(axis=1, dtype=wide).tolist()
        sums_of_squares = squares.sum(axis=1, dtype=wide).tolist()
        return cls(
            number,
            pixels.min(axis=1).astype(float),
            pixels.max(axis=1).astype(float),
            np.array([each / number for each in sums]),
            np.array([(number * s - t * t) / number for s, t in zip(sums_of_squares, sums)]),
        )

    def update(self, pixels: np.ndarray) -> None:
        """Add pixels ``(bands, n)``."""
        self.merge(BandStatistics.of(pixels))

    def merge(self, other: BandStatistics) -> None:
        """Add what another one has seen."""
        if not other.count:
            return
        total = self.count + other.count
        delta = other.mean - self.mean
        self.squares = self.squares + other.squares + delta**2 * self.count * other.count / total
        self.mean = self.mean + delta * other.count / total
        self.minimum = np.minimum(self.minimum, other.minimum)
        self.maximum = np.maximum(self.maximum, other.maximum)
        self.count = total

    @property
    def deviation(self) -> np.ndarray:
        """The standard deviation of each band."""
        return np.sqrt(self.squares / max(self.count, 1))

    def of_bands(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return the entries of ``AllTilesStats``."""
        if not self.count:
            return []
        return [
            {
                "BandName": name,
                "Min": float(self.minimum[index]),
                "Max": float(self.maximum[index]),
                "Mean": float(self.mean[index]),
                "StdDev": float(self.deviation[index]),
            }
            for index, name in enumerate(names)
        ]

    def states(self) -> list[dict[str, Any]]:
        """Return the entries of ``BandStatsState``: mean = M1, deviation = sqrt(M2 / Num)."""
        return [
            {
                "Min": float(self.minimum[index]),
                "Max": float(self.maximum[index]),
                "M1": float(self.mean[index]),
                "M2": float(self.squares[index]),
                "Num": self.count,
            }
            for index in range(self.mean.size if self.count else 0)
        ]


@dataclass
class Tally:
    """Minimum, maximum and sum of what is counted."""

    count: int = 0
    total: float = 0.0
    least: float = float("inf")
    most: float = float("-inf")

    def add(self, value: float) -> None:
        """Count a value."""
        self.count += 1
        self.total += value
        self.least = min(self.least, value)
        self.most = max(self.most, value)

    @property
    def mean(self) -> float:
        """The mean, 0 when nothing was counted."""
        return self.total / self.count if self.count else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the tally as ArcGIS writes it."""
        empty = not self.count
        return {
            "Min": 0 if empty else self.least,
            "Max": 0 if empty else self.most,
            "Mean": self.mean,
            "Sum": self.total,
            "Count": self.count,
        }


class ChipStatistics:
    """What an export has written so far.

    Args:
        schema: the classes.
        by_pixel: sizes are pixels (masks), not areas of features.
    """

    def __init__(self, schema: Schema, by_pixel: bool) -> None:
        self.schema = schema
        self.by_pixel = by_pixel
        self.chips = 0
        self.bands = BandStatistics()
        self.per_chip = Tally()
        self.sizes = {each.value: Tally() for each in schema.classes}
        self.chips_of_class = dict.fromkeys(schema.values, 0)

    def add(self, bands: BandStatistics, sizes: Mapping[int, Sequence[float]]) -> None:
        """Count a chip.

        Args:
            bands: of its valid pixels.
            sizes: for each class in it the areas of its features, or its number of pixels.
        """
        self.chips += 1
        self.bands.merge(bands)
        present = {value: list(entries) for value, entries in sizes.items() if len(entries)}
        self.per_chip.add(
            len(present) if self.by_pixel else sum(len(each) for each in present.values())
        )
        for value, entries in present.items():
            self.chips_of_class[value] += 1
            for size in entries:
                self.sizes[value].add(size)

    def with_bands(self, bands: BandStatistics) -> ChipStatistics:
        """Return the same chips with other bands, those of their second images."""
        other = copy.copy(self)
        other.bands = bands
        return other

    @property
    def features(self) -> int:
        """How many features were written, once for every chip they are on."""
        return sum(tally.count for tally in self.sizes.values())

    @property
    def pixels(self) -> int:
        """How many pixels have a class."""
        return round(sum(tally.total for tally in self.sizes.values()))

    def as_json(self, keyword: str, bands: int, width: int, height: int) -> dict[str, Any]:
        """Return the contents of ``esri_accumulated_stats.json``."""
        classes = self.schema.classes
        of_pixels = self.by_pixel
        values = {
            "NumClasses": len(classes),
            "NumImagesTotal": self.chips,
            "NumImagesPerClass": [self.chips_of_class[each.value] for each in classes],
        }
        tallies = [self.sizes[each.value] for each in classes]
        if of_pixels:
            values |= {
                "NumPixelsPerClass": [int(tally.total) for tally in tallies],
                "NumClassesPerImage": self.per_chip.as_json(),
                "PixelsPerClass": [tally.as_json() for tally in tallies],
            }
        else:
            values |= {
                "NumFeaturesTotal": self.features,
                "NumFeaturesPerClass": [tally.count for tally in tallies],
                "NumFeaturesPerImage": self.per_chip.as_json(),
                "FeatureAreaPerClass": [tally.as_json() for tally in tallies],
            }
        return {
            "Version": 1,
            "NumBands": bands,
            "TileSizeX": width,
            "TileSizeY": height,
            "NumClasses": len(classes),
            "NumTiles": self.chips,
            "OutputFeatures": not of_pixels,
            "MetaDataMode": keyword,
            "Classes": [{"ClassValue": each.value, "ClassName": each.name} for each in classes],
            "ClassPixelStats" if of_pixels else "FeatureStats": values,
            "BandStatsState": self.bands.states(),
        }

    def as_text(self, bands: int, width: int, height: int) -> str:
        """Return the contents of ``stats.txt``."""
        what = "pixels" if self.by_pixel else "features"
        per_chip = "classes" if self.by_pixel else "features"
        chip = self.per_chip
        lines = [
            f"images = {self.chips} *{bands}*{height}*{width}",
            f"{what} = {self.pixels if self.by_pixel else self.features}",
            f"{per_chip} per image = [min = {chip.least:g}, mean = {chip.mean:.2f}, "
            f"max = {chip.most:g}]",
            f"classes = {len(self.schema)}",
            f"{'cls name':<20}{'cls value':>13}{'images':>11}{what:>11}"
            f"{'min size':>12}{'mean size':>12}{'max size':>12}",
        ]
        for each in self.schema.classes:
            tally = self.sizes[each.value]
            least, most = (tally.least, tally.most) if tally.count else (0.0, 0.0)
            amount = round(tally.total) if self.by_pixel else tally.count
            lines.append(
                f"{each.name:<20}{each.value:>13}{self.chips_of_class[each.value]:>11}{amount:>11}"
                f"{least:>12.2f}{tally.mean:>12.2f}{most:>12.2f}"
            )
        return "\n".join(lines) + "\n"


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write JSON as people read it."""
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False), encoding="utf-8")
