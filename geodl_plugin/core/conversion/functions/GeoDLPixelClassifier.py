"""Classifies pixels in ArcGIS with a network that GeoDL has trained.

The host hands over one block of pixels at a time and gets back the class of each pixel. This file
lies in the model package beside the definition (.emd) and the network (.pt, TorchScript), which
takes images of one size and answers the probabilities ``(1, 1 + classes, rows, columns)``, the
background first. ArcGIS wants it complete in one file: what it shares with the other functions is
repeated in each, and equal.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch


class GeoDLPixelClassifier:
    """A Python raster function of ArcGIS."""

    def __init__(self) -> None:
        self.name = "GeoDL pixel classifier"
        self.description = "Classifies pixels with a network trained by GeoDL."

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
        self.values = np.array([0] + [each["Value"] for each in self.classes])
        self.padding = self.side // 8
        # Of incomplete labels the background is not learned, and no answer.
        self.background = self.definition["GeoDL"].get("background") is not False

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
            {
                "name": "padding",
                "dataType": "numeric",
                "value": self.side // 8,
                "required": False,
                "displayName": "padding",
                "description": "Pixels of context around each block.",
            },
            {
                "name": "predict_background",
                "dataType": "string",
                "value": str(self.background),
                "required": False,
                "displayName": "predict_background",
                "domain": ("True", "False"),
                "description": "Whether the background is an answer, or always a class is wanted.",
            },
        ]

    def getConfiguration(self, **scalars: Any) -> dict[str, Any]:
        """Take the arguments and say which blocks are wanted."""
        padding = int(float(scalars.get("padding", self.padding)))
        self.padding = min(max(padding, 0), (self.side - 1) // 2)
        self.background = str(scalars.get("predict_background", self.background)).lower() != "false"
        inner = self.side - 2 * self.padding
        return {
            "extractBands": tuple(self.definition["ExtractBands"]),
            "padding": self.padding,
            "tx": inner,
            "ty": inner,
            "fixedTileSize": 1,
            "inheritProperties": 2 | 4 | 8,
            "invalidateProperties": 2 | 4 | 8,
            "inputMask": True,
        }

    def updateRasterInfo(self, **kwargs: Any) -> dict[str, Any]:
        """Say what the result is: one band of class values with names and colours."""
        info = kwargs["output_info"]
        info["bandCount"] = 1
        info["pixelType"] = "u1" if self.values.max() < 256 else "i4"
        info["noData"] = np.array([0], info["pixelType"])
        info["statistics"] = ()
        info["histogram"] = ()
        colors = np.array([each.get("Color") or [128, 128, 128] for each in self.classes], "u1")
        info["colormap"] = (self.values[1:].astype("i4"), *colors.T)
        info["rasterAttributeTable"] = self.attribute_table(colors)
        return kwargs

    def attribute_table(self, colors: np.ndarray) -> str:
        """Return values, names and colours of the classes as JSON."""
        kinds = {
            "OID": "OID",
            "Value": "Integer",
            "Class": "String",
            "Red": "Integer",
            "Green": "Integer",
            "Blue": "Integer",
        }
        rows = [
            dict(zip(kinds, (index + 1, each["Value"], each["Name"], *color)))
            for index, (each, color) in enumerate(zip(self.classes, colors.tolist()))
        ]
        table = {
            "displayFieldName": "",
            "fields": [
                {"name": name, "type": f"esriFieldType{kind}", "alias": name}
                for name, kind in kinds.items()
            ],
            "features": [{"attributes": row} for row in rows],
        }
        return json.dumps(table)

    def updatePixels(
        self, tlc: Any, shape: tuple[int, ...], props: dict[str, Any], **pixelBlocks: Any
    ) -> dict[str, Any]:
        """Return the classes of a block; 0 where it has no data."""
        pixels = pixelBlocks["raster_pixels"]
        valid = valid_pixels(pixels, pixelBlocks.get("raster_mask"))
        image = (pixels.astype(np.float32) - self.mean) * self.scale
        image[:, ~valid] = 0
        with torch.no_grad():
            batch = torch.from_numpy(image)[None].to(self.device)
            first = 0 if self.background else 1
            best = self.network(batch)[0, first:].argmax(0).cpu().numpy()
        classes = np.where(valid, self.values[first:][best], 0)
        # The block is wanted without its padding, or with it, as the host's shape says.
        top, left = ((have - want) // 2 for have, want in zip(classes.shape, shape[-2:]))
        part = (slice(top, top + shape[-2]), slice(left, left + shape[-1]))
        answer, mask = classes[part], valid[part]
        if len(shape) == 3:
            answer, mask = answer[np.newaxis], mask[np.newaxis]
        pixelBlocks["output_pixels"] = answer.astype(props["pixelType"], copy=False)
        pixelBlocks["output_mask"] = mask.astype("u1")
        return pixelBlocks


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
