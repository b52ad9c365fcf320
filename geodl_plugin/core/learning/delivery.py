"""What a training leaves behind: the package and the report, whole or not at all."""

from __future__ import annotations

import contextlib
import datetime
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from ..errors import InputError
from ..leftovers import remove_leftovers
from ..models.registry import Task
from ..packages.archive import write_package
from ..packages.cell_size import METRES
from ..packages.definition import ModelDefinition, class_to_json
from ..progress import Phase, Progress
from ..replacing import replace
from .examination import all_examples, examine
from .hardware import choose_hardware
from .metrics import Scores
from .options import TrainingOptions
from .preparation import Preparation
from .rates import RateCurve
from .views import Looks

REPORT = "model_metrics.html"
FORMAT_VERSION = 1
EXAMINED = (0.98, 0.995)  # share of the whole task: the last look at the validation chips
_COPIED = (
    "MetaDataMode",
    "ImageSpaceUsed",
    "InputRastersProps",
    "AllTilesStats",
    "AllTilesStats2",
    "MinCellSize",
    "MaxCellSize",
    "CropTileMode",
    "BlackenAroundFeature",
    "WellKnownBandNames",
    "SensorName",
)


@dataclass(frozen=True)
class Outcome:
    """All that is known when a training has ended.

    A step learns from ``batch_size`` chips, computed in ``parts``.
    """

    options: TrainingOptions
    preparation: Preparation
    network: nn.Module
    records: list[dict[str, Any]]
    best_epoch: int
    scores: Scores
    score_name: str
    rates: tuple[float, float]
    curve: RateCurve | None
    batch_size: int
    parts: int
    hardware: str
    seconds: float

    @property
    def best_score(self) -> float:
        """The monitored score, or the task's own, at the epoch that was kept."""
        return float(self.scores.values[self.score_name])


def deliver(outcome: Outcome, progress: Progress) -> dict[str, Any]:
    """Write the package and the report into the output folder and return the tool's results.

    Both are made beside their places first, then renamed.

    Raises:
        InputError: when the folder cannot be written.
    """
    from .pictures import CHARACTERISTICS, draw_all
    from .report import make_report

    path = outcome.options.package
    folder, name = path.parent, path.stem
    phase = Phase(progress, "Examining the model", 1, "chips", *EXAMINED)
    hardware = choose_hardware(outcome.options.device, outcome.options.precision)
    fitting = outcome.batch_size // outcome.parts
    examination = examine(outcome.network, outcome.preparation, hardware, phase, fitting)
    chips = outcome.preparation
    looks = Looks.at(chips.folder, chips.bands, all_examples(examination))
    pictures = draw_all(outcome, examination, looks)
    report = make_report(outcome, examination, looks, pictures)
    weights = save(_plain_weights(outcome.network))
    definition = ModelDefinition(describe(outcome, f"{name}.safetensors"), name)
    partial = folder / f".{REPORT}.part-{os.getpid()}"
    progress.check()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder / REPORT)
        partial.write_text(report, encoding="utf-8")
        files: dict[str, Path | bytes] = {
            f"{name}.safetensors": weights,
            REPORT: report.encode("utf-8"),
            **{f"{CHARACTERISTICS}/{each}": content for each, content in pictures.items()},
        }
        package = write_package(path, definition, files)
        replace(partial, folder / REPORT)
    except OSError as error:
        raise InputError(f"The folder '{folder}' cannot be written: {error}.") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    return {
        "model": str(package),
        "report": str(folder / REPORT),
        "epochs": len(outcome.records),
        "best_score": outcome.best_score,
    }


def _plain_weights(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.contiguous() for name, value in network.state_dict().items()}


def describe(outcome: Outcome, weights_name: str) -> dict[str, Any]:
    """Return the model definition as JSON values."""
    preparation = outcome.preparation
    folder, spec = preparation.folder, preparation.spec
    definition: dict[str, Any] = {
        "Framework": "PyTorch",
        "ModelConfiguration": spec.model_type,
        "ModelFile": weights_name,
        "ModelType": preparation.kind.task.value,
        "ModelName": Path(weights_name).stem,
        "Description": preparation.kind.description,
        "ImageHeight": spec.chip_size,
        "ImageWidth": spec.chip_size,
        "ExtractBands": list(preparation.bands),
        "Classes": [class_to_json(each) for each in preparation.schema.classes],
        "ModelParameters": {"backbone": spec.backbone},
        "SupportsVariableTileSize": outcome.network.fixed_tile is None,
        "LearningRate": outcome.rates[1],
        "DoNormalize": True,
        "NormalizationStats": _normalization_stats(preparation),
        "IsMultispectral": spec.band_count != 3,
    }
    for name in _COPIED:
        if name in folder.definition:
            definition[name] = folder.definition[name]
    rasters = folder.definition.get("InputRastersProps")
    if isinstance(rasters, dict) and "RasterCount" in rasters:
        definition["RasterCount"] = rasters["RasterCount"]
    if preparation.kind.task is Task.OBJECTS:
        definition["CropSizeFixed"] = int(not preparation.own_sizes)
    if spec.resize_to:
        definition["resize_to"] = spec.resize_to
    definition.update(_scores(outcome))
    if spec.model_type in ("SSD", "RETINANET"):
        for name in ("grids", "zooms", "scales", "ratios"):
            if name in spec.arguments:
                definition[name.capitalize()] = spec.arguments[name]
    definition["GeoDL"] = _own(outcome)
    return _finite(definition)


def _scores(outcome: Outcome) -> dict[str, Any]:
    values = outcome.scores.values
    scores: dict[str, Any] = {}
    if outcome.preparation.kind.task.finds_objects:
        scores["average_precision_score"] = {
            row["class"]: row["average_precision"] for row in outcome.scores.classes
        }
    else:
        scores["accuracy"] = values["accuracy"]
        scores["per_class_metrics"] = outcome.scores.classes
    return scores


def _normalization_stats(preparation: Preparation) -> dict[str, list[float]]:
    """Return our mean and spread in the terms of formats.md: to 0–1 first, then to mean 0."""
    own = preparation.normalization
    low = own.minimum or own.mean
    high = own.maximum or own.mean
    span = [top - bottom if top > bottom else 1.0 for top, bottom in zip(high, low)]
    return {
        "band_min_values": list(low),
        "band_max_values": [bottom + width for bottom, width in zip(low, span)],
        "band_mean_values": list(own.mean),
        "band_std_values": list(own.std),
        "scaled_min_values": [0.0] * len(span),
        "scaled_max_values": [1.0] * len(span),
        "scaled_mean_values": [
            (mean - bottom) / width for mean, bottom, width in zip(own.mean, low, span)
        ],
        "scaled_std_values": [std / width for std, width in zip(own.std, span)],
    }


def _own(outcome: Outcome) -> dict[str, Any]:
    """Return what GeoDL needs to rebuild the network exactly, and how it came about."""
    preparation, options = outcome.preparation, outcome.options
    folder, spec, split = preparation.folder, preparation.spec, preparation.split
    mode = str(folder.definition.get("CropTileMode") or "Fixed_Size")
    # A model of very different sizes knows them all: none is the one to resample to.
    one = folder.has_one_scale()
    return {
        "version": FORMAT_VERSION,
        "architecture": spec.model_type,
        "backbone": spec.backbone,
        "arguments": spec.arguments,
        "band_count": spec.band_count,
        "image_bands": folder.band_count,
        "band_names": list(folder.band_names),
        "class_count": spec.class_count,
        "chip_size": spec.chip_size,
        "resize_to": spec.resize_to,
        "tile_step": outcome.network.tile_step,
        "normalization": preparation.normalization.as_json(),
        "dtype": folder.dtype,
        "cell_size": list(folder.cell_size()) if one else [],
        METRES: folder.cell_metres() if one else None,
        "crs": folder.crs(),
        "crop": {
            "mode": "Variable_Size" if preparation.own_sizes else mode,
            "blacken": bool(folder.definition.get("BlackenAroundFeature") or False),
        },
        "several_labels": preparation.several_labels,
        "background": preparation.store.background,
        "seed": options.seed,
        "training": {
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "data": folder.path.name,
            "chips": {
                "training": len(split.training),
                "validation": len(split.validation),
                "left_out": len(split.dropped),
                "unseen": split.unseen,
            },
            "weights": spec.weights if spec.weights in ("none", "imagenet") else "file",
            "pretrained_model": preparation.pretrained.name if preparation.pretrained else "",
            "epochs": len(outcome.records),
            "best_epoch": outcome.best_epoch,
            "batch_size": outcome.batch_size,
            "learning_rates": list(outcome.rates),
            "loss": options.loss,
            "class_weights": list(preparation.class_weights or ()),
            "ignore_classes": options.ignore_classes,
            "monitor": options.monitor,
            "augmentation": options.augmentation,
            "augmentation_parameters": options.augmentation_parameters,
            "hardware": outcome.hardware,
            "seconds": round(outcome.seconds, 1),
            "records": outcome.records,
        },
        "metrics": {**outcome.scores.values, "classes": outcome.scores.classes},
    }


def _finite(value: Any) -> Any:
    """Return JSON values without infinities and not-a-numbers, which JSON does not know."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
