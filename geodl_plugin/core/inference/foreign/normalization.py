"""How values are normalised for a network of another maker; needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ...errors import InputError, ModelError
from ...models.registry import Task
from ...packages.definition import CaselessDict, ModelDefinition
from ...packages.networks.metadata import BYTE, is_number
from .lists import numbers

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Values = tuple[float, ...]


class Described(Protocol):
    """What is known of a network.

    Attributes:
        name: of the model.
        definition: of the model.
        told: its keys, whatever their case.
        facts: what only networks of others need.
        given: the user's arguments.
        task: what it answers.
    """

    name: str
    definition: ModelDefinition
    told: CaselessDict
    facts: dict[str, Any]
    given: dict[str, str]
    task: Task


def normalization(told: Described, count: int) -> tuple[Values, Values, str]:
    """Return mean and standard deviation in the raster's units, and what was assumed."""
    facts, given = told.facts, told.given
    if any(name in given for name in ("scale", "mean", "std")):
        (scale,) = numbers("scale", given.get("scale", str(facts.get("scale", BYTE))), 1)
        mean = numbers("mean", given.get("mean", "0"), count)
        std = numbers("std", given.get("std", "1"), count)
        if not scale or not all(std):
            raise InputError("scale and std in the arguments divide: none of them may be 0.")
        return tuple(scale * each for each in mean), tuple(scale * each for each in std), ""
    own = told.definition.geodl.get("normalization")
    if isinstance(own, dict):
        mean, std = own.get("mean", ()), own.get("std", ())
        if len(mean) == len(std) == count:
            return tuple(map(float, mean)), tuple(map(float, std)), ""
    if facts.get("raw"):
        return (0.0,) * count, (1.0,) * count, ""
    if "scale" in facts:
        return _scaled(told, float(facts["scale"]), count)
    stats = told.told.get("NormalizationStats")
    if isinstance(stats, dict):
        return (*_of_stats(CaselessDict(stats), count, told.name), "")
    if isinstance(told.told.get("DataRange"), list):  # in templates it is a text, an example
        return _of_range(told, count)
    return _assumed(told, count)


def _scaled(told: Described, scale: float, count: int) -> tuple[Values, Values, str]:
    repeats = 2 if told.task is Task.CHANGE else 1
    found = []
    for name, usual in (("mean", 0.0), ("std", 1.0)):
        listed = [float(each) for each in told.facts.get(name) or [usual]]
        if len(listed) == count * repeats:  # two dates have the same
            listed = listed[:count]
        if len(listed) == 1:
            listed *= count
        if len(listed) != count or (name == "std" and not all(listed)):
            raise ModelError(
                f"'{told.name}' takes {count} bands but gives {len(listed)} usable numbers for "
                f"the {name} of their values. Add {name}=… to the arguments."
            )
        found.append(tuple(scale * each for each in listed))
    return found[0], found[1], ""


def _of_range(told: Described, count: int) -> tuple[Values, Values, str]:
    """Return mean and deviation that bring bytes to the range of values that a network takes."""
    wanted = told.told["DataRange"]
    if len(wanted) != 2 or not all(map(is_number, wanted)) or wanted[0] >= wanted[1]:
        raise ModelError(
            f"'{told.name}' has the DataRange {wanted}. It must be two numbers, the smaller one "
            "first."
        )
    low, high = wanted
    step = BYTE / (high - low)
    text = f"'{told.name}' takes values of {low:g} to {high:g}: pixels of 0 to 255 become these."
    text += " Of other pixels add scale=…;mean=…;std=… to the arguments."
    return (-low * step,) * count, (step,) * count, "" if (low, high) == (0, BYTE) else text


def _assumed(told: Described, count: int) -> tuple[Values, Values, str]:
    framework = str(told.told.get("Framework") or "").lower()
    way_out = "Else add scale=…;mean=…;std=… to the arguments."
    if framework in ("tensorflow", "tensorflowlite"):
        return (0.0,) * count, (1.0,) * count, ""
    if framework == "pytorch" and "program" not in told.facts and count == len(IMAGENET_MEAN):
        sentence = "they are taken for RGB of 0 to 255, with the mean and deviation of ImageNet"
        mean = tuple(BYTE * each for each in IMAGENET_MEAN)
        std = tuple(BYTE * each for each in IMAGENET_STD)
    else:
        sentence = "they are divided by 255"
        mean, std = (0.0,) * count, (BYTE,) * count
    text = f"'{told.name}' does not say how values are to be normalised: {sentence}. {way_out}"
    return mean, std, text


def _of_stats(stats: Mapping[str, Any], count: int, name: str) -> tuple[Values, Values]:
    """Return mean and deviation of arcgis.learn's statistics, in the raster's units.

    It computes (x − min) / (max − min), then takes off the scaled mean and divides by the
    scaled deviation.
    """
    keys = ("band_min_values", "band_max_values", "scaled_mean_values", "scaled_std_values")
    try:
        low, high, mean, std = ([float(each) for each in stats[key]] for key in keys)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"'{name}' has NormalizationStats without {', '.join(keys)}. Get the model again."
        ) from error
    if not len(low) == len(high) == len(mean) == len(std) == count:
        raise ModelError(
            f"'{name}' has NormalizationStats of {len(low)} bands but takes {count}. "
            "Get the model again."
        )
    spans = [(b - a) or 1.0 for a, b in zip(low, high)]
    return (
        tuple(a + m * s for a, m, s in zip(low, mean, spans)),
        tuple((d or 1.0) * s for d, s in zip(std, spans)),
    )
