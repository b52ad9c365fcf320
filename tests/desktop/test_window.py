"""GeoDL in a real QGIS window: toolbox, dialog, and trainings that end badly."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.desktop.chips import write_model, write_scene
from tests.desktop.windows import SCRIPTS, Window

pytestmark = pytest.mark.timeout(150)


@pytest.fixture(scope="module")
def window(qgis_window: Callable[..., Window], tmp_path_factory: pytest.TempPathFactory) -> Window:
    """Return what the script saw, with a stand-in for the worker's Python."""
    folder = tmp_path_factory.mktemp("data")
    variables = {
        "GEODL_FAKE_PYTHON": str(SCRIPTS / "fake_worker.py"),
        "GEODL_TEST_CHIPS": str(folder),
        "GEODL_TEST_SCENE": os.environ.get("GEODL_TEST_SCENE")
        or str(write_scene(folder / "scene.tif")),
        "GEODL_TEST_MODEL": os.environ.get("GEODL_TEST_MODEL")
        or str(write_model(folder / "trees.dlpk")),
    }
    return qgis_window("window", variables)


def test_the_toolbox_has_the_tools(window: Window) -> None:
    """The group GeoDL stands in the toolbox with its tools, and QGIS has not loaded torch."""
    assert "GeoDL" in window.found["groups"]
    assert {"geodl:detectobjects", "geodl:trainmodel"} <= set(window.found["tools"])
    assert not window.found["torch"]


def test_a_tools_dialog_opens(window: Window) -> None:
    """The dialog of a tool opens, and is what it says."""
    assert "Detect" in window.found["dialog"]
    assert window.picture("detect_objects").width() > 400


def test_the_setup_dialog_tells_the_state(window: Window) -> None:
    """It names what is there, or what is missing."""
    assert window.found["setup_ready"].startswith("Ready: PyTorch 2.9.0 on cpu")
    assert "GDAL 3.6.2" in window.found["setup_log"]
    assert "There is no Python at '/nowhere/python3'." in window.found["setup_missing"]
    assert window.found["setup_again"]


def test_a_start_without_data_is_refused(window: Window) -> None:
    """One sentence says what is missing."""
    assert window.found["nothing_chosen"] == "Choose the folder of the training data."


def test_the_dock_leads_to_the_tool(window: Window) -> None:
    """Who needs more options finds them in the tool."""
    assert "Train" in window.found["all_options"]


def test_two_docks_are_tabs(window: Window) -> None:
    """One above the other they make the window higher than a laptop's screen."""
    assert window.found["tabbed"]
    assert window.found["raised"]
    assert window.found["grown"] == 0


def test_a_cancelled_worker_ends(window: Window) -> None:
    """A worker that does not listen is ended too, and none is left behind."""
    assert window.found["cancel_started"]
    assert window.found["cancel_ended"]
    assert not window.found["cancel_alive"]
    assert window.found["cancel_notice"] == "The training was cancelled."


def test_a_killed_worker_is_one_sentence(window: Window) -> None:
    """The dock says what happened and what to do, and is ready for the next training."""
    notice = window.found["killed_notice"]
    assert "was killed, probably because the machine ran out of memory" in notice
    assert "Traceback" not in notice
    assert window.found["killed_can_start"]


def test_an_error_of_the_worker_is_shown_as_it_is(window: Window) -> None:
    """The worker's own sentence reaches the dock unchanged."""
    assert window.found["fails_notice"].startswith("The folder 'chips' holds no chips.")


def test_unloading_the_plugin_ends_the_worker(window: Window) -> None:
    """Neither the worker nor the provider is left."""
    assert not window.found["unload_alive"]
    assert not window.found["unload_provider"]


def test_quitting_qgis_ends_the_worker(window: Window) -> None:
    """A training that still runs when QGIS quits is ended."""
    assert window.found["quit_started"]
    assert not Path(f"/proc/{window.found['quit_pid']}").exists()


def test_the_curve_is_drawn(window: Window) -> None:
    """Both lines are in the picture: they have their colours, over the width of the chart."""
    picture = window.picture("dock-works")
    for color in ("#2a7ab9", "#e0561b"):
        columns = columns_with(picture, color)
        assert len(columns) > 0.4 * picture.width(), color


def columns_with(picture: object, color: str) -> set[int]:
    """Return the columns of a picture that have a pixel of this colour."""
    from qgis.PyQt.QtGui import QColor

    wanted = QColor(color).rgb()
    return {
        x
        for x in range(picture.width())
        for y in range(picture.height())
        if picture.pixel(x, y) == wanted
    }
