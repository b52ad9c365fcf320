"""Clicking on segments in a real QGIS window, with a real worker."""

from __future__ import annotations

import sys
from collections.abc import Callable
from math import pi
from pathlib import Path

import numpy as np
import pytest

from tests.desktop.chips import draw, write_raster
from tests.desktop.windows import Window

pytestmark = pytest.mark.timeout(240)
SIDE, CELL = 224, 0.5


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """Return a scene of bright discs, and their boxes in pixels."""
    pixels, boxes = draw(np.random.default_rng(2), SIDE, SIDE, 16)
    path = tmp_path_factory.mktemp("data") / "scene.tif"
    write_raster(path, pixels, 510_000, 5_000_000)
    return path, np.array(boxes)


@pytest.fixture(scope="module")
def window(qgis_window: Callable[..., Window], discs: tuple[Path, np.ndarray]) -> Window:
    """Return what the script saw."""
    path, boxes = discs
    middles = (boxes[:5, :2] + boxes[:5, 2:]) / 2 / SIDE
    variables = {
        "GEODL_TEST_SCENE": str(path),
        "GEODL_TEST_DISCS": " ".join(f"{x:.4f},{y:.4f}" for x, y in middles),
        "GEODL_PYTHON": sys.executable,
    }
    return qgis_window("segments", variables, timeout=180)


def area(boxes: np.ndarray, *numbers: int) -> float:
    """Return the area of discs in square metres."""
    return float(sum(pi * ((boxes[n, 2] - boxes[n, 0]) / 2 * CELL) ** 2 for n in numbers))


def test_a_click_makes_a_sample_of_the_object(window: Window, discs) -> None:
    """Its outline is the disc's, its class the current one, its pixels are counted."""
    assert window.found["came"]
    (sample,) = window.found["one"]
    assert sample["name"] == "Disc" and sample["valid"]
    assert sample["area"] == pytest.approx(area(discs[1], 0), rel=0.08)
    assert sample["count"] == round(sample["area"] / CELL**2)


def test_the_window_answers_meanwhile(window: Window) -> None:
    """The worker looks; QGIS draws on."""
    assert window.found["busy"]
    assert window.stayed_free


def test_segments_gather(window: Window, discs) -> None:
    """With Shift nothing is written until the right button; what touches is one sample."""
    assert window.found["gathering"] == 1
    one, two = window.found["gathered"]
    assert one["valid"] and two["valid"]
    areas = [area(discs[1], 1), area(discs[1], 2)]
    assert sorted([one["area"], two["area"]]) == pytest.approx(sorted(areas), rel=0.1)


def test_a_later_click_takes_the_place_of_an_earlier(window: Window, discs) -> None:
    """Only the last object is a sample; Esc gives the search up."""
    (sample,) = window.found["replaced"]
    assert sample["area"] == pytest.approx(area(discs[1], 4), rel=0.08)
    assert window.found["given_up"]
    assert window.found["after_escape"] == 4


def test_a_click_beside_the_image_is_a_sentence(window: Window) -> None:
    """It names the image and the way out."""
    assert window.found["sentence"] == ("This place lies outside 'scene.tif'. Click on the image.")


def test_the_circle_is_set_by_key_and_field(window: Window) -> None:
    """Both show the same, while the tool is in use."""
    before, after, shown, visible = window.found["reaches"]
    assert (before, after, shown) == (36, 45, 45)
    assert visible and window.found["hidden"]
