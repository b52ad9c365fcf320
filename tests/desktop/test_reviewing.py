"""Pre-labelling and reviewing by keys in a real QGIS window."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.desktop.chips import write_model, write_scene
from tests.desktop.windows import SCRIPTS, Window

pytestmark = pytest.mark.timeout(180)
# Parts of the scene's width and height, class value, confidence; not in the order of the latter.
BOXES = [
    [0.10, 0.10, 0.20, 0.20, 5, 71.0],  # the sample that was drawn
    [0.30, 0.10, 0.40, 0.20, 1, 93.0],
    [0.50, 0.10, 0.60, 0.20, 1, 51.0],
    [0.70, 0.10, 0.80, 0.20, 5, 62.0],
    [0.30, 0.40, 0.40, 0.50, 1, 55.0],
    [0.50, 0.40, 0.60, 0.50, 1, 88.0],
    [0.70, 0.40, 0.80, 0.50, 1, 60.0],
    [0.30, 0.70, 0.40, 0.80, 5, 75.0],
    [0.50, 0.70, 0.60, 0.80, 1, 68.0],
    [0.70, 0.70, 0.80, 0.80, 1, 79.0],
]
CLASSES = [
    {"Value": 1, "Name": "Tree", "Color": [34, 170, 68]},
    {"Value": 5, "Name": "Shadow", "Color": [120, 60, 200]},
]


@pytest.fixture(scope="module")
def window(qgis_window: Callable[..., Window], tmp_path_factory: pytest.TempPathFactory) -> Window:
    """Return what the script saw."""
    folder = tmp_path_factory.mktemp("data")
    boxes = folder / "boxes.json"
    boxes.write_text(json.dumps(BOXES), encoding="utf-8")
    variables = {
        "GEODL_PYTHON": str(SCRIPTS / "fake_worker.py"),
        "GEODL_FAKE": "finds",
        "GEODL_FAKE_BOXES": os.environ.get("GEODL_FAKE_BOXES", str(boxes)),
        "GEODL_FAKE_PID": str(folder / "pid"),
        "GEODL_TEST_MODEL": os.environ.get("GEODL_TEST_MODEL")
        or str(write_model(Path(folder) / "trees.dlpk", Classes=CLASSES)),
        "GEODL_TEST_SCENE": os.environ.get("GEODL_TEST_SCENE")
        or str(write_scene(folder / "scene.tif")),
    }
    return qgis_window("reviewing", variables, timeout=150)


def test_a_run_is_cancelled_and_leaves_nothing(window: Window) -> None:
    """Without a model there is a sentence; a worker that does not listen is ended."""
    assert window.found["no_model"] == "No model is chosen. Choose one that finds objects."
    assert window.found["busy"] == [True, False]
    assert window.found["cancelled"] == [True, 1]
    assert window.found["ended"]


def test_the_model_is_let_loose_on_what_the_map_shows(window: Window) -> None:
    """The extent is that of the map, in the coordinates of the image."""
    assert window.found["asked"] == pytest.approx(window.found["shown"])
    assert window.found["asked"][1] == pytest.approx(20.0)


def test_the_dock_keeps_its_width(window: Window) -> None:
    """A map that moves while one looks at it is a nuisance."""
    assert window.found["widths"][0] == window.found["widths"][1]


def test_what_the_model_finds_becomes_drafts(window: Window) -> None:
    """Classes join by name, clashes get another value; what is a sample already is left out."""
    assert window.found["found"].startswith("9 drafts were found. 1 more are samples already.")
    assert "The class 'Tree' of 'trees.dlpk' got the value 3: 1 is 'House'" in window.found["found"]
    assert window.found["count"] == "9 drafts to review"
    assert window.found["idle"] == [False, False, True]
    assert window.found["drafts"] == [51, 55, 60, 62, 68, 75, 79, 88, 93]
    assert window.found["labels"]
    assert window.found["classes"] == [["House", 1], ["Shadow", 2], ["Tree", 3]]


def test_the_window_stays_responsive(window: Window) -> None:
    """The model works in another process."""
    assert window.stayed_free


def test_keys_decide_the_least_certain_first(window: Window) -> None:
    """Every decision is in the file at once; what QGIS undoes is looked at again."""
    assert window.found["seen"] == [
        ["Tree, 51 % sure", "1 of 9"],
        ["Tree, 55 % sure", "2 of 9"],
        ["Tree, 60 % sure", "3 of 9"],
        ["Tree, 55 % sure", "2 of 9"],
        ["Shadow, 62 % sure", "4 of 9"],
        ["Tree, 68 % sure", "5 of 9"],
    ]
    assert window.found["accepted"] == [55, 60, 62, 68, 75, 79, 88, 93]
    assert window.found["rejected"] == [[60, 62, 68, 75, 79, 88, 93], 9]
    assert window.found["undone"] == [[55, 60, 62, 68, 75, 79, 88, 93], 10]
    # The third was skipped; the fourth is a shadow already, by its key too.
    assert window.found["another_class"] == [[60, 68, 75, 79, 88, 93], 3]
    assert window.found["text"] == ["Accept a draft", True]


def test_a_draft_is_fixed_with_the_tool_of_qgis(window: Window) -> None:
    """F hands it to the vertex tool, A accepts what was made of it."""
    assert window.found["fixing"] == [True, True]
    assert window.found["still_there"] == 1
    moved, confidence, tool = window.found["fixed"]
    assert moved == pytest.approx(3.0)
    assert (confidence, tool) == (None, False)
    assert window.found["pixels_follow"]


def test_keys_of_others_stay_theirs(window: Window) -> None:
    """Not while a name is typed, nor with Ctrl, nor while a shape is drawn."""
    assert window.found["left_alone"]
    assert window.found["drawing_class"] == "Shadow"
    assert (window.found["clicked"], window.found["key_on_button"]) == (1, 2)


def test_snapping_is_a_button_of_the_dock(window: Window) -> None:
    """It is QGIS's own, and shows whether it is on."""
    assert window.found["snapping"] == [True, True]


def test_many_are_decided_at_once_and_undone(window: Window) -> None:
    """By the confidence; one step of QGIS's undo brings all back."""
    done, text = window.found["ended_review"]
    assert done
    assert text == "Accepted: 4. Rejected: 2. Left: 3."
    before, after = window.found["accept_all"]
    assert after == [each for each in before if each < 80]
    assert window.found["accept_undone"] == before
    assert window.found["all_decided"] == [[], "No drafts to review", False]
    assert window.found["summary"] == "Accepted: 2. Rejected: 1. Left: 0."
    assert "House" not in window.found["samples"]
