"""Objects as outlines: exact, whole and found once, in memory of their own size."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.polygonize import mask_polygons
from geodl_plugin.core.geo.rasterize import burn
from geodl_plugin.core.inference.detect import detect, run
from geodl_plugin.core.inference.engine import Engine
from geodl_plugin.core.inference.options import DetectionOptions
from geodl_plugin.core.object_masks import ObjectMask
from geodl_plugin.core.progress import Progress

from .support import (
    NORTH_UP,
    TURNED,
    OutlineNumbers,
    make_job,
    make_model,
    read_features,
    write_model,
    write_raster,
)

DEGREES = (-73.9, 2.1e-6, 0.0, 40.7, 0.0, -2.3e-6)


def find(source: str, folder: Path, **options: Any) -> list[dict[str, Any]]:
    output = str(folder / "found.gpkg")
    values = DetectionOptions([source], "", output, **{"tile_size": 64, **options})
    with make_job(source, make_model("TEST_OUTLINES")) as job:
        detect(job, Engine(OutlineNumbers(), "cpu", "float32", 3), values, Progress())
    return read_features(output)


def burnt(feature: dict[str, Any], shape: tuple[int, int]) -> np.ndarray:
    """Return the pixels that an outline on a north-up raster covers."""
    return burn([(feature["geometry"], 1)], shape, GeoTransform(*NORTH_UP)) > 0


@pytest.mark.parametrize("geotransform", [NORTH_UP, TURNED, DEGREES])
@pytest.mark.parametrize("side", [40, 64, 150])
def test_ten_by_ten_pixels_have_an_area_of_exactly_a_hundred(tmp_path, geotransform, side):
    pixels = np.zeros((1, side, side), np.uint16)
    pixels[0, 17:27, 21:31] = 1
    epsg = 4326 if geotransform is DEGREES else 32616
    found = find(write_raster(tmp_path / "a.tif", pixels, geotransform, epsg), tmp_path)
    assert len(found) == 1
    shape = found[0]["geometry"]
    assert shape.GetArea() / GeoTransform(*geotransform).cell_area() == pytest.approx(100, rel=1e-6)
    xmin, xmax, ymin, ymax = shape.GetEnvelope()
    corners = GeoTransform(*geotransform).box_corners([[21, 17, 31, 27]])[0]
    assert [xmin, ymin] == pytest.approx(corners.min(axis=0).tolist(), abs=1e-9)
    assert [xmax, ymax] == pytest.approx(corners.max(axis=0).tolist(), abs=1e-9)
    assert (found[0]["Class"], found[0]["Classvalue"]) == ("Tree", 3)


def test_holes_parts_and_corners_that_touch_stay_valid(tmp_path):
    pixels = np.zeros((1, 60, 60), np.uint16)
    pixels[0, 10:30, 10:30] = 1
    pixels[0, 15:20, 15:20] = 0  # a hole
    pixels[0, 10, 11] = pixels[0, 11, 10] = pixels[0, 11, 12] = 0  # holes in each other's corners
    pixels[0, 28, 29] = pixels[0, 29, 28] = 0
    pixels[0, 30:35, 30:35] = 1  # touches by a corner
    pixels[0, 50:53, 5:8] = 1  # a part of its own
    found = find(write_raster(tmp_path / "a.tif", pixels), tmp_path)
    assert len(found) == 1
    shape = found[0]["geometry"]
    assert shape.IsValid() and shape.GetGeometryName() == "MULTIPOLYGON"
    assert shape.GetArea() / 0.25 == pytest.approx(np.count_nonzero(pixels))
    assert (burnt(found[0], (60, 60)) == (pixels[0] > 0)).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_any_mask_has_a_valid_outline_of_its_area(rows, cols, seed):
    mask = np.random.default_rng(seed).random((rows, cols)) < 0.6
    shape = mask_polygons(mask, 7, 9, GeoTransform(0, 1, 0, 0, 0, 1))
    assert shape.IsValid() and shape.GetArea() == np.count_nonzero(mask)
    back = burn([(shape, 1)], (rows + 9, cols + 7), GeoTransform(0, 1, 0, 0, 0, 1)) > 0
    assert (back[9:, 7:] == mask).all() and not back[:9].any() and not back[:, :7].any()


@settings(max_examples=60, deadline=None)
@given(st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 2**32 - 1))
def test_masks_share_and_join_their_pixels(cols, rows, seed):
    random = np.random.default_rng(seed)
    canvas = np.zeros((2, 40, 40), bool)
    canvas[0, 12:18, 12:20] = random.random((6, 8)) < 0.5
    canvas[1, 12 + rows : 17 + rows, 13 + cols : 18 + cols] = random.random((5, 5)) < 0.5
    one, two = (ObjectMask.of(0, 0, each) for each in canvas)
    if one is None or two is None:
        return
    assert one.area == canvas[0].sum()
    assert one.shared(two) == two.shared(one) == (canvas[0] & canvas[1]).sum()
    union = one.joined(two)
    assert union.area == (canvas[0] | canvas[1]).sum()
    assert ObjectMask.of(0, 0, canvas.any(axis=0)).box == union.box
    assert one.moved(3, -2).box == tuple(np.array(one.box) + [3, -2, 3, -2])
    assert ObjectMask.of(0, 0, np.zeros((3, 3))) is None


@st.composite
def scenes(draw: Any) -> tuple[np.ndarray, int, int]:
    """Discs, some of which touch, on a raster of any size, with a tiling of any kind."""
    width, height = draw(st.integers(40, 260)), draw(st.integers(40, 260))
    size = draw(st.sampled_from([64, 96, 128]))
    rim = draw(st.integers(12, size // 2 - 16))
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    pixels = np.zeros((1, height, width), np.uint16)
    y, x = np.mgrid[:height, :width]
    for number in range(1, draw(st.integers(1, 40)) + 1):
        radius = random.uniform(3, 11)
        middle = random.uniform(0, [width, height])
        disc = (x - middle[0]) ** 2 + (y - middle[1]) ** 2 < radius**2
        # Discs may touch, but none lies on another.
        if disc.sum() > 12 and not pixels[0][disc].any():
            pixels[0][disc] = number + 10_000 * (number % 2)
    return pixels, size, rim


@given(scenes(), st.booleans())
@settings(max_examples=25, deadline=None)
def test_every_object_is_found_once_with_its_own_pixels(scene, exclude):
    pixels, size, rim = scene
    with tempfile.TemporaryDirectory() as name:
        source = write_raster(Path(name) / "a.tif", pixels)
        found = find(
            source, Path(name), tile_size=size, padding=rim, exclude_pad_detections=exclude
        )
    numbers = sorted(np.unique(pixels[pixels > 0]).tolist())
    told = []
    for each in found:
        covered = pixels[0][burnt(each, pixels.shape[1:])]
        assert len(np.unique(covered)) == 1 and covered[0] > 0
        told.append(int(covered[0]))
        assert len(covered) == (pixels[0] == covered[0]).sum()
    assert sorted(told) == numbers


@pytest.mark.parametrize("padding", [8, 16])
def test_objects_larger_than_the_overlap_are_put_together(tmp_path, padding):
    pixels = np.zeros((1, 300, 300), np.uint16)
    y, x = np.mgrid[:300, :300]
    pixels[0][(np.hypot(x - 150, y - 150) < 120) & (np.hypot(x - 150, y - 150) > 60)] = 1
    pixels[0, 2:22, 10:290] = 2
    found = find(write_raster(tmp_path / "a.tif", pixels), tmp_path, padding=padding)
    covers = sorted((burnt(each, (300, 300)) for each in found), key=np.sum)
    assert len(covers) == 2
    assert (covers[0] == (pixels[0] == 2)).all() and (covers[1] == (pixels[0] == 1)).all()


def test_a_package_of_outlines_serves_detect_objects(tmp_path):
    pixels = np.zeros((1, 90, 90), np.uint16)
    pixels[0, 40:50, 30:40] = 1
    source = write_raster(tmp_path / "a.tif", pixels)
    model = write_model(tmp_path / "trees.dlpk", "TEST_OUTLINES")
    output = str(tmp_path / "found.geojson")
    result = run(DetectionOptions([source], model, output), Progress())
    assert result == {"output": output, "object_count": 1}
    assert read_features(output)[0]["geometry"].GetArea() == pytest.approx(25)


def test_many_objects_on_a_large_raster_need_little_memory():
    """A full-size mask for each of them would be 23 GB."""
    script = Path(__file__).parents[2] / "benchmarks" / "memory.py"
    command = [sys.executable, str(script), "outlines", "4096"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    figures = json.loads(answer.stdout.splitlines()[-1])
    assert figures["count"] == 1400
    assert figures["megabytes"] < 2000
