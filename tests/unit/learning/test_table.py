"""The table: each model type on each format it learns from, with three kinds of images.

All of it is trained, saved, loaded and applied. Types and formats are those of the registries,
so that a new one joins by itself. Pictures and report have tests of their own and are left out.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from osgeo import gdal, ogr

from geodl_plugin.core.chips.export import export_chips
from geodl_plugin.core.chips.formats import chip_format
from geodl_plugin.core.chips.options import ExportOptions
from geodl_plugin.core.geo.vector_writer import VectorWriter
from geodl_plugin.core.inference import change, detect, loading, objects, pixels
from geodl_plugin.core.inference.loading import load_network
from geodl_plugin.core.inference.model import Model
from geodl_plugin.core.inference.options import (
    ChangeOptions,
    DetectionOptions,
    ObjectOptions,
    PixelOptions,
)
from geodl_plugin.core.learning.train import train
from geodl_plugin.core.models.registry import ModelType, Task, model_types
from geodl_plugin.core.packages.archive import Package, open_package
from geodl_plugin.core.progress import Progress
from tests.unit.inference.support import NORTH_UP, write_raster

from .test_train import Recorder, options

VALUES = (7, 42)
SIDE, PART = 128, 64  # of the raster that chips are cut from, and of a place with two objects
NO_DATA = 9  # side of the corner without data, where the pixels can say so


@dataclass(frozen=True)
class Kind:
    """A kind of images."""

    bands: int
    dtype: str

    def __str__(self) -> str:
        return f"{self.bands} × {self.dtype}"

    @property
    def gaps(self) -> bool:
        """Whether some pixels have no data."""
        return np.dtype(self.dtype).kind == "f"


KINDS = (Kind(3, "uint8"), Kind(8, "uint16"), Kind(1, "float32"))
CASES = [
    pytest.param(kind, data_format, images, id=f"{kind.name}-{data_format}-{images.dtype}")
    for kind in model_types()
    for data_format, images in itertools.product(kind.formats, KINDS)
]
# The smallest that a type takes, by the names of its arguments.
SMALL = {
    "channels": [4, 6, 8],
    "decoder_atrous_rates": [2, 4, 6],
    "decoder_segmentation_channels": 32,
    "decoder_pyramid_channels": 32,
    "psp_out_channels": 32,
    "rpn_batch_size_per_image": 16,
    "rpn_post_nms_top_n_train": 50,
    "rpn_post_nms_top_n_test": 20,
    "box_batch_size_per_image": 8,
    "box_detections_per_img": 10,
    "detections_per_img": 10,
    "topk_candidates": 50,
}
BACKBONE = "timm:test_resnet"
ON_CPU = {"device": "cpu", "precision": "float32"}


def arguments_of(kind: ModelType) -> str:
    """Return the arguments that make a network of a type small."""
    small = {name: value for name, value in SMALL.items() if name in kind.arguments}
    if kind.name == "PAN":  # else it wants chips of 128 pixels
        small["encoder_depth"] = 3
    elif "decoder_channels" in kind.arguments:
        wide = isinstance(kind.arguments["decoder_channels"], list)
        small["decoder_channels"] = [32, 16, 16, 16, 16] if wide else 32
    return ";".join(f"{name}={value}" for name, value in small.items())


def places() -> Iterator[tuple[int, tuple[int, int, int, int]]]:
    """Yield class values and boxes in pixels: two objects in each part of the raster."""
    for row, col in itertools.product(range(0, SIDE, PART), repeat=2):
        yield VALUES[0], (col + 8, row + 8, col + 24, row + 26)
        yield VALUES[1], (col + 28, row + 22, col + 48, row + 44)


def ring(box: tuple[int, int, int, int]) -> np.ndarray:
    """Return the corners of a box on the map."""
    left, top, right, bottom = box
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    return corners * [NORTH_UP[1], NORTH_UP[5]] + [NORTH_UP[0], NORTH_UP[3]]


class Workshop:
    """Makes rasters, labels and chips, each once.

    Args:
        folder: for all of them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.labels = str(folder / "labels.gpkg")
        self._folders: dict[tuple[str, Kind, bool], Path] = {}
        self.rows: dict[tuple[str, str, str], list[str]] = {}

    def raster(self, images: Kind, date: int) -> str:
        """Return a raster on which only the second date (1) shows the objects."""
        path = self.folder / f"{images.dtype}-{date}.tif"
        if not path.exists():
            values = np.random.default_rng(date).normal(60, 6, (images.bands, SIDE, SIDE))
            for value, (left, top, right, bottom) in places() if date else ():
                values[:, top:bottom, left:right] += 60 * (1 + VALUES.index(value))
            values = values.astype(images.dtype)
            if images.gaps:
                values[:, :NO_DATA, :NO_DATA] = np.nan
            write_raster(path, values)
        return str(path)

    def chips(self, data_format: str, images: Kind, pairs: bool) -> Path:
        """Return a folder as the export writes it."""
        key = data_format, images, pairs
        if key not in self._folders:
            self._folders[key] = self._export(*key)
        return self._folders[key]

    def _export(self, data_format: str, images: Kind, pairs: bool) -> Path:
        if not Path(self.labels).exists():
            crs = gdal.Open(self.raster(images, 1)).GetProjection()
            with VectorWriter(self.labels, crs, {"value": int}) as writer:
                for value, box in places():
                    writer.write_polygon([ring(box)], {"value": value})
        each = chip_format(data_format).per_feature
        side = PART // 2 if each else PART
        made = export_chips(
            ExportOptions(
                (self.raster(images, 0 if pairs else 1),),
                self.labels,
                str(self.folder / f"{data_format}-{images.dtype}-{pairs}"),
                format=data_format,
                second=(self.raster(images, 1),) if pairs else (),
                width=side,
                height=side,
                stride_x=0 if each else side,
                stride_y=0 if each else side,
            ),
            Progress(),
        )
        return Path(made.folder)

    def table(self) -> str:
        """Return what was reached, as Markdown."""
        lines = ["| model type | data format | images | reached |", "|---|---|---|---|"]
        lines += [f"| {' | '.join(key)} | {', '.join(row)} |" for key, row in self.rows.items()]
        return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    made = Workshop(tmp_path_factory.mktemp("table"))
    yield made
    path = made.folder / "table.md"
    path.write_text(made.table(), encoding="utf-8")
    sys.stdout.write(f"\n{path}\n{made.table()}")  # seen with -s


@pytest.mark.usefixtures("no_report", "small_networks")
@pytest.mark.parametrize(("kind", "data_format", "images"), CASES)
def test_trained_saved_loaded_and_applied(
    workshop: Workshop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: ModelType,
    data_format: str,
    images: Kind,
) -> None:
    reached = workshop.rows.setdefault((kind.name, data_format, str(images)), [])
    package = trained(workshop, tmp_path, kind, data_format, images)
    reached.append("trained")
    with open_package(package) as found:
        values = found.definition.values
        assert values["ModelType"] == kind.task.value and values["Framework"] == "PyTorch"
        assert [each["Value"] for each in values["Classes"]] == list(VALUES)
    reached.append("saved")

    def load(model: Model, found: Package, device: torch.device) -> torch.nn.Module:
        network = load_network(model, found, device)
        assert (model.spec.model_type, model.spec.band_count) == (kind.name, images.bands)
        assert model.schema.values == VALUES and len(model.mean) == images.bands
        assert all(torch.isfinite(each).all() for each in network.parameters())
        reached.append("loaded")
        return network

    monkeypatch.setattr(loading, "load_network", load)
    APPLY[kind.task](workshop, package, images, tmp_path)
    assert reached == ["trained", "saved", "loaded"]
    reached.append("applied")


def trained(
    workshop: Workshop, folder: Path, kind: ModelType, data_format: str, images: Kind
) -> str:
    """Train for two epochs and return the package."""
    progress = Recorder()
    result = train(
        options(
            workshop.chips(data_format, images, kind.task is Task.CHANGE),
            folder / "model",
            model_type=kind.name,
            backbone=BACKBONE,
            model_arguments=arguments_of(kind),
            batch_size=2,
        ),
        progress,
    )
    assert result["epochs"] == 2
    losses = [record[name] for record in progress.records for name in ("train_loss", "valid_loss")]
    assert len(losses) == 4 and np.isfinite(losses).all()
    return result["model"]


def _find(workshop: Workshop, package: str, images: Kind, folder: Path) -> None:
    """Detect objects."""
    _objects(workshop, package, images, folder, ogr.wkbPolygon)


def _outline(workshop: Workshop, package: str, images: Kind, folder: Path) -> None:
    """Detect objects with their outlines."""
    _objects(workshop, package, images, folder, ogr.wkbMultiPolygon)


def _objects(workshop: Workshop, package: str, images: Kind, folder: Path, geometry: int) -> None:
    output = str(folder / "found.gpkg")
    source = workshop.raster(images, 1)
    told = DetectionOptions([source], package, output, threshold=0.0, **ON_CPU)
    count = detect.run(told, Progress())["object_count"]
    dataset = ogr.Open(output)
    layer = dataset.GetLayer(0)
    assert layer.GetGeomType() == geometry and layer.GetFeatureCount() == count > 0
    end = SIDE * NORTH_UP[1]
    for feature in layer:
        shape = feature.GetGeometryRef()
        assert shape.IsValid() and shape.GetArea() > 0
        west, east, south, north = shape.GetEnvelope()
        assert 0 <= (west + east) / 2 - NORTH_UP[0] <= end
        assert 0 <= NORTH_UP[3] - (south + north) / 2 <= end
        assert feature.GetField("Classvalue") in VALUES
        assert 0 <= feature.GetField("Confidence") <= 100


def _counts(result: dict[str, Any], images: Kind) -> None:
    """Check a raster of classes."""
    dataset = gdal.Open(result["output"])
    found = dataset.ReadAsArray()
    assert dataset.RasterCount == 1 and found.shape == (SIDE, SIDE)
    assert dataset.GetGeoTransform() == NORTH_UP
    assert set(np.unique(found)) <= {0, *VALUES, 255}
    unknown = NO_DATA**2 if images.gaps else 0
    assert (found == 255).sum() == unknown
    assert sum(result["pixel_counts"].values()) == SIDE**2 - unknown


def _classify(workshop: Workshop, package: str, images: Kind, folder: Path) -> None:
    """Classify pixels."""
    told = PixelOptions(
        [workshop.raster(images, 1)], package, str(folder / "classes.tif"), **ON_CPU
    )
    _counts(pixels.run(told, Progress()), images)


def _compare(workshop: Workshop, package: str, images: Kind, folder: Path) -> None:
    """Detect change."""
    dates = [workshop.raster(images, date) for date in range(2)]
    output = str(folder / "change.tif")
    told = ChangeOptions(dates[:1], package, output, second=dates[1:], **ON_CPU)
    _counts(change.run(told, Progress()), images)


def _name(workshop: Workshop, package: str, images: Kind, folder: Path) -> None:
    """Classify objects."""
    output = str(folder / "named.gpkg")
    told = ObjectOptions(
        [workshop.raster(images, 1)],
        package,
        output,
        features=[workshop.labels, ""],
        **ON_CPU,
    )
    count = objects.run(told, Progress())["object_count"]
    dataset = ogr.Open(output)
    layer = dataset.GetLayer(0)
    boxes = list(places())
    assert layer.GetGeomType() == ogr.wkbPolygon and layer.GetFeatureCount() == len(boxes) == count
    for feature, (value, _) in zip(layer, boxes):
        assert feature.GetField("value") == value
        names = (feature.GetField("ClassLabel") or "").split(",")
        assert set(names) - {""} <= {f"{value}" for value in VALUES}
        assert 0 <= feature.GetField("Confidence") <= 100


APPLY: dict[Task, Callable[[Workshop, str, Kind, Path], None]] = {
    Task.DETECTION: _find,
    Task.INSTANCES: _outline,
    Task.PIXELS: _classify,
    Task.CHANGE: _compare,
    Task.OBJECTS: _name,
}
