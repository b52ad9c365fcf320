"""Small rasters, small models and networks whose answer is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from osgeo import gdal, gdal_array, ogr, osr
from torch import nn

from geodl_plugin.core.geo.grid import Window
from geodl_plugin.core.geo.raster import Raster
from geodl_plugin.core.inference.checks import Job
from geodl_plugin.core.inference.model import Model
from geodl_plugin.core.models.registry import NetworkSpec, Task, register
from geodl_plugin.core.packages.archive import write_package
from geodl_plugin.core.packages.definition import ModelDefinition, class_to_json
from geodl_plugin.core.samples.schema import Schema

TREES = Schema.from_text("3:Tree:#22aa44;7:Car:#cc2200")
NORTH_UP = (500000.0, 0.5, 0.0, 4100000.0, 0.0, -0.5)
TURNED = (500000.0, 0.4, 0.3, 4100000.0, 0.3, -0.4)


def write_raster(
    path: Path,
    pixels: np.ndarray,
    geotransform: tuple[float, ...] = NORTH_UP,
    epsg: int = 32616,
    nodata: float | None = None,
    options: tuple[str, ...] = (),
) -> str:
    """Write a GeoTIFF from ``(bands, rows, cols)``."""
    bands, rows, cols = pixels.shape
    kind = gdal_array.NumericTypeCodeToGDALTypeCode(pixels.dtype)
    dataset = gdal.GetDriverByName("GTiff").Create(
        str(path), cols, rows, bands, kind, list(options)
    )
    dataset.SetGeoTransform(geotransform)
    if epsg:
        reference = osr.SpatialReference()
        reference.ImportFromEPSG(epsg)
        dataset.SetProjection(reference.ExportToWkt())
    for index in range(bands):
        band = dataset.GetRasterBand(index + 1)
        if nodata is not None:
            band.SetNoDataValue(nodata)  # first: zeros would become it from GDAL 3.8 on
        band.WriteArray(pixels[index])
    dataset = None
    return str(path)


def write_polygons(path: Path, shapes: list[str], epsg: int, **fields: list[Any]) -> str:
    """Write a GeoPackage from geometries as text."""
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(epsg)
    reference.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    dataset = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
    layer = dataset.CreateLayer(path.stem, reference, ogr.wkbUnknown)
    for name, values in fields.items():
        kind = {int: ogr.OFTInteger, float: ogr.OFTReal}.get(type(values[0]), ogr.OFTString)
        layer.CreateField(ogr.FieldDefn(name, kind))
    for index, text in enumerate(shapes):
        feature = ogr.Feature(layer.GetLayerDefn())
        for name, values in fields.items():
            feature.SetField(name, values[index])
        if text:
            feature.SetGeometry(ogr.CreateGeometryFromWkt(text))
        layer.CreateFeature(feature)
    dataset = None
    return str(path)


def read_features(path: str | Path) -> list[dict[str, Any]]:
    """Return attributes and geometry of all features."""
    dataset = ogr.Open(str(path))
    return [
        {**feature.items(), "geometry": feature.GetGeometryRef().Clone()}
        if feature.GetGeometryRef()
        else {**feature.items(), "geometry": None}
        for feature in dataset.GetLayer(0)
    ]


class FindNumbers(nn.Module):
    """Finds the box of every number above 0 in the first band; 10,000 and more are class 1.

    What the tile cuts is found in part, with less confidence; ``noise`` moves boxes by up to
    that many pixels, differently in every tile.
    """

    tile_step = 32
    fixed_tile = None

    def __init__(self, noise: float = 0.0) -> None:
        super().__init__()
        self.noise = noise
        self.unused = nn.Parameter(torch.zeros(1))
        self._draw = np.random.default_rng(7)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, :1]

    def detect(
        self, outputs: torch.Tensor, image_size: tuple[int, int], threshold: float
    ) -> list[dict[str, torch.Tensor]]:
        return [self._find(np.rint(each[0].numpy()).astype(int)) for each in outputs]

    def _find(self, numbers: np.ndarray) -> dict[str, torch.Tensor]:
        boxes, scores, labels = [], [], []
        for number in np.unique(numbers[numbers > 0]):
            rows, cols = np.nonzero(numbers == number)
            box = np.array([cols.min(), rows.min(), cols.max() + 1, rows.max() + 1], float)
            box += self._draw.uniform(-self.noise, self.noise, 4)
            box = np.clip(box, 0, np.tile(numbers.shape[::-1], 2))
            boxes.append(box)
            scores.append(0.6 + 0.3 * self._draw.random())
            labels.append(int(number >= 10_000))
        return {
            "boxes": torch.tensor(np.array(boxes).reshape(-1, 4)),
            "scores": torch.tensor(scores, dtype=torch.float32),
            "labels": torch.tensor(labels, dtype=torch.int64),
        }


class OutlineNumbers(FindNumbers):
    """As :class:`FindNumbers`, and says which pixels have the number."""

    def _find(self, numbers: np.ndarray) -> dict[str, Any]:
        found: dict[str, Any] = {**super()._find(numbers), "masks": [], "windows": []}
        for number in np.unique(numbers[numbers > 0]):
            rows, cols = np.nonzero(numbers == number)
            top, left = max(rows.min() - 1, 0), max(cols.min() - 2, 0)
            part = numbers[top : rows.max() + 2, left : cols.max() + 2] == number
            found["masks"].append(part.astype(np.uint8))
            found["windows"].append((left, top, part.shape[1], part.shape[0]))
        return found


class SmallPixels(nn.Module):
    """Three convolutions: a view of four pixels on every side."""

    tile_step = 32
    fixed_tile = None

    def __init__(self, bands: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(bands, 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 8, 5, padding=2),
            nn.ReLU(),
            nn.Conv2d(8, classes + 1, 3, padding=1),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


class SmallObjects(SmallPixels):
    """A little real network, of objects."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images).mean((2, 3))


class Brightest(nn.Module):
    """Classifies by the mean of the first band: class i where it is nearest to 10 · i."""

    tile_step = 32
    fixed_tile = None

    def __init__(self, classes: int, pixels: bool) -> None:
        super().__init__()
        self.register_buffer("levels", 10.0 * torch.arange(classes + int(pixels)).float())
        self.pixels = pixels

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.pixels:
            return -((images[:, :1] - self.levels.reshape(1, -1, 1, 1)) ** 2)
        return -((images[:, 0].mean((1, 2))[:, None] - self.levels) ** 2)


class Brightening(Brightest):
    """Classifies by how much brighter the second of two dates is, as :class:`Brightest`."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        earlier, later = images.chunk(2, 1)
        return super().forward(later - earlier)


class FindMany(nn.Module):
    """Finds twenty boxes in every tile, whatever it shows."""

    tile_step = 32
    fixed_tile = None

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layer(images)

    def detect(
        self, outputs: torch.Tensor, image_size: tuple[int, int], threshold: float
    ) -> list[dict[str, torch.Tensor]]:
        corners = torch.rand(len(outputs), 20, 2) * (min(image_size) - 40)
        return [
            {
                "boxes": torch.cat([low, low + 30], 1),
                "scores": torch.rand(20),
                "labels": torch.zeros(20, dtype=torch.int64),
            }
            for low in corners
        ]


_BUILDERS: dict[str, tuple[Task, Callable[[NetworkSpec], nn.Module]]] = {
    "TEST_NUMBERS": (Task.DETECTION, lambda spec: FindNumbers()),
    "TEST_OUTLINES": (Task.INSTANCES, lambda spec: OutlineNumbers()),
    "TEST_MANY": (Task.DETECTION, lambda spec: FindMany()),
    "TEST_PIXELS": (Task.PIXELS, lambda spec: Brightest(spec.class_count, True)),
    "TEST_CHANGE": (Task.CHANGE, lambda spec: Brightening(spec.class_count, True)),
    "TEST_SMALL": (Task.PIXELS, lambda spec: SmallPixels(spec.band_count, spec.class_count)),
    "TEST_SMALL_OBJECTS": (
        Task.OBJECTS,
        lambda spec: SmallObjects(spec.band_count, spec.class_count - 1),
    ),
    "TEST_OBJECTS": (Task.OBJECTS, lambda spec: Brightest(spec.class_count, False)),
}
for _name, (_task, _build) in _BUILDERS.items():
    register(_name, _task, ())(_build)


def write_model(
    path: Path,
    network: str,
    bands: int = 1,
    schema: Schema = TREES,
    chip_size: int = 64,
    **facts: Any,
) -> str:
    """Write a package of one of the networks above, whose units are those of the raster."""
    from safetensors.torch import save

    task, build = _BUILDERS[network]
    spec = NetworkSpec(network, "", {}, bands, len(schema), chip_size)
    definition = {
        "Framework": "PyTorch",
        "ModelType": task.value,
        "ModelConfiguration": network,
        "ModelFile": "weights.safetensors",
        "ImageHeight": chip_size,
        "ImageWidth": chip_size,
        "ExtractBands": list(range(bands)),
        "Classes": [class_to_json(each) for each in schema.classes],
        "GeoDL": {
            "version": 1,
            "architecture": network,
            "arguments": {},
            "band_count": bands,
            "class_count": len(schema),
            "chip_size": chip_size,
            "normalization": {"mean": [0.0] * bands, "std": [1.0] * bands},
            **facts,
        },
    }
    weights = save({name: value.contiguous() for name, value in build(spec).state_dict().items()})
    write_package(path, ModelDefinition(definition, path.stem), {"weights.safetensors": weights})
    return str(path)


def make_model(task_name: str = "TEST_NUMBERS", bands: int = 1, **values: Any) -> Model:
    """Return a model whose units are those of the raster."""
    chip_size = values.pop("chip_size", 64)
    schema = values.pop("schema", TREES)
    return Model(
        "trees.dlpk",
        schema,
        tuple(range(bands)),
        (0.0,) * bands,
        (1.0,) * bands,
        NetworkSpec(task_name, "", {}, bands, len(schema), chip_size),
        **values,
    )


def make_job(source: str, model: Model, area: Window | None = None) -> Job:
    """Return a job on the whole raster or a part of it."""
    raster = Raster.open(source)
    return Job(model, raster, area or raster.window)
