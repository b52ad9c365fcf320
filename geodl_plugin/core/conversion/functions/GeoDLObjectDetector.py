"""Detects objects in ArcGIS with a network that GeoDL has trained.

The host hands over one block of pixels at a time and gets back the boxes found in it. This file
lies in the model package beside the definition (.emd) and the network (.pt, TorchScript), which
takes images of one size and answers ``(1, 4 + classes, boxes)``: centre x, centre y, width and
height in pixels, then the probability of each class. ArcGIS wants it complete in one file: what it
shares with the other functions is repeated in each, and equal.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision

# Networks of two stages compute with torchvision's operators, which are known once imported.
OPERATORS = torchvision.ops
LEAST_DATA = 0.25  # share of a box that must have data: nothing is found in emptiness
MOST_BOXES = 1000  # per block, before suppression


class GeoDLObjectDetector:
    """A Python raster function of ArcGIS."""

    def __init__(self) -> None:
        self.name = "GeoDL object detector"
        self.description = "Detects objects with a network trained by GeoDL."

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
        self.padding = self.side // 4

    def getParameterInfo(self) -> list[dict[str, Any]]:
        """Return the tool's arguments."""
        return [
            {
                "name": "raster",
                "dataType": "raster",
                "value": None,
                "required": True,
                "displayName": "Raster",
                "description": "The imagery.",
            },
            number("padding", self.side // 4, "Pixels of context around each block."),
            number("threshold", 0.5, "The least confidence of an object, 0 to 1."),
            number("nms_overlap", 0.1, "Of two boxes that overlap by more, the better one stays."),
            {
                "name": "exclude_pad_detections",
                "dataType": "string",
                "value": "True",
                "required": False,
                "displayName": "exclude_pad_detections",
                "domain": ("True", "False"),
                "description": "Leave out what lies in a block's padding: its neighbour has it.",
            },
        ]

    def getConfiguration(self, **scalars: Any) -> dict[str, Any]:
        """Take the arguments and say which blocks are wanted."""
        padding = int(float(scalars.get("padding", self.padding)))
        self.padding = min(max(padding, 0), (self.side - 1) // 2)
        self.threshold = float(scalars.get("threshold", 0.5))
        self.overlap = float(scalars.get("nms_overlap", 0.1))
        self.exclude = str(scalars.get("exclude_pad_detections", "True")).lower() != "false"
        inner = self.side - 2 * self.padding
        return {
            "extractBands": tuple(self.definition["ExtractBands"]),
            "padding": self.padding,
            "tx": inner,
            "ty": inner,
            "fixedTileSize": 1,
            "inputMask": True,
        }

    def getFields(self) -> str:
        """Return the fields of the result."""
        kinds = {
            "OID": "OID",
            "Class": "String",
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
        """Return the objects of a block, in pixels of its part without the padding."""
        pixels = pixelBlocks["raster_pixels"]
        valid = valid_pixels(pixels, pixelBlocks.get("raster_mask"))
        image = (pixels.astype(np.float32) - self.mean) * self.scale
        image[:, ~valid] = 0
        with torch.no_grad():
            batch = torch.from_numpy(image)[None].to(self.device)
            answer = self.network(batch)[0].float().cpu().numpy().T
        boxes, scores, labels = decode(answer, self.threshold, valid.shape)
        kept = has_data(boxes, valid)
        boxes, scores, labels = boxes[kept], scores[kept], labels[kept]
        kept = suppress(boxes, scores, labels, self.overlap)
        boxes, scores, labels = boxes[kept] - self.padding, scores[kept], labels[kept]
        if self.exclude:
            kept = self.is_inside(boxes)
            boxes, scores, labels = boxes[kept], scores[kept], labels[kept]
        return {"output_vectors": json.dumps(self.features(boxes, scores, labels))}

    def is_inside(self, boxes: np.ndarray) -> np.ndarray:
        """Return which boxes have their centre in the block without its padding."""
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        return ((centres >= 0) & (centres < self.side - 2 * self.padding)).all(axis=1)

    def features(self, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        """Return the objects as an Esri feature set."""
        features = []
        for (xmin, ymin, xmax, ymax), score, label in zip(
            boxes.tolist(), scores.tolist(), labels.tolist()
        ):
            each = self.classes[label]
            ring = [[xmin, ymin], [xmin, ymax], [xmax, ymax], [xmax, ymin], [xmin, ymin]]
            features.append(
                {
                    "attributes": {
                        "OID": len(features) + 1,
                        "Class": each["Name"],
                        "Classvalue": each["Value"],
                        "Confidence": round(100 * score, 2),
                    },
                    "geometry": {"rings": [ring]},
                }
            )
        return {
            "displayFieldName": "",
            "fieldAliases": {"Class": "Class", "Confidence": "Confidence"},
            "geometryType": "esriGeometryPolygon",
            "fields": json.loads(self.getFields())["fields"],
            "features": features,
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


def number(name: str, value: float, description: str) -> dict[str, Any]:
    """Return the description of a numeric argument."""
    return {
        "name": name,
        "dataType": "numeric",
        "value": value,
        "required": False,
        "displayName": name,
        "description": description,
    }


def valid_pixels(pixels: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Return where a block has data, ``(rows, cols)``."""
    valid = np.isfinite(pixels).all(axis=0)
    if mask is None:
        return valid
    mask = np.asarray(mask)
    return valid & ((mask.min(axis=0) if mask.ndim == 3 else mask) > 0)


def decode(
    answer: np.ndarray, threshold: float, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return boxes ``(n, 4)`` as xmin, ymin, xmax, ymax, scores and labels, the best first."""
    chances = answer[:, 4:]
    rows, labels = np.nonzero(chances >= threshold)
    scores = chances[rows, labels]
    best = np.argsort(-scores, kind="stable")[:MOST_BOXES]
    centres, halves = answer[rows[best], :2], answer[rows[best], 2:4] / 2
    boxes = np.concatenate([centres - halves, centres + halves], axis=1)
    limits = np.array([shape[1], shape[0], shape[1], shape[0]], np.float32)
    return np.clip(boxes, 0, limits), scores[best], labels[best]


def has_data(boxes: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return which boxes have data in a good part of their area."""
    kept = np.ones(len(boxes), bool)
    if valid.all():
        return kept
    for index, (xmin, ymin, xmax, ymax) in enumerate(boxes.tolist()):
        part = valid[int(ymin) : int(np.ceil(ymax)), int(xmin) : int(np.ceil(xmax))]
        kept[index] = part.size > 0 and part.mean() >= LEAST_DATA
    return kept


def suppress(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, overlap: float
) -> np.ndarray:
    """Return the indices of the best of the boxes of each object, class by class."""
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    waiting = np.argsort(-scores, kind="stable")
    kept = []
    while len(waiting):
        best, rest = waiting[0], waiting[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        common = np.prod(np.clip(high - low, 0, None), axis=1)
        joined = np.maximum(areas[best] + areas[rest] - common, 1e-9)
        waiting = rest[(common / joined <= overlap) | (labels[rest] != labels[best])]
    return np.array(kept, int)
