"""The demo's data: real imagery with labelled trees, cut into a part to learn from and a part
that is never seen.

The imagery is of the National Ecological Observatory Network (NEON), Yellowstone 2019, labelled
for and shipped with the Python package DeepForest (B. Weinstein et al., 2019).
"""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGE = "deepforest==2.1.0"
NAME = "2019_YELL_2_528000_4978000_image_crop2"
EPSG = 32612
CELL = 0.1  # metres
LEFT, TOP = 528000.0, 4978247.2
SEEN = 0.6  # share of the rows that trains
CORNERS = 36  # of an ellipse
GROUND_SIDE = 40  # pixels; as large as the median tree
GROUND_MARGIN = 6  # pixels between open ground and the next tree
TREE, GROUND = 1, 2
Ring = list[tuple[float, float]]


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, origin top left."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float

    @property
    def middle(self) -> float:
        """The row of the centre."""
        return (self.ymin + self.ymax) / 2

    def clipped(self, top: float, bottom: float) -> Box:
        """Return the part between two rows."""
        return Box(self.xmin, max(self.ymin, top), self.xmax, min(self.ymax, bottom))

    def meets(self, other: Box, margin: float = 0.0) -> bool:
        """Return whether two boxes come closer than ``margin``."""
        return (
            self.xmin < other.xmax + margin
            and other.xmin < self.xmax + margin
            and self.ymin < other.ymax + margin
            and other.ymin < self.ymax + margin
        )

    def ring(self) -> Ring:
        """Return the corners in map coordinates."""
        corners = [
            (self.xmin, self.ymin),
            (self.xmax, self.ymin),
            (self.xmax, self.ymax),
            (self.xmin, self.ymax),
        ]
        return [to_map(*corner) for corner in corners]

    def ellipse(self) -> Ring:
        """Return the ellipse that fills the box, in map coordinates: the tree's crown."""
        x, y = (self.xmin + self.xmax) / 2, (self.ymin + self.ymax) / 2
        width, height = (self.xmax - self.xmin) / 2, (self.ymax - self.ymin) / 2
        angles = [2 * math.pi * step / CORNERS for step in range(CORNERS)]
        return [to_map(x + width * math.cos(a), y + height * math.sin(a)) for a in angles]


def to_map(col: float, row: float) -> tuple[float, float]:
    """Return the map coordinates of a pixel position."""
    return round(LEFT + col * CELL, 4), round(TOP - row * CELL, 4)


def fetch(folder: Path) -> None:
    """Download the package with pip and take only its data out; nothing is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob("deepforest-*.whl")):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", PACKAGE]
        subprocess.run([*command, "--dest", str(folder)], check=True)
    with zipfile.ZipFile(next(folder.glob("deepforest-*.whl"))) as archive:
        for suffix in (".png", ".xml"):
            content = archive.read(f"deepforest/data/{NAME}{suffix}")
            (folder / f"{NAME}{suffix}").write_bytes(content)


def read_trees(labels: Path) -> tuple[int, int, list[Box]]:
    """Return width, height and the labelled trees of a Pascal VOC file."""
    root = ElementTree.parse(labels).getroot()
    corners = ("xmin", "ymin", "xmax", "ymax")
    trees = [
        Box(*(float(tree.findtext(f"bndbox/{corner}")) for corner in corners))
        for tree in root.iter("object")
    ]
    return int(root.findtext("size/width")), int(root.findtext("size/height")), trees


def write_rasters(folder: Path, target: Path, height: int) -> None:
    """Write the georeferenced image and its two parts as files of their own."""
    source = folder / "download" / f"{NAME}.png"
    width_map, height_map = read_trees(source.with_suffix(".xml"))[:2]
    corners = [LEFT, TOP, *to_map(width_map, height_map)]
    _translate(source, target, "-a_srs", f"EPSG:{EPSG}", "-a_ullr", *map(str, corners))
    line = seen_rows(height)
    for name, first, count in (("upper", 0, line), ("lower", line, height - line)):
        window = ["-srcwin", "0", str(first), str(width_map), str(count)]
        _translate(target, folder / "data" / f"{name}.tif", *window)


def seen_rows(height: int) -> int:
    """Return how many rows train."""
    return int(SEEN * height)


def _translate(source: Path, target: Path, *options: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    creation = ["TILED=YES", "COMPRESS=DEFLATE", "PREDICTOR=2", "PHOTOMETRIC=RGB"]
    extras = [part for option in creation for part in ("-co", option)]
    command = ["gdal_translate", "-q", *options, *extras, str(source), str(target)]
    subprocess.run(command, check=True)


def open_ground(trees: Sequence[Box], area: Box, count: int, seed: int = 42) -> list[Box]:
    """Return squares without trees, the same ones each time."""
    step = GROUND_SIDE + GROUND_MARGIN
    squares = [
        Box(col, row, col + GROUND_SIDE, row + GROUND_SIDE)
        for row in range(int(area.ymin), int(area.ymax) - GROUND_SIDE, step)
        for col in range(int(area.xmin), int(area.xmax) - GROUND_SIDE, step)
    ]
    free = [
        square for square in squares if not any(square.meets(tree, GROUND_MARGIN) for tree in trees)
    ]
    random.Random(seed).shuffle(free)
    return free[:count]


def write_layers(folder: Path, width: int, height: int, trees: Sequence[Box]) -> None:
    """Write the vector layers: what trains, and the truth about what does not."""
    line = seen_rows(height)
    upper = [tree.clipped(0, line) for tree in trees if tree.middle < line]
    lower = [tree for tree in trees if tree.middle >= line]
    areas = {"upper": Box(0, 0, width, line), "lower": Box(0, line, width, height)}
    data = folder / "data"
    write_geojson(data / "trees_upper.geojson", ((tree.ring(), TREE) for tree in upper))
    crowns = (tree.ellipse() for tree in trees if tree.ymin < line)
    write_geojson(data / "crowns_upper.geojson", ((crown, TREE) for crown in crowns))
    write_geojson(data / "trees_lower.geojson", ((tree.ring(), TREE) for tree in lower))
    for name, own in (("upper", upper), ("lower", lower)):
        squares = open_ground(trees, areas[name], len(own))
        shapes = [(tree.ring(), TREE) for tree in own]
        shapes += [(square.ring(), GROUND) for square in squares]
        write_geojson(data / f"objects_{name}.geojson", shapes)
        # The features to classify do not carry the answer.
        write_geojson(data / f"features_{name}.geojson", ((ring, None) for ring, _ in shapes))
    # What is no crown is ground: it lies below the crowns, so every pixel's class is known.
    known = [(areas["lower"].ring(), 0)]
    known += [(tree.ellipse(), TREE) for tree in trees if tree.ymax > line]
    write_geojson(data / "canopy_lower.geojson", known)


def write_geojson(path: Path, shapes: Iterable[tuple[Ring, int | None]]) -> None:
    """Write polygons with their class value, if any; every one gets a number of its own."""
    features: list[dict[str, Any]] = []
    for number, (ring, value) in enumerate(shapes, 1):
        geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
        properties = {"number": number}
        if value is not None:
            properties["Classvalue"] = value
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    document = {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{EPSG}"}},
        "features": features,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
