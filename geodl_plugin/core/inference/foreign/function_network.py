"""Python inference functions with the faces of GeoDL's networks. Needs torch."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import InputError, ModelError
from ...models.registry import Task
from ...packages.archive import Package
from ...packages.band_names import BandNames
from ...samples.schema import Schema
from ..model import Model
from ..options import TASK_ARGUMENTS
from .function_start import CPU, start_function

CERTAIN = 50.0  # the logit of what a function has decided
LEAST = 1e-6
PERCENT = 100.0
NO_CLASS = 0.0  # the value of pixels of no class
PARTS = ("attributes", "geometry")  # of a feature
MOST_ROUNDED = 1.001  # what a share that counts to 1 may come to


class FunctionNetwork(nn.Module):
    """Asks a function, block by block.

    Images are the raster's own pixels, with a last band that tells where there are data.

    Args:
        model: its description.
        package: with its files.
        device: that the function is told to compute on; what it does is its own.

    Raises:
        ModelError: when the function fails, or wants what there is not.
    """

    is_compiled, is_exact = True, True
    tile_step = 1

    def __init__(self, model: Model, package: Package, device: torch.device) -> None:
        super().__init__()
        foreign = model.foreign
        if foreign is None:
            raise ModelError(f"'{model.name}' is GeoDL's own.")
        self.task, self._name, self._schema = foreign.task, model.name, model.schema
        self._function = start_function(package, foreign.file, device_number(device))
        kept = package.detach()
        weakref.finalize(self, kept.close)
        self._check_kind()
        tool = TASK_ARGUMENTS[foreign.task]
        self._settings = self._function.configure(foreign.arguments, tool)
        self.scalars = self._function.scalars
        names = [str(each["name"]).casefold() for each in self._function.parameters]
        self._own_threshold = any(map(_is_threshold, names))
        self._check_padding(foreign.arguments, names)
        self._usual_bands = package.definition.extract_bands
        try:
            self.fit(model)
            self._set_tile(model)
        except (TypeError, ValueError, OverflowError) as error:
            raise ModelError(
                f"The Python function of '{self._name}' has a configuration that cannot be "
                f"understood ({error}). It is code of the model's author, whom to ask."
            ) from error
        self._percent = False
        self._pixel_type, self._nothing = "u1", NO_CLASS
        if self.task is Task.PIXELS:
            info = {"bandCount": len(self._bands), "pixelType": "u1", "noData": None}
            answer, _ = self._function.call("describe", {"info": info})
            self._pixel_type = str(answer["info"].get("pixelType") or "u1")
            self._nothing = _number(answer["info"].get("noData"), NO_CLASS)

    def _check_kind(self) -> None:
        wanted = "updatePixels" if self.task is Task.PIXELS else "vectorize"
        if wanted not in self._function.has or self.task is Task.CHANGE:
            raise ModelError(
                f"The Python function of '{self._name}' has no '{wanted}', which answers for a "
                f"{self.task.value} model. Choose another tool or model."
            )

    def _check_padding(self, given: Mapping[str, str], names: Sequence[str]) -> None:
        padding = given.get("padding")
        if padding is not None and "padding" not in names and self.task is not Task.OBJECTS:
            raise InputError(
                f"padding={padding} does not fit '{self._name}', whose Python function decides on "
                "it. Leave the argument out."
            )

    def fit(self, model: Model) -> None:
        """Take images of the raster that a model is fitted to from now on.

        Raises:
            ModelError: when it lacks a band.
        """
        names = model.band_names or BandNames(())
        told = self._settings.get("extractBands") or names.found or self._usual_bands
        bands = [names.place(each) for each in told] or list(range(len(model.bands)))
        if max(bands) >= len(model.bands) or min(bands) < 0:
            raise ModelError(
                f"'{self._name}' takes the bands {', '.join(map(str, bands))}, counted from 0, but "
                f"the raster has {len(model.bands)}. Choose a raster with these bands."
            )
        self._bands = bands

    def _set_tile(self, model: Model) -> None:
        told = self._settings
        padding = max(int(told.get("padding") or 0), 0)
        side = max(model.chip_size - 2 * padding, 1)
        across, down = int(told.get("tx") or side), int(told.get("ty") or side)
        if across != down:
            raise ModelError(
                f"The Python function of '{self._name}' wants blocks of {across} × {down} pixels; "
                "only squares are handed over."
            )
        self.padding = padding
        self.fixed_tile: int | None = across + 2 * padding
        if self.task is Task.OBJECTS:
            self.fixed_tile = None

    def forward(self, images: Tensor) -> Any:
        """Return logits, or the features of each block."""
        blocks = [self._block(each.cpu().numpy()) for each in images]
        if self.task is Task.OBJECTS:
            return self._objects(blocks)
        if self.task is Task.PIXELS:
            return torch.stack([self._pixels(*block) for block in blocks])
        return [self._features(self._handed(*block)) for block in blocks]

    def _block(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the pixels as the function wants them, and where there are data."""
        valid = (image[-1] > 0).astype(np.uint8)
        pixels = np.ascontiguousarray(image[:-1][self._bands])
        wanted = self._settings.get("dataRange")
        if wanted and np.issubdtype(pixels.dtype, np.integer):
            low, high = float(wanted[0]), float(wanted[1])
            limits = np.iinfo(pixels.dtype)
            if (limits.min, limits.max) != (low, high):
                share = (pixels.astype(np.float32) - limits.min) / (limits.max - limits.min)
                pixels = low + share * (high - low)
        return pixels, valid

    def _handed(self, pixels: np.ndarray, valid: np.ndarray) -> list[np.ndarray]:
        return [pixels, valid] if self._settings.get("inputMask") else [pixels]

    def _features(self, arrays: Sequence[np.ndarray]) -> list[dict[str, Any]]:
        return self._understood(self._function.call("vectorize", {}, arrays)[0]["features"])

    def _understood(self, features: Any) -> list[dict[str, Any]]:
        """Return features, whose attributes and geometries are what they must be."""
        for each in features if isinstance(features, list) else [[features]]:
            parts = [each.get(name) for name in PARTS] if isinstance(each, dict) else [each]
            if not all(part is None or isinstance(part, dict) for part in parts):
                raise ModelError(
                    f"The Python function of '{self._name}' gives features that cannot be "
                    f"understood: {str(each)[:100]}. It is code of the model's author, whom to ask."
                )
        return features

    def _pixels(self, pixels: np.ndarray, valid: np.ndarray) -> Tensor:
        """Return logits ``(n + 1, rows, cols)`` of a block; its rim has none."""
        side = pixels.shape[-1] - 2 * self.padding
        order = {"shape": [1, side, side], "pixelType": self._pixel_type}
        _, (values, mask) = self._function.call("pixels", order, self._handed(pixels, valid))
        classes = values[0]
        # What has no data may be anything, not a number for example.
        numeric = np.issubdtype(classes.dtype, np.number) or classes.dtype == bool
        told = np.unique(classes[(mask > 0) & ~np.isnan(classes)]) if numeric else classes
        if not numeric or (told != np.rint(told)).any():
            raise ModelError(
                f"The Python function of '{self._name}' gives values, not classes. There is no "
                "tool for it yet."
            )
        unknown = np.setdiff1d(told, [NO_CLASS, self._nothing, *self._schema.values])
        if len(unknown):
            raise self._unknown(f"{unknown[0]:g}")
        found = np.stack([classes == value for value in self._schema.values]) & (mask > 0)
        logits = np.concatenate([~found.any(axis=0)[None], found]).astype(np.float32) * CERTAIN
        rim = self.padding
        return torch.from_numpy(np.pad(logits, ((0, 0), (rim, rim), (rim, rim))))

    def _objects(self, blocks: Sequence[tuple[np.ndarray, np.ndarray]]) -> Tensor:
        step = int(self._settings.get("batch_size") or len(blocks))
        rows = []
        masked = bool(self._settings.get("inputMask", True))
        for begin in range(0, len(blocks), max(step, 1)):
            some = blocks[begin : begin + max(step, 1)]
            arrays = [each[0] for each in some] + ([each[1] for each in some] if masked else [])
            order = {"several": True, "mask": masked}
            answer, _ = self._function.call("vectorize", order, arrays)
            features = self._understood(answer["features"])
            if len(features) != len(some):
                raise ModelError(
                    f"The Python function of '{self._name}' gives {len(features)} answers for "
                    f"{len(some)} objects. It is code of the model's author, whom to ask."
                )
            rows += [self._chances(*self._label_and_score(each)) for each in features]
        return torch.logit(torch.from_numpy(np.array(rows, np.float32)), LEAST)

    def _chances(self, label: int, score: float) -> np.ndarray:
        """Return the chance of each class by itself: of the others nothing is known."""
        chances = np.full(len(self._schema), LEAST)
        chances[label] = max(score, 2 * LEAST)
        return chances

    def detect(
        self, outputs: list[list[dict[str, Any]]], image_size: tuple[int, int], threshold: float
    ) -> list[dict[str, Any]]:
        """Return shapes, scores and labels of each block, in its pixels with the rim."""
        least = 0.0 if self._own_threshold else threshold
        return [self._found(features, least) for features in outputs]

    def _found(self, features: list[dict[str, Any]], least: float) -> dict[str, Any]:
        shapes, scores, labels = [], [], []
        for feature in features:
            rings = self._rings(feature.get("geometry") or {})
            label, score = self._label_and_score(feature)
            if rings and score >= least:
                shapes.append(rings)
                scores.append(score)
                labels.append(label)
        return {
            "boxes": torch.zeros(len(scores), 4),
            "scores": torch.tensor(scores, dtype=torch.float32),
            "labels": torch.tensor(labels, dtype=torch.int64),
            "shapes": shapes,
        }

    def _rings(self, geometry: dict[str, Any]) -> list[np.ndarray]:
        """Return the rings of a polygon ``(n, 2)``, in pixels of the block with its rim."""
        try:
            if geometry and "rings" not in geometry:
                raise ValueError("another geometry")
            # The function counts from the corner of the block without its rim.
            rings = [np.array(each, float) for each in geometry.get("rings") or [] if each]
            return [each[:, :2] + self.padding for each in rings]
        except (IndexError, TypeError, ValueError) as error:
            raise ModelError(
                f"The Python function of '{self._name}' gives shapes that are no polygons, but "
                f"{str(geometry)[:100]}. There is no tool for them yet."
            ) from error

    def _label_and_score(self, feature: dict[str, Any]) -> tuple[int, float]:
        told = {name.lower(): value for name, value in (feature.get("attributes") or {}).items()}
        score = _number(told.get("confidence"), 1.0)
        # Some count to 1 and some to 100: what has once been larger than 1 is in percent.
        self._percent = self._percent or score > MOST_ROUNDED
        score = min(max(score / PERCENT if self._percent else score, 0.0), 1.0)
        names = ("classvalue", "classname", "class", "label", "classlabel")
        texts = [told[name] for name in names if told.get(name) is not None]
        for text in texts:
            label = _label(self._schema, text)
            if label is not None:
                return label, score
        if len(self._schema) == 1 and not texts:
            return 0, score
        raise self._unknown(str((texts or ["none"])[0]))

    def _unknown(self, name: str) -> ModelError:
        return ModelError(
            f"The Python function of '{self._name}' found the class '{name}', which its definition "
            f"does not name. It names: {self._schema}."
        )


def device_number(device: torch.device) -> int:
    """Return a device as ArcGIS names it: the number of a GPU of NVIDIA's, −1 for all else."""
    if device.type != "cuda":
        return CPU
    return torch.cuda.current_device() if device.index is None else device.index


def _is_threshold(name: str) -> bool:
    """Return whether an argument is the least score, and not the overlap of two objects."""
    return "threshold" in name and not any(part in name for part in ("nms", "iou", "overlap"))


def _number(value: Any, default: float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return default


def _label(schema: Schema, text: Any) -> int | None:
    """Return the order of a class that is told by its value or its name."""
    number = _number(text, float("nan"))
    for index, each in enumerate(schema.classes):
        if number == each.value or str(text).strip().casefold() == each.name.casefold():
            return index
    return None
