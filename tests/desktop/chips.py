"""Makes small training data as ArcGIS lays it out, a scene to find objects in, and a model."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from osgeo import gdal, osr

SIDE = 64
VALUE = 7  # of the only class; no index, so that mixing the two up is noticed


def write_chips(folder: Path, count: int = 16, seed: int = 1) -> Path:
    """Write chips with bright discs on dark ground and their boxes; return the folder."""
    random = np.random.default_rng(seed)
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for index in range(count):
        pixels, boxes = draw(random, SIDE, SIDE, 3)
        east = 500_000 + 0.5 * SIDE * index
        write_raster(folder / "images" / f"{index:09d}.tif", pixels, east, 5_000_000)
        text = annotation(f"{index:09d}.tif", boxes)
        (folder / "labels" / f"{index:09d}.xml").write_text(text, encoding="utf-8")
    definition = {
        "Framework": "PyTorch",
        "ModelType": "ObjectDetection",
        "ModelFile": "",
        "ImageHeight": SIDE,
        "ImageWidth": SIDE,
        "ExtractBands": [0, 1, 2],
        "Classes": [{"Value": VALUE, "Name": "tank", "Color": [230, 140, 20]}],
        "MetaDataMode": "PASCAL_VOC_rectangles",
        "ImageSpaceUsed": "MAP_SPACE",
    }
    path = folder / "esri_model_definition.emd"
    path.write_text(json.dumps(definition), encoding="utf-8")
    return folder


def write_scene(path: Path, side: int = 224, seed: int = 2) -> Path:
    """Write a larger raster of the same kind; return its path."""
    pixels, _ = draw(np.random.default_rng(seed), side, side, 16)
    write_raster(path, pixels, 510_000, 5_000_000)
    return path


def draw(
    random: np.random.Generator, rows: int, cols: int, count: int
) -> tuple[np.ndarray, list[tuple[float, float, float, float]]]:
    """Return pixels ``(3, rows, cols)`` and the boxes of the discs in them."""
    ground = random.normal((70, 84, 60), 6, (rows, cols, 3))
    y, x = np.mgrid[:rows, :cols] + 0.5
    boxes: list[tuple[float, float, float, float]] = []
    for _ in range(200):
        radius = random.uniform(7, 10)
        cx, cy = random.uniform(radius, cols - radius), random.uniform(radius, rows - radius)
        box = (cx - radius, cy - radius, cx + radius, cy + radius)
        apart = all(
            box[2] < each[0] - 2
            or box[0] > each[2] + 2
            or box[3] < each[1] - 2
            or box[1] > each[3] + 2
            for each in boxes
        )
        if apart:
            ground[(x - cx) ** 2 + (y - cy) ** 2 < radius**2] += (140, 130, 120)
            boxes.append(box)
        if len(boxes) == count:
            break
    return ground.clip(0, 255).astype(np.uint8).transpose(2, 0, 1), boxes


def annotation(image: str, boxes: list[tuple[float, float, float, float]]) -> str:
    """Return the label file of a chip."""
    objects = "".join(
        f"<object><name>{VALUE}</name><bndbox>"
        + "".join(
            f"<{corner}>{number:.2f}</{corner}>"
            for corner, number in zip(("xmin", "ymin", "xmax", "ymax"), box)
        )
        + "</bndbox></object>"
        for box in boxes
    )
    return (
        f"<annotation><filename>{image}</filename><size><width>{SIDE}</width>"
        f"<height>{SIDE}</height><depth>3</depth></size>{objects}</annotation>"
    )


def write_raster(path: Path, pixels: np.ndarray, east: float, north: float) -> None:
    """Write a GeoTIFF of half-metre pixels in UTM zone 12."""
    bands, rows, cols = pixels.shape
    raster = gdal.GetDriverByName("GTiff").Create(str(path), cols, rows, bands)
    raster.SetGeoTransform((east, 0.5, 0, north, 0, -0.5))
    system = osr.SpatialReference()
    system.ImportFromEPSG(32612)
    raster.SetProjection(system.ExportToWkt())
    for index in range(bands):
        raster.GetRasterBand(index + 1).WriteArray(pixels[index])
    raster.FlushCache()


def write_model(path: Path, task: str = "ObjectDetection", **values: Any) -> Path:
    """Write a package whose definition is enough, with weights that nobody loads; return it."""
    definition = {
        "Framework": "PyTorch",
        "ModelType": task,
        "ModelFile": "weights.safetensors",
        "ImageHeight": 400,
        "ImageWidth": 400,
        "ExtractBands": [0, 1, 2],
        "Classes": [{"Value": 1, "Name": "Tree", "Color": [34, 170, 68]}],
        "GeoDL": {
            "architecture": "SSD",
            "backbone": "resnet34",
            "band_count": 3,
            "band_names": ["Red", "Green", "Blue"],
            "chip_size": 400,
            "cell_size": [0.1, 0.1],
            "normalization": {"mean": [100.0] * 3, "std": [50.0] * 3},
            "training": {"data": "tree chips", "date": "2025-05-01T10:00:00+00:00"},
        },
        **values,
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{path.stem}.emd", json.dumps(definition))
        archive.writestr("weights.safetensors", b"none")
    return path
