"""The arguments of a model's own Python function in the dialogs of a real QGIS window."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from geodl_plugin.core.packages.archive import write_package
from geodl_plugin.core.packages.definition import ModelDefinition
from tests.desktop.chips import write_model, write_raster
from tests.desktop.windows import Window

pytestmark = pytest.mark.timeout(240)

FUNCTION = """
import json, os, sys, time
import numpy as np

HERE = {folder!r}

class Finder:
    def initialize(self, **kw):
        open(os.path.join(HERE, "ran"), "w").close()

    def getParameterInfo(self):
        {body}
        return [
            {{"name": "raster", "dataType": "raster", "value": None, "required": True}},
            {{"name": "least", "dataType": "numeric", "value": 50, "required": False,
              "displayName": "Least value", "description": "Darker pixels are no object."}},
            {{"name": "mode", "dataType": "string", "value": "box", "domain": ("box", "turned"),
              "displayName": "Form of the outlines"}},
            {{"name": "split", "dataType": "boolean", "value": True}},
            {{"name": "größe", "dataType": "string", "value": None, "required": True}},
            {{"name": "a;b", "dataType": "string", "value": "x"}},
            {{"name": "threshold", "dataType": "numeric", "value": 0.35}},
            {{"name": "padding", "dataType": "numeric", "value": 4}},
            {{"name": "tile_size", "dataType": "numeric", "value": 56}},
        ]

    def getConfiguration(self, **scalars):
        self.least, self.mode = scalars["least"], scalars["mode"]
        return {{"extractBands": (0,), "padding": 4, "tx": 56, "ty": 56, "fixedTileSize": 1}}

    def vectorize(self, **blocks):
        features = []
        for number in np.unique(blocks["raster_pixels"]):
            if number < self.least:
                continue
            rows, cols = np.nonzero(blocks["raster_pixels"][0] == number)
            left, right = int(cols.min()) - 4, int(cols.max()) - 3
            top, bottom = int(rows.min()) - 4, int(rows.max()) - 3
            ring = [[left, top], [right, top], [right, bottom], [left, bottom]]
            if self.mode == "turned":
                ring = [[(left + right) / 2, top], [right, (top + bottom) / 2],
                        [(left + right) / 2, bottom], [left, (top + bottom) / 2]]
            features.append({{"attributes": {{"Classname": "Tree", "Confidence": "80"}},
                              "geometry": {{"rings": [ring]}}}})
        return {{"output_vectors": json.dumps({{"features": features}})}}
"""
SLOW = "open(os.path.join(HERE, '{}.pid'), 'w').write(str(os.getpid())); time.sleep(100)"
MODELS = {
    "finder": ("ObjectDetection", "pass"),
    "pixels": ("ImageClassification", "pass"),
    "raises": ("ObjectDetection", "raise ValueError('not today')"),
    "dies": ("ObjectDetection", "os.kill(os.getpid(), 9)"),
    "vanished": ("ObjectDetection", "time.sleep(1); raise ValueError('vanished')"),
    "noisy": ("ObjectDetection", 'print(\'{"event": "result"}\' * 99999)'),
    "slow": ("ObjectDetection", SLOW.format("slow")),
    "objects": ("ObjectClassification", SLOW.format("objects")),
    "quitting": ("ObjectClassification", SLOW.format("quitting")),
}


def write_function(folder: Path, name: str, task: str, body: str) -> None:
    """Write a package with a function."""
    definition = {
        "Framework": "PyTorch",
        "ModelType": task,
        "ModelFile": "weights.bin",
        "InferenceFunction": "Finder.py",
        "ImageHeight": 64,
        "ImageWidth": 64,
        "ExtractBands": [0],
        "Classes": [{"Value": 1, "Name": "Tree"}],
    }
    text = FUNCTION.format(folder=str(folder), body=body)
    files = {"Finder.py": text.encode(), "weights.bin": b"x"}
    write_package(folder / f"{name}.dlpk", ModelDefinition(definition, name), files)


@pytest.fixture(scope="module")
def window(qgis_window: Callable[..., Window], tmp_path_factory: pytest.TempPathFactory) -> Window:
    """Return what the script saw."""
    folder = tmp_path_factory.mktemp("functions")
    for name, (task, body) in MODELS.items():
        write_function(folder, name, task, body)
    write_model(folder / "plain.dlpk")
    write_model(folder / "fixed.dlpk", SupportsVariableTileSize=False)
    pixels = np.zeros((1, 60, 60), np.uint8)
    pixels[0, 10:20, 10:22], pixels[0, 30:40, 30:42] = 100, 102
    write_raster(folder / "scene.tif", pixels, 510_000, 5_000_000)
    variables = {
        "GEODL_TEST_MODELS": str(folder),
        "GEODL_TEST_SCENE": str(folder / "scene.tif"),
        "GEODL_PYTHON": sys.executable,
    }
    seen = qgis_window("function_fields", variables, timeout=200)
    seen.found["left"] = stays(int((folder / "quitting.pid").read_text()))
    return seen


def stays(process: int) -> bool:
    """Return whether a process is there after some seconds; what has ended is soon taken away."""
    for _ in range(200):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    return True


def test_nothing_runs_before_the_consent(window: Window) -> None:
    """Without the tick the model says why it does not run, and the form is the tool's own."""
    problem, same, noted = window.found["before"]
    assert "runs Python code of its author, Finder.py" in problem
    assert (same, noted, window.found["ran_unasked"]) == (True, False, False)


def test_the_fields_appear_while_the_window_stays_free(window: Window) -> None:
    assert window.found["asking"] == "Reading the model's arguments…"
    assert window.found["came"]
    assert window.stayed_free
    assert window.found["fields"] == [True, ["least", "mode", "split", "größe"]]
    assert window.found["threshold"] == 0.35
    assert window.found["untouched"] == ["", "", False]


def test_the_tool_gets_what_was_changed(window: Window) -> None:
    assert window.found["changed"] == "least=101;mode=turned"
    # Of two squares one is bright enough; the turned one is half of 120 pixels.
    assert window.found["areas"] == [15]


def test_fields_go_and_come_back_with_their_values(window: Window) -> None:
    text = "least=101;mode=turned;größe=5"
    assert window.found["looked_again"]
    assert window.found["unticked"] == [False, text, text]
    assert window.found["again"]
    assert window.found["restored"] == [101, "", text]


def test_what_fails_is_one_sentence_and_leaves_the_line(window: Window) -> None:
    text = "least=101;mode=turned;größe=5"
    for name, part in (
        ("raises", "failed (ValueError: not today)"),
        ("dies", "ended by itself"),
        ("vanished", ""),
    ):
        said, shown, told = window.found["failed"][name]
        assert part in said
        assert "\n" not in said
        assert (shown, told) == (True, text), name
    assert window.found["failed"]["noisy"] == ["", True, text]
    assert window.found["noisy"]


def test_what_the_next_model_fixes_is_its_own(window: Window) -> None:
    assert window.found["fixed"] == [[True, 56], [False, 400]]


def test_a_late_answer_is_dropped(window: Window) -> None:
    assert window.found["slow_ended"]
    last, note = window.found["stale"]
    assert last == "skip_unreadable"
    assert note == ""


def test_closing_the_dialog_ends_the_function(window: Window) -> None:
    assert window.found["closed"]
    assert window.found["closed_ended"]


def test_nothing_is_left_when_qgis_ends(window: Window) -> None:
    assert window.found["quitting"]
    assert not window.found["left"]


def test_the_text_of_the_history_is_kept(window: Window) -> None:
    text = sorted(["least=101", "padding=8", "größe=9"])
    for tool, (at_once, came, after, others) in window.found["history"].items():
        assert came, tool
        assert sorted(at_once.split(";")) == text, tool
        assert sorted(after.split(";")) == text, tool
        assert others == "", tool


def test_a_missing_environment_is_one_sentence(window: Window) -> None:
    said, shown = window.found["no_python"]
    assert "/nowhere/python3" in said
    assert shown
