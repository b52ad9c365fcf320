"""Detection on rasters of all kinds: every object once, where it is."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl_plugin.core.errors import CancelledError
from geodl_plugin.core.geo.crs import same_crs
from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.vector import VectorReader
from geodl_plugin.core.inference.detect import as_arrays, detect, run
from geodl_plugin.core.inference.engine import Engine
from geodl_plugin.core.inference.options import DetectionOptions
from geodl_plugin.core.models.registry import Task
from geodl_plugin.core.progress import Progress

from .support import (
    NORTH_UP,
    TURNED,
    FindNumbers,
    OutlineNumbers,
    make_job,
    make_model,
    read_features,
    write_model,
    write_polygons,
    write_raster,
)


def with_squares(shape: tuple[int, int], squares: list[tuple[int, int]], side: int = 10) -> Any:
    pixels = np.zeros((1, *shape), np.uint16)
    for number, (col, row) in enumerate(squares, 1):
        pixels[0, row : row + side, col : col + side] = number
    return pixels


def find(source: str, folder: Path, noise: float = 0.0, **options: Any) -> list[dict[str, Any]]:
    output = str(folder / "found.gpkg")
    values = DetectionOptions([source], "", output, **{"tile_size": 64, **options})
    with make_job(source, make_model()) as job:
        engine = Engine(FindNumbers(noise), "cpu", "float32", 3)
        result = detect(job, engine, values, Progress())
    found = read_features(output)
    assert result["object_count"] == len(found)
    return found


def pixel_box(feature: dict[str, Any], geotransform: tuple[float, ...]) -> list[float]:
    points = np.array(feature["geometry"].GetGeometryRef(0).GetPoints())[:, :2]
    pixels = GeoTransform(*geotransform).to_pixels(points)
    return [*pixels.min(axis=0).round(6).tolist(), *pixels.max(axis=0).round(6).tolist()]


DEGREES = (-73.9, 2.1e-6, 0.0, 40.7, 0.0, -2.3e-6)


@pytest.mark.parametrize("geotransform", [NORTH_UP, TURNED, DEGREES])
@pytest.mark.parametrize("side", [40, 64, 65, 150])
def test_a_square_lands_exactly_where_it_is(
    tmp_path: Path, geotransform: tuple[float, ...], side: int
) -> None:
    pixels = with_squares((side, side), [(21, 17)])
    epsg = 4326 if geotransform is DEGREES else 32616
    found = find(write_raster(tmp_path / "a.tif", pixels, geotransform, epsg), tmp_path)
    assert [pixel_box(each, geotransform) for each in found] == [[21, 17, 31, 27]]
    cell = GeoTransform(*geotransform).cell_area()
    assert found[0]["geometry"].GetArea() / cell == pytest.approx(100, rel=1e-6)
    assert (found[0]["Class"], found[0]["Classvalue"]) == ("Tree", 3)
    assert 60 <= found[0]["Confidence"] <= 90


@st.composite
def scenes(draw: Any) -> tuple[np.ndarray, int, int]:
    """Objects that do not touch, on a raster of any size, with a tiling of any kind."""
    width, height = draw(st.integers(40, 300)), draw(st.integers(40, 300))
    size = draw(st.sampled_from([64, 96, 128]))
    rim = draw(st.integers(12, size // 2 - 16))
    pixels = np.zeros((1, height, width), np.uint16)
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    number = 0
    for _ in range(draw(st.integers(1, 40))):
        wide, high = rng.integers(3, 22, 2)
        col, row = rng.integers(0, max(width - wide, 1)), rng.integers(0, max(height - high, 1))
        around = pixels[0, max(row - 4, 0) : row + high + 4, max(col - 4, 0) : col + wide + 4]
        if not around.any():
            number += 1
            pixels[0, row : row + high, col : col + wide] = number + 10_000 * (number % 2)
    return pixels, size, rim


@given(scenes(), st.sampled_from([0.0, 0.8]), st.booleans(), st.sampled_from([None, 0]))
@settings(max_examples=60, deadline=None)
def test_every_object_is_found_once(
    scene: tuple[np.ndarray, int, int], noise: float, exclude: bool, nodata: float | None
) -> None:
    """Where there are no data between the objects, tiles are trimmed."""
    pixels, size, rim = scene
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = write_raster(folder / "a.tif", pixels, nodata=nodata)
        found = find(
            source,
            folder,
            noise,
            tile_size=size,
            padding=rim,
            exclude_pad_detections=exclude,
        )
    assert len(found) == len(np.unique(pixels)) - 1
    for each in found:
        xmin, ymin, xmax, ymax = pixel_box(each, NORTH_UP)
        number = pixels[0, int((ymin + ymax) / 2), int((xmin + xmax) / 2)]
        rows, cols = np.nonzero(pixels[0] == number)
        true = [cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]
        assert np.abs(np.array([xmin, ymin, xmax, ymax]) - true).max() <= noise + 1e-6
        assert each["Classvalue"] == (7 if number >= 10_000 else 3)


@pytest.mark.parametrize("padding", [0, 8, 16])
def test_objects_larger_than_the_overlap_are_put_together(tmp_path: Path, padding: int) -> None:
    pixels = np.zeros((1, 300, 300), np.uint16)
    pixels[0, 30:170, 40:200] = 1
    pixels[0, 200:260, 10:290] = 2
    found = find(write_raster(tmp_path / "a.tif", pixels), tmp_path, padding=padding)
    boxes = sorted(pixel_box(each, NORTH_UP) for each in found)
    assert boxes == [[10, 200, 290, 260], [40, 30, 200, 170]]


def test_objects_that_touch_stay_apart_where_wide_tiles_meet(tmp_path: Path) -> None:
    pixels = np.zeros((1, 60, 3000), np.uint16)
    for number, col in enumerate(range(0, 2972, 28)):
        pixels[0, 16:44, col : col + 28] = number + 1
    found = find(write_raster(tmp_path / "a.tif", pixels), tmp_path, padding=16, tile_size=1024)
    boxes = sorted(pixel_box(each, NORTH_UP) for each in found)
    assert boxes == [[col, 16, col + 28, 44] for col in range(0, 2972, 28)]


@pytest.mark.parametrize("outlines", [False, True])
def test_tiles_are_trimmed_to_where_there_are_data(tmp_path: Path, outlines: bool) -> None:
    """Objects are then where they are in whole tiles, also those that reach across a mask."""
    draw = np.random.default_rng(1)
    pixels = np.zeros((1, 320, 352), np.uint16)
    for number in range(1, 16):
        col, row = draw.integers(0, (340, 308))
        pixels[0, row : row + 12, col : col + 12] = number
    pixels[0, 100:112, 20:120] = 16
    source = write_raster(tmp_path / "a.tif", pixels, nodata=0)
    x, y = NORTH_UP[0], NORTH_UP[3]
    shape = f"POLYGON(({x} {y},{x + 44} {y},{x + 44} {y - 160},{x} {y - 160},{x} {y}))"
    mask = write_polygons(tmp_path / "mask.gpkg", [shape], 32616)
    seen: list[int] = []

    class Watch(OutlineNumbers if outlines else FindNumbers):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(images.shape[-1] * images.shape[-2])
            return super().forward(images)

    answers = []
    for kept in (None, [mask, "mask"]):
        for fixed in (None, 96):
            seen.append(0)
            network = Watch()
            network.fixed_tile = fixed
            output = str(tmp_path / "found.gpkg")
            values = DetectionOptions([source], "", output, tile_size=96, mask=kept)
            with make_job(source, make_model()) as job:
                detect(job, Engine(network, "cpu", "float32", 1), values, Progress())
            found = read_features(output)
            answers.append(sorted(each["geometry"].ExportToWkt() for each in found))
    assert answers[0] == answers[1] and answers[2] == answers[3]
    assert 0 < len(answers[2]) < len(answers[0])
    starts = [place for place, pixels_seen in enumerate(seen) if not pixels_seen]
    trimmed, whole, *_ = (sum(part) for part in np.split(seen, starts[1:]))
    assert trimmed < 0.8 * whole


def test_a_detector_of_the_project_looks_at_wide_tiles(tmp_path: Path) -> None:
    """Of tiles of 512 with a padding of 128, three quarters are seen by several."""
    network, sides = FindNumbers(), set()
    network.register_forward_pre_hook(lambda _, images: sides.add(images[0].shape[-1]))
    pixels = with_squares((1300, 1300), [(40 + 190 * i, 1250 - 170 * i) for i in range(7)], 40)
    source = write_raster(tmp_path / "a.tif", pixels)
    other = SimpleNamespace(loader="onnx", task=Task.DETECTION)
    for name, foreign in (("own", None), ("other", other)):
        model = dataclasses.replace(make_model(), foreign=foreign)
        options = DetectionOptions([source], "", str(tmp_path / f"{name}.gpkg"))
        sides.clear()
        with make_job(source, model) as job:
            detect(job, Engine(network, "cpu", "float32", 1), options, Progress())
        assert len(read_features(options.output)) == 7
        assert max(sides) == (800 if foreign is None else 512)


def test_without_suppression_between_tiles_nothing_is_found_twice(tmp_path: Path) -> None:
    source = write_raster(tmp_path / "a.tif", with_squares((200, 200), [(25, 30), (90, 90)]))
    assert len(find(source, tmp_path, run_nms=False)) == 2


def test_a_part_gives_what_the_whole_gives_there(tmp_path: Path) -> None:
    squares = [(col, row) for col in range(5, 180, 20) for row in range(5, 180, 20)]
    source = write_raster(tmp_path / "a.tif", with_squares((200, 200), squares))
    output = str(tmp_path / "part.gpkg")
    model = write_model(tmp_path / "trees.dlpk", "TEST_NUMBERS")
    xmin, ymax = NORTH_UP[0] + 40, NORTH_UP[3] - 30
    options = DetectionOptions(
        [source], model, output, [xmin, ymax - 25, xmin + 35, ymax], tile_size=64, device="cpu"
    )
    run(options, Progress())
    boxes = sorted(pixel_box(each, NORTH_UP) for each in read_features(output))
    centres = [(col + 5, row + 5) for col, row in squares]
    inside = [(x, y) for x, y in centres if 80 <= x < 150 and 60 <= y < 110]
    assert boxes == sorted([x - 5, y - 5, x + 5, y + 5] for x, y in inside)


def test_only_inside_the_mask_and_where_there_are_data(tmp_path: Path) -> None:
    pixels = with_squares((200, 200), [(20, 20), (150, 20), (20, 150), (120, 150)]) + 5
    pixels[0, :100, 100:] = 0
    source = write_raster(tmp_path / "a.tif", pixels, nodata=0)
    x, y = NORTH_UP[0], NORTH_UP[3]
    left = f"POLYGON(({x} {y},{x + 50} {y},{x + 50} {y - 100},{x} {y - 100},{x} {y}))"
    mask = write_polygons(tmp_path / "mask.gpkg", [left], 32616)

    def all_but_ground(**options: Any) -> list[list[float]]:
        found = find(source, tmp_path, **options)
        boxes = [pixel_box(each, NORTH_UP) for each in found]
        return sorted(box for box in boxes if box[2] - box[0] == 10)

    assert len(all_but_ground()) == 3
    assert all_but_ground(mask=[mask, "mask"]) == [[20, 20, 30, 30], [20, 150, 30, 160]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32])
def test_every_data_type(tmp_path: Path, dtype: Any) -> None:
    pixels = with_squares((90, 90), [(30, 40)]).astype(dtype)
    if dtype is np.float32:
        pixels[0, 60:, 60:] = np.nan
    found = find(write_raster(tmp_path / "a.tif", pixels), tmp_path)
    assert [pixel_box(each, NORTH_UP) for each in found] == [[30, 40, 40, 50]]


def test_only_the_classes_that_are_wanted(tmp_path: Path) -> None:
    pixels = with_squares((90, 90), [(10, 10), (50, 50)])
    pixels[pixels == 2] = 10_002
    source = write_raster(tmp_path / "a.tif", pixels)
    assert [each["Class"] for each in find(source, tmp_path, classes=["car"])] == ["Car"]
    assert [each["Class"] for each in find(source, tmp_path, classes=["3"])] == ["Tree"]


def test_the_whole_task_from_a_package(tmp_path: Path) -> None:
    source = write_raster(tmp_path / "a.tif", with_squares((90, 90), [(30, 40)]))
    model = write_model(tmp_path / "trees.dlpk", "TEST_NUMBERS")
    output = str(tmp_path / "new" / "found.geojson")
    result = run(DetectionOptions([source], model, output, class_field="kind"), Progress())
    assert result == {"output": output, "object_count": 1}
    assert read_features(output)[0]["kind"] == "Tree"
    reader = VectorReader(output)
    assert same_crs(reader.crs, "EPSG:32616")


class CancelLate(Progress):
    def __init__(self, calls: int) -> None:
        self.calls = calls

    def cancelled(self) -> bool:
        self.calls -= 1
        return self.calls < 0


def test_cancelling_leaves_nothing(tmp_path: Path) -> None:
    source = write_raster(tmp_path / "a.tif", with_squares((400, 400), [(30, 40), (300, 300)]))
    output = tmp_path / "out" / "found.gpkg"
    with make_job(source, make_model()) as job, pytest.raises(CancelledError):
        options = DetectionOptions([source], "", str(output), tile_size=64)
        detect(job, Engine(FindNumbers(), "cpu", "float32", 1), options, CancelLate(5))
    assert list(output.parent.iterdir()) == []


def test_boxes_that_are_lines_or_points_are_no_objects() -> None:
    boxes = torch.tensor([[1.0, 1, 9, 9], [4, 4, 4, 8], [4, 4, 8, 4], [5, 5, 5, 5]])
    found = {"boxes": boxes, "scores": torch.ones(4), "labels": torch.arange(4)}
    assert as_arrays(found).labels.tolist() == [0]


def test_a_result_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    source = write_raster(tmp_path / "a.tif", with_squares((90, 90), [(30, 40)]))
    assert len(find(source, tmp_path)) == len(find(source, tmp_path)) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "found.gpkg"]
