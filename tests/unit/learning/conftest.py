"""Small training-data folders, made as the export makes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geodl_plugin.core.chips.formats import WrittenChip, chip_format
from geodl_plugin.core.chips.labels import (
    BoxLabel,
    ClassLabel,
    InstanceLabel,
    MaskLabel,
    PanopticLabel,
)
from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.raster_writer import write_chip
from geodl_plugin.core.samples.schema import ClassDefinition, Schema

CELL = 0.5

# Tiny networks gain nothing from threads, which only disturb what else runs here.
torch.set_num_threads(1)


def _scene(random: np.random.Generator, bands: int, side: int, dtype: str) -> np.ndarray:
    noise = random.normal(60, 6, (bands, side, side))
    return noise if np.dtype(dtype).kind == "f" else noise.round()


def _paint(
    pixels: np.ndarray, random: np.random.Generator, values: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Paint a bright square per class and return boxes, values and mask."""
    side = pixels.shape[-1]
    mask = np.zeros((side, side), np.int64)
    boxes, labels = [], []
    for place, value in enumerate(values):
        size = int(random.integers(side // 4, side // 3))
        half = side // len(values)
        col = place * half + int(random.integers(0, max(half - size, 1)))
        row = int(random.integers(0, side - size))
        pixels[:, row : row + size, col : col + size] += 60 * (place + 1)
        mask[row : row + size, col : col + size] = value
        boxes.append([col, row, col + size, row + size])
        labels.append(value)
    return np.array(boxes, float).reshape(-1, 4), np.array(labels, int), mask


def _instances(boxes: np.ndarray, values: np.ndarray, side: int) -> InstanceLabel:
    masks = np.zeros((len(boxes), side, side), bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes.astype(int).tolist()):
        mask[top:bottom, left:right] = True
    return InstanceLabel.of_masks(masks, values)


def _outlines(boxes: np.ndarray, values: np.ndarray, side: int) -> InstanceLabel:
    rings = [
        (np.array([[left, top], [right, top], [right, bottom - 1], [left, bottom]]),)
        for left, top, right, bottom in boxes.tolist()
    ]
    return InstanceLabel(values, (side, side), tuple(rings))


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a folder of chips that lie side by side."""

    def make(
        data_format: str,
        count: int = 6,
        side: int = 64,
        bands: int = 3,
        dtype: str = "uint8",
        values: tuple[int, ...] = (1,),
        name: str = "chips",
        stride: int | None = None,
        invalid: bool = False,
        pairs: bool = False,
    ) -> Path:
        folder = tmp_path / name
        (folder / "images").mkdir(parents=True)
        (folder / "labels").mkdir()
        random = np.random.default_rng(7)
        classes = [ClassDefinition(value, f"class {value}", (10, 200, 10)) for value in values]
        writer = chip_format(data_format)(folder, Schema.of(classes))
        for number in range(count):
            pixels = _scene(random, bands, side, dtype)
            here = values if data_format != "Labeled_Tiles" else (values[number % len(values)],)
            boxes, labels, mask = _paint(pixels, random, here)
            if data_format == "Labeled_Tiles":
                pixels += 60 * values.index(here[0])
            if pairs:  # what the label shows is new: the first image does not show it
                first = _scene(random, bands, side, dtype).astype(dtype)
            pixels = pixels.astype(dtype)
            if invalid:
                pixels[:, :8, :8] = np.nan if pixels.dtype.kind == "f" else 0
            label: Any = {
                "PASCAL_VOC_rectangles": BoxLabel(boxes, labels),
                "KITTI_rectangles": BoxLabel(boxes, labels),
                "COCO": _outlines(boxes, labels, side),
                "YOLO": _outlines(boxes, labels, side),
                "Classified_Tiles": MaskLabel(mask),
                "RCNN_Masks": _instances(boxes, labels, side),
                "Panoptic_Segmentation": PanopticLabel(
                    MaskLabel(mask), _instances(boxes, labels, side)
                ),
                "Labeled_Tiles": ClassLabel(here),
            }[data_format]
            image = folder / "images" / f"{number:09d}.tif"
            step = (side if stride is None else stride) * CELL
            transform = GeoTransform(1000.0 + number * step, CELL, 0, 2000.0, 0, -CELL)
            nodata = 0.0 if invalid and pixels.dtype.kind != "f" else None
            if pairs:
                (folder / "images2").mkdir(exist_ok=True)
                second = folder / "images2" / image.name
                write_chip(second, pixels, transform, "", nodata=nodata)
                pixels = first
            write_chip(image, pixels, transform, "", nodata=nodata)
            writer.write(WrittenChip(image.stem, image, label, pixels.shape, transform, ""))
        writer.finish()
        definition = {
            "MetaDataMode": data_format,
            "ImageSpaceUsed": "MAP_SPACE",
            "Classes": [
                {"Value": value, "Name": f"class {value}", "Color": [10, 200, 10]}
                for value in values
            ],
        }
        (folder / "esri_model_definition.emd").write_text(json.dumps(definition))
        return folder

    return make


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the pictures and the report, which cost more than the training of a few chips."""
    learning = "geodl_plugin.core.learning"
    monkeypatch.setattr(f"{learning}.delivery.examine", lambda *_: None)
    monkeypatch.setattr(f"{learning}.delivery.all_examples", lambda *_: ())
    monkeypatch.setattr(f"{learning}.pictures.draw_all", lambda *_: {})
    monkeypatch.setattr(f"{learning}.report.make_report", lambda *_: "")


@pytest.fixture
def small_networks(monkeypatch: pytest.MonkeyPatch, narrow_heads: None) -> None:
    """Make small what no argument of a model type makes small."""
    from geodl_plugin.core.models.networks.segmentation import build_library

    def build(architecture: str, encoder: str, spec: Any, _: Any) -> Any:
        little = {"decoder_channels": [32, 16, 16, 16, 16]}
        return build_library(architecture, encoder, spec, little)

    networks = "geodl_plugin.core.models.networks"
    for each in ("change", "unet_id"):
        monkeypatch.setattr(f"{networks}.{each}.build_library", build)
