"""Areas and accuracies of a map, estimated from sample points, with confidence intervals.

P. Olofsson et al., Good practices for estimating area and assessing accuracy of land change,
Remote Sensing of Environment 148, 2014: the classes of the map are strata, the points a
random sample of each. Numbers of equations are those of the paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .confusion import Confusion

Z95 = 1.959963984540054  # standard errors on either side of a 95 % confidence interval


@dataclass(frozen=True)
class Estimate:
    """Estimates, each with its standard error.

    Attributes:
        names: of the classes that the points tell.
        overall, overall_error: overall accuracy.
        users, users_error: user's accuracies ``(n,)``; NaN for a class that the map lacks.
        producers, producers_error: producer's accuracies ``(n,)``.
        shares, shares_error: shares ``(n,)`` of the whole area.
        mapped: shares ``(n,)`` that the map gives the classes.
        area: of the whole, in ``unit``.
        unit: of areas.
    """

    names: tuple[str, ...]
    overall: float
    overall_error: float
    users: np.ndarray
    users_error: np.ndarray
    producers: np.ndarray
    producers_error: np.ndarray
    shares: np.ndarray
    shares_error: np.ndarray
    mapped: np.ndarray
    area: float
    unit: str


def thin_classes(confusion: Confusion, areas: Mapping[int, float]) -> list[int]:
    """Return the values of the map's classes that have fewer than the two points needed."""
    points = dict(zip(confusion.values, confusion.results.tolist()))
    return sorted(value for value, area in areas.items() if area > 0 and points.get(value, 0) < 2)


def estimate(confusion: Confusion, areas: Mapping[int, float], unit: str) -> Estimate:
    """Return what sample points say about the area of a map.

    Args:
        confusion: of the points; rows are the classes of the map.
        areas: of the map's classes by value, in ``unit``. Each with an area needs two points.
        unit: of the areas.
    """
    area = float(sum(areas.values()))
    weights = np.array([areas.get(value, 0.0) for value in confusion.values]) / area
    counts = confusion.counts.astype(float)
    points = counts.sum(axis=1, keepdims=True)
    sampled = weights > 0
    within = np.divide(counts, points, out=np.zeros_like(counts), where=points > 0)
    spread = np.divide(  # variance of each share of a stratum
        within * (1 - within), points - 1, out=np.zeros_like(counts), where=points > 1
    )
    shares = weights @ within  # equation 9
    shares_error = np.sqrt(weights**2 @ spread)  # equation 10
    right, right_spread = np.diag(within), np.diag(spread)
    users = np.where(sampled, right, np.nan)
    users_error = np.where(sampled, np.sqrt(right_spread), np.nan)  # equation 6
    producers = _ratio(weights * right, shares)  # equation 3
    others = spread.copy()
    np.fill_diagonal(others, 0.0)
    producers_variance = _ratio(  # equation 7, divided by the square of the whole area
        weights**2 * (1 - producers) ** 2 * right_spread + producers**2 * (weights**2 @ others),
        shares**2,
    )
    return Estimate(
        names=confusion.names,
        overall=float(weights @ right),  # equation 1
        overall_error=float(np.sqrt(weights**2 @ right_spread)),  # equation 5
        users=users,
        users_error=users_error,
        producers=producers,
        producers_error=np.sqrt(producers_variance),
        shares=shares,
        shares_error=shares_error,
        mapped=weights,
        area=area,
        unit=unit,
    )


def _ratio(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    return np.divide(parts, wholes, out=np.full(len(parts), np.nan), where=wholes > 0)
