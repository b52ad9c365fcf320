"""Outlines objects in ArcGIS with a network that GeoDL has trained.

The host hands over one block of pixels at a time and gets back the outlines of the objects found
in it. This file lies in the model package beside the definition (.emd) and the network (.pt,
TorchScript), which takes images of one size and answers ``boxes`` ``(1, n, 4)`` as corners in
pixels, ``scores`` and ``labels`` ``(1, n)``, these being the values of the classes, and ``masks``
``(1, n, s, s)``: probabilities on a grid that is stretched over each box. ArcGIS wants it complete
in one file: what it shares with the other functions is repeated in each, and equal.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch.nn import functional

# Networks of two stages compute with torchvision's operators, which are known once imported.
OPERATORS = torchvision.ops
LEAST_DATA = 0.25  # share of a box that must have data: nothing is found in emptiness
SURE = 0.5  # least probability of a pixel that belongs to an object


class GeoDLInstanceDetector:
    """A Python raster function of ArcGIS."""

    def __init__(self) -> None:
        self.name = "GeoDL instance detector"
        self.description = "Outlines objects with a network trained by GeoDL."

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
            number("threshold", 0.5, "The least confidence of an object, 0.05 to 1."),
            number("nms_overlap", 0.1, "Of two outlines that overlap by more the better stays."),
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
            answer = {name: each[0].cpu() for name, each in self.network(batch).items()}
        objects = outlined(answer, self.threshold, valid.shape)
        objects = [each for each in objects if shows_data(each["box"], valid)]
        objects = best_of(objects, self.overlap)
        if self.exclude:
            objects = [each for each in objects if self.is_inside(each["box"])]
        return {"output_vectors": json.dumps(self.features(objects))}

    def is_inside(self, box: tuple[int, int, int, int]) -> bool:
        """Return whether a box has its centre in the block without its padding."""
        xmin, ymin, xmax, ymax = box
        low, high = self.padding, self.side - self.padding
        return low <= (xmin + xmax) / 2 < high and low <= (ymin + ymax) / 2 < high

    def features(self, objects: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the objects as an Esri feature set; the first ring is an outer one."""
        names = {each["Value"]: each["Name"] for each in self.classes}
        features = []
        for each in objects:
            corner = np.array(each["box"][:2]) - self.padding
            rings = [(ring + corner).tolist() for ring in outlines(each["mask"])]
            features.append(
                {
                    "attributes": {
                        "OID": len(features) + 1,
                        "Class": names[each["value"]],
                        "Classvalue": each["value"],
                        "Confidence": round(100 * each["score"], 2),
                    },
                    "geometry": {"rings": rings},
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


def outlined(
    answer: dict[str, torch.Tensor], threshold: float, shape: tuple[int, int]
) -> list[dict[str, Any]]:
    """Return the objects with pixels, the best first: score, value of the class, box, mask.

    A mask is ``(height, width)`` bool, the box around its pixels xmin, ymin, xmax, ymax.
    """
    objects = []
    for score, value, box, grid in zip(
        answer["scores"].tolist(), answer["labels"].tolist(), answer["boxes"], answer["masks"]
    ):
        left, top = (max(int(np.floor(each)), 0) for each in box[:2].tolist())
        right = min(int(np.ceil(float(box[2]))), shape[1])
        bottom = min(int(np.ceil(float(box[3]))), shape[0])
        if not score or score < threshold or right <= left or bottom <= top:
            continue
        mask = stretched(grid, box, (left, top, right, bottom)) >= SURE
        rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows):
            mask = mask[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
            corner = (left + int(cols[0]), top + int(rows[0]))
            around = (*corner, corner[0] + mask.shape[1], corner[1] + mask.shape[0])
            objects.append({"score": score, "value": value, "box": around, "mask": mask})
    return objects


def stretched(
    grid: torch.Tensor, box: torch.Tensor, window: tuple[int, int, int, int]
) -> np.ndarray:
    """Return the probabilities at the centres of a window's pixels, ``(height, width)``."""
    left, top, right, bottom = window
    x = (torch.arange(left, right) + 0.5 - box[0]) / (box[2] - box[0]) * 2 - 1
    y = (torch.arange(top, bottom) + 0.5 - box[1]) / (box[3] - box[1]) * 2 - 1
    places = torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))], -1)
    chances = functional.grid_sample(
        grid[None, None].float(), places[None], padding_mode="border", align_corners=False
    )[0, 0]
    return (chances * (places.abs() <= 1).all(-1)).numpy()


def shows_data(box: tuple[int, int, int, int], valid: np.ndarray) -> bool:
    """Return whether a box has data in a good part of its area."""
    xmin, ymin, xmax, ymax = box
    return bool(valid[ymin:ymax, xmin:xmax].mean() >= LEAST_DATA)


def best_of(objects: list[dict[str, Any]], overlap: float) -> list[dict[str, Any]]:
    """Return the best of the outlines of each object, class by class."""
    kept: list[dict[str, Any]] = []
    for each in objects:  # the best come first
        rivals = (other for other in kept if other["value"] == each["value"])
        if all(overlap_of(each, other) <= overlap for other in rivals):
            kept.append(each)
    return kept


def overlap_of(one: dict[str, Any], two: dict[str, Any]) -> float:
    """Return the intersection over union of two masks."""
    low = np.maximum(one["box"][:2], two["box"][:2])
    high = np.minimum(one["box"][2:], two["box"][2:])
    if (low >= high).any():
        return 0.0
    parts = []
    for each in (one, two):
        (left, top), (right, bottom) = low - each["box"][:2], high - each["box"][:2]
        parts.append(each["mask"][top:bottom, left:right])
    shared = np.count_nonzero(parts[0] & parts[1])
    return shared / (one["mask"].sum() + two["mask"].sum() - shared)


def outlines(mask: np.ndarray) -> list[np.ndarray]:
    """Return the rings ``(n, 2)`` as x, y around the pixels of a mask, closed, along their edges.

    Outer rings run down, right, up and left as the boxes of detectors do, holes the other way.
    """
    padded = np.pad(mask.astype(np.int8), 1)
    followers: dict[tuple[int, int], list[tuple[int, int]]] = {}
    # Each edge has its pixel at the left hand of who goes along it, seen on a screen.
    across = np.diff(padded, axis=1)[1:-1]  # 1: a pixel begins here, going right
    for y, x in np.argwhere(across).tolist():
        ends = ((x, y), (x, y + 1)) if across[y, x] > 0 else ((x, y + 1), (x, y))
        followers.setdefault(ends[0], []).append(ends[1])
    along = np.diff(padded, axis=0)[:, 1:-1]  # 1: a pixel begins here, going down
    for y, x in np.argwhere(along).tolist():
        ends = ((x + 1, y), (x, y)) if along[y, x] > 0 else ((x, y), (x + 1, y))
        followers.setdefault(ends[0], []).append(ends[1])
    rings = []
    while followers:
        rings.append(ring_from(min(followers), followers))
    return sorted(rings, key=turning, reverse=True)


def ring_from(
    start: tuple[int, int], followers: dict[tuple[int, int], list[tuple[int, int]]]
) -> np.ndarray:
    """Take one ring out of the edges and return its corners, the first one at both ends."""
    points = [start]
    step = (0, 0)
    while len(points) == 1 or points[-1] != start:
        x, y = points[-1]
        choices = followers[x, y]
        # Where two pixels touch at a corner, turn left: around the same pixel.
        left = (x + step[1], y - step[0])
        follower = left if left in choices else choices[0]
        choices.remove(follower)
        if not choices:
            del followers[x, y]
        step = (follower[0] - x, follower[1] - y)
        points.append(follower)
    ring = np.array(points[:-1])
    bends = ((ring - np.roll(ring, 1, axis=0)) != (np.roll(ring, -1, axis=0) - ring)).any(axis=1)
    corners = ring[bends]
    return np.concatenate([corners, corners[:1]])


def turning(ring: np.ndarray) -> float:
    """Return the area of a ring, negative where it is a hole."""
    (x, y), (u, v) = ring[:-1].T, ring[1:].T
    return float((u * y - x * v).sum()) / 2
