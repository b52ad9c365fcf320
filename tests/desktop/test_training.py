"""A real training in a real QGIS window: the dock starts it, shows it and uses its model."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.desktop.chips import write_chips, write_scene
from tests.desktop.windows import FEW, PATIENCE, Window

pytestmark = pytest.mark.timeout(2 * PATIENCE + 60)


@pytest.fixture(scope="module")
def window(qgis_window: Callable[..., Window], tmp_path_factory: pytest.TempPathFactory) -> Window:
    """Return what the script saw."""
    folder = tmp_path_factory.mktemp("data")
    variables = {
        "GEODL_PYTHON": os.environ.get("GEODL_PYTHON", sys.executable),
        "GEODL_TEST_SECONDS": str(PATIENCE),
        # Threads that wait for each other on a busy machine take far longer than one.
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "GEODL_TEST_CHIPS": os.environ.get("GEODL_TEST_CHIPS")
        or str(write_chips(folder / "chips")),
        "GEODL_TEST_SCENE": os.environ.get("GEODL_TEST_SCENE")
        or str(write_scene(folder / "scene.tif")),
    }
    return qgis_window("training", variables, timeout=2 * PATIENCE + 40)


def test_the_model_is_there(window: Window) -> None:
    """The training ends well and writes one package."""
    assert len(window.found["models"]) == 1, window.found["notice"]
    assert "was trained in" in window.found["trained"]


def test_the_curve_grows_with_every_epoch(window: Window) -> None:
    """Every epoch is a point on both lines and a row in the table."""
    assert window.found["epochs"] >= 2
    assert window.found["points"] == [window.found["epochs"]] * 2


def test_the_progress_has_phases(window: Window) -> None:
    """The dock tells what is being done, how fast, and how long it still takes."""
    assert any(message.startswith("Training: ") for message in window.found["messages"])
    assert any(message.endswith(" left") for message in window.found["messages"])


def test_the_window_stays_responsive(window: Window) -> None:
    """The window answers all the time while the worker trains."""
    assert window.stayed_free and window.found["answered"][0] > 20 * FEW


def test_the_result_is_in_the_project(window: Window) -> None:
    """The model was applied to the chosen raster, and the styled layer added."""
    assert window.found["ended"] == [True], window.found["notice"]
    (layer,) = window.found["layers"]
    name, source, valid = layer
    assert valid
    assert name
    assert Path(source.split("|")[0]).suffix == ".gpkg"
    assert window.found["renderers"] == ["categorizedSymbol"]
