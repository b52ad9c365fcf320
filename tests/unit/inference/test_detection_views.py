"""Test-time augmentation of detectors: views turned back, boxes fused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geodl_plugin.core.errors import RasterError
from geodl_plugin.core.inference.detect import detect
from geodl_plugin.core.inference.detection_views import DetectionViews, turned_back
from geodl_plugin.core.inference.detections import Detections, as_arrays
from geodl_plugin.core.inference.engine import Engine
from geodl_plugin.core.inference.fusion import fuse
from geodl_plugin.core.inference.options import DetectionOptions
from geodl_plugin.core.inference.views import MAP_TURNS, dihedral

from .support import (
    FindNumbers,
    OutlineNumbers,
    make_job,
    make_model,
    read_features,
    write_raster,
)
from .test_engine import Heard
from .test_pixels import damaged

NOTHING = Detections.none()


def image_of(*boxes: tuple[int, int, int, int], side: int = 64) -> torch.Tensor:
    image = torch.zeros(1, 1, side, side)
    for number, (left, top, right, bottom) in enumerate(boxes, 1):
        image[0, 0, top:bottom, left:right] = number
    image[0, 0, 12, 8] = 0  # the first one is not the same in any two views
    return image


@pytest.mark.parametrize("turn", MAP_TURNS)
def test_what_a_view_shows_is_turned_back(turn: tuple[int, bool]) -> None:
    image = image_of((8, 12, 30, 20), (40, 3, 45, 60))
    network = OutlineNumbers()
    (there,) = network.detect(network(dihedral(*turn)[0](image)), (64, 64), 0.0)
    found = turned_back(as_arrays(there), 64, *turn)
    assert found.boxes.tolist() == [[8, 12, 30, 20], [40, 3, 45, 60]]
    for number, mask in enumerate(found.masks, 1):
        left, top, right, bottom = mask.box
        assert (mask.pixels == (image[0, 0, top:bottom, left:right] == number).numpy()).all()


def test_boxes_are_fused_as_the_paper_says() -> None:
    boxes = [[0, 0, 10, 10], [0, 0, 10, 12], [100, 0, 110, 10], [1, 0, 11, 10]]
    found = Detections.of(boxes, [0.9, 0.6, 0.8, 0.7], [0, 0, 0, 1])
    fused = fuse([found.take(np.array([0, 2, 3])), found.take(np.array([1])), *[NOTHING] * 2])
    assert fused.labels.tolist() == [0, 0, 1]
    assert fused.scores.tolist() == pytest.approx([0.75 * 2 / 4, 0.8 / 4, 0.7 / 4])
    assert fused.boxes[0].tolist() == pytest.approx([0, 0, 10, (0.9 * 10 + 0.6 * 12) / 1.5])
    assert len(fuse([NOTHING] * 8)) == 0


def test_more_boxes_than_views_are_not_surer_than_certain() -> None:
    boxes = np.tile([[0.0, 0, 10, 10]], (5, 1))
    found = Detections.of(boxes, np.full(5, 0.8), np.zeros(5))
    fused = fuse([found.take(np.arange(3)), found.take(np.arange(3, 5))])
    assert fused.scores.tolist() == pytest.approx([0.8, 0.8, 0.4])


class Shy(FindNumbers):
    """Is always equally sure."""

    def _find(self, numbers: np.ndarray) -> dict[str, Any]:
        found = super()._find(numbers)
        found["scores"] = torch.full((len(found["boxes"]),), 0.8)
        return found


def test_what_each_view_tells_apart_stays_two_objects() -> None:
    """With a large nms_overlap objects may overlap more than what two views show of one."""

    class Overlapping(Shy):
        def _find(self, numbers: np.ndarray) -> dict[str, Any]:
            boxes = torch.tensor([[20.0, 8, 40, 18], [24, 8, 44, 18]])  # the same from both sides
            labels = torch.zeros(2, dtype=torch.int64)
            return {"boxes": boxes, "scores": torch.full((2,), 0.8), "labels": labels}

    views = DetectionViews(Overlapping(), False, 0.9)
    (found,) = views.detect(views(image_of()), (64, 64), 0.3)
    assert sorted(found.boxes[:, 0].tolist()) == [20, 24]
    assert found.scores.tolist() == pytest.approx([0.8, 0.8])


def test_a_threshold_of_nothing_joins_what_has_no_score() -> None:
    fused = fuse([Detections.of([[0, 0, 10, end]], [0.0], [0]) for end in (10, 12)])
    assert fused.scores.tolist() == [0.0] and fused.boxes[0].tolist() == [0, 0, 10, 11]


def test_what_few_views_show_is_less_certain() -> None:
    class OneView(Shy):
        calls = 0

        def detect(self, *arguments: Any) -> list[dict[str, torch.Tensor]]:
            self.calls += 1
            found = super().detect(*arguments)
            return found if self.calls % 2 else [{k: v[:0] for k, v in found[0].items()}]

    image = image_of((8, 12, 30, 20))
    for network, score in ((Shy(), 0.8), (OneView(), 0.4)):
        views = DetectionViews(network, True, 0.1)
        (found,) = views.detect(views(image), (64, 64), 0.3)
        assert found.scores.tolist() == pytest.approx([score])
        assert found.boxes.tolist() == pytest.approx(np.array([[8, 12, 30, 20]]))
        (none,) = views.detect(views(image), (64, 64), 0.9)
        assert len(none) == 0


@pytest.mark.parametrize("kind, network", [
    ("TEST_NUMBERS", FindNumbers), ("TEST_OUTLINES", OutlineNumbers),
])  # fmt: skip
@pytest.mark.parametrize("map_space", [True, False])
def test_the_whole_road_finds_every_object_once(
    tmp_path: Path, kind: str, network: Any, map_space: bool
) -> None:
    pixels = np.zeros((1, 150, 170), np.uint16)
    corners = [(5, 7), (60, 10), (90, 90), (150, 140), (30, 120)]
    for number, (col, row) in enumerate(corners, 1):
        pixels[0, row : row + 8, col : col + 12] = number
    source = write_raster(tmp_path / "a.tif", pixels)
    output = str(tmp_path / "a.gpkg")
    options = DetectionOptions(
        [source], "", output, tile_size=64, padding=16, test_time_augmentation=True, threshold=0.3
    )
    with make_job(source, make_model(kind, map_space=map_space)) as job:
        engine = Engine(network(), "cpu", "float32", 2)
        detect(job, engine, options, Heard())
    found = read_features(output)
    areas = sorted(each["geometry"].GetArea() for each in found)
    assert areas == pytest.approx([24.0] * 5)


def test_nothing_is_found_where_a_raster_is_damaged(tmp_path: Path) -> None:
    source = damaged(tmp_path / "a.tif")
    for skip in (False, True):
        heard = Heard()
        with make_job(source, make_model()) as job:
            engine = Engine(FindNumbers(), "cpu", "float32", 2)
            options = DetectionOptions(
                [source], "", str(tmp_path / "a.gpkg"), tile_size=64, skip_unreadable=skip
            )
            if not skip:
                with pytest.raises(RasterError, match="cannot be read at column"):
                    detect(job, engine, options, heard)
                continue
            detect(job, engine, options, heard)
    assert any("Nothing is found there." in each for each in heard.warnings)
    assert (tmp_path / "a.gpkg").exists()
