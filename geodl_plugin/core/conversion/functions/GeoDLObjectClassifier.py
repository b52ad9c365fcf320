"""Classifies objects in ArcGIS with a network that GeoDL has trained.

The host hands over the images of several objects at a time and gets back the class of each. This
file lies in the model package beside the definition (.emd) and the network (.pt, TorchScript),
which takes images of one size and answers the probabilities ``(n, classes)``: of all classes
together, or of each by itself where an object may have several. ArcGIS wants it complete in one
file: what it shares with the other functions is repeated in each, and equal.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional


class GeoDLObjectClassifier:
    """A Python raster function of ArcGIS."""

    def __init__(self) -> None:
        self.name = "GeoDL object classifier"
        self.description = "Classifies objects with a network trained by GeoDL."
        self.definition: dict[str, Any] = {}
        self.threshold = 0.5

    def initialize(self, **kwargs: Any) -> None:
        """Read the definition and the network."""
        folder, self.definition = read_definition(kwargs["model"])
        self.device = choose_device(kwargs.get("device", -1))
        network = str(folder / self.definition["ModelFile"])
        self.network = torch.jit.load(network, map_location=self.device).eval()
        own = self.definition["GeoDL"]["normalization"]
        self.mean = np.array(own["mean"], np.float32).reshape(-1, 1, 1)
        self.scale = 1 / np.array(own["std"], np.float32).reshape(-1, 1, 1)
        self.side = int(self.definition["ImageWidth"])
        self.classes = sorted(self.definition["Classes"], key=lambda each: each["Value"])

    @property
    def several(self) -> bool:
        """Whether an object may have several classes."""
        return bool(self.definition.get("GeoDL", {}).get("joined_labels"))

    def getParameterInfo(self) -> list[dict[str, Any]]:
        """Return the tool's arguments."""
        parameters = [
            {
                "name": "rasters",
                "dataType": "rasters",
                "value": None,
                "required": True,
                "displayName": "Rasters",
                "description": "The imagery.",
            },
            {
                "name": "batch_size",
                "dataType": "numeric",
                "value": 8,
                "required": False,
                "displayName": "batch_size",
                "description": "How many objects are classified at a time.",
            },
        ]
        if self.several:
            parameters.append(
                {
                    "name": "threshold",
                    "dataType": "numeric",
                    "value": 0.5,
                    "required": False,
                    "displayName": "threshold",
                    "description": "The least confidence of each of an object's classes, 0 to 1.",
                }
            )
        return parameters

    def getConfiguration(self, **scalars: Any) -> dict[str, Any]:
        """Take the arguments and say which images are wanted."""
        self.threshold = float(scalars.get("threshold", 0.5))
        crop = self.definition["GeoDL"].get("crop") or {}
        whole = str(crop.get("mode", "Fixed_Size")).lower() == "fixed_size"
        return {
            "extractBands": tuple(self.definition["ExtractBands"]),
            "padding": 0,
            "tx": self.side,
            "ty": self.side,
            "fixedTileSize": 1,
            "inputMask": True,
            "batch_size": max(int(float(scalars.get("batch_size", 8))), 1),
            "CropSizeFixed": int(whole),
            "BlackenAroundFeature": int(bool(crop.get("blacken"))),
        }

    def getFields(self) -> str:
        """Return the fields of the result."""
        kinds = {
            "OID": "OID",
            "ClassLabel": "String",
            "Classvalue": "Integer",
            "Confidence": "Double",
            "Shape": "Geometry",
        }
        fields = [
            {"name": name, "type": f"esriFieldType{kind}", "alias": name}
            for name, kind in kinds.items()
        ]
        return json.dumps({"fields": fields})

    def getGeometryType(self) -> int:
        """Return 4: polygons."""
        return 4

    def vectorize(self, **pixelBlocks: Any) -> dict[str, str]:
        """Return a feature for each object, in the order in which they came."""
        blocks = pixelBlocks["rasters_pixels"]
        masks = pixelBlocks.get("rasters_mask") or [None] * len(blocks)
        images = [self.image_of(pixels, mask) for pixels, mask in zip(blocks, masks)]
        features = []
        if images:
            with torch.no_grad():
                chances = self.network(torch.cat(images).to(self.device)).float().cpu().numpy()
            for pixels, chance in zip(blocks, chances):
                features.append(self.feature(len(features) + 1, pixels.shape[1:], chance))
        found = {
            "displayFieldName": "",
            "fieldAliases": {"ClassLabel": "ClassLabel", "Confidence": "Confidence"},
            "geometryType": "esriGeometryPolygon",
            "fields": json.loads(self.getFields())["fields"],
            "features": features,
        }
        return {"output_vectors": json.dumps(found)}

    def image_of(self, pixels: np.ndarray, mask: np.ndarray | None) -> torch.Tensor:
        """Return an object's image ``(1, bands, side, side)`` as the network wants it."""
        valid = valid_pixels(pixels, mask)
        image = (pixels.astype(np.float32) - self.mean) * self.scale
        image[:, ~valid] = 0
        batch = torch.from_numpy(image)[None]
        size = (self.side, self.side)
        if batch.shape[-2:] == size:
            return batch
        return functional.interpolate(
            batch, size, mode="bilinear", align_corners=False, antialias=True
        )

    def feature(self, number: int, shape: tuple[int, int], chance: np.ndarray) -> dict[str, Any]:
        """Return an object's class as a feature that outlines its image.

        Where an object may have several, all their names are joined; the value is that of the
        most probable one.
        """
        each = self.classes[int(chance.argmax())]
        names = [each["Name"]]
        if self.several:
            sure = chance >= self.threshold
            names = [one["Name"] for one, told in zip(self.classes, sure) if told]
        rows, cols = shape
        ring = [[0, 0], [0, rows], [cols, rows], [cols, 0], [0, 0]]
        return {
            "attributes": {
                "OID": number,
                "ClassLabel": ",".join(names),
                "Classvalue": each["Value"],
                "Confidence": round(100 * float(chance.max()), 2),
            },
            "geometry": {"rings": [ring]},
        }


def read_definition(model: str) -> tuple[Path, dict[str, Any]]:
    """Return the folder of the package and its definition, given by its path or as JSON."""
    if model.lstrip().startswith("{"):
        return Path(__file__).resolve().parent, json.loads(model)
    path = Path(model).resolve()
    return path.parent, json.loads(path.read_text(encoding="utf-8-sig"))


def choose_device(number: int) -> torch.device:
    """Return the device of a number: 0 and more a GPU, −1 the CPU, −2 whatever there is."""
    number = int(number)
    if number == -1 or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", max(number, 0))


def valid_pixels(pixels: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Return where a block has data, ``(rows, cols)``."""
    valid = np.isfinite(pixels).all(axis=0)
    if mask is None:
        return valid
    mask = np.asarray(mask)
    return valid & ((mask.min(axis=0) if mask.ndim == 3 else mask) > 0)
