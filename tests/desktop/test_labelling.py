"""A session of labelling in a real QGIS window, drawn with real mouse events."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from math import pi

import pytest

from geodl_plugin.core.chips.folder import open_folder
from geodl_plugin.core.geo.raster import Raster
from geodl_plugin.core.geo.shapes import window_bounds
from geodl_plugin.core.geo.vector import VectorReader
from tests.desktop.chips import write_scene
from tests.desktop.scripts.places import CIRCLES, LASSOS, POLYGONS, RECTANGLES
from tests.desktop.windows import Window

pytestmark = pytest.mark.timeout(240)
CLASSES = [("Tree", 1), ("Oak", 2), ("Shadow", 3), ("Site", 4)]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the raster to label."""
    given = os.environ.get("GEODL_TEST_SCENE")
    return given or str(write_scene(tmp_path_factory.mktemp("data") / "scene.tif"))


@pytest.fixture(scope="module")
def window(qgis_window: Callable[..., Window], scene: str) -> Window:
    """Return what the script saw."""
    variables = {"GEODL_TEST_SCENE": scene, "GEODL_PYTHON": sys.executable}
    return qgis_window("labelling", variables, timeout=180)


def to_map(scene: str, x: float, y: float) -> tuple[float, float]:
    """Return the map coordinates of a place in parts of the scene."""
    with Raster.open(scene) as raster:
        left, bottom, right, top = window_bounds(raster.window, raster.geotransform)
    return left + x * (right - left), top - y * (top - bottom)


def boxes(scene: str) -> list[list[float]]:
    """Return the bounds of the samples, as they were meant, in the order of drawing."""
    parts = [
        *((x - r, y - r, x + r, y + r) for x, y, r in CIRCLES),
        *RECTANGLES,
        *(
            (min(x for x, _ in p), min(y for _, y in p), max(x for x, _ in p), max(y for _, y in p))
            for p in POLYGONS
        ),
        *((x - r, y - r, x + r, y + r) for x, y, r in LASSOS),
        (0.0, 0.0, 1.0, 1.0),
    ]
    found = []
    for left, top, right, bottom in parts:
        west, north = to_map(scene, left, top)
        east, south = to_map(scene, right, bottom)
        found.append([west, south, east, north])
    return found


def test_the_classes_are_as_they_were_typed(window: Window) -> None:
    """Names, values in the order of adding, and one class inside another."""
    assert [tuple(each) for each in window.found["classes"]] == CLASSES
    assert window.found["nested"] == [1, 0, 0]


def test_ten_samples_are_in_the_file_with_their_classes(window: Window) -> None:
    """Each is in the GeoPackage as soon as it is drawn, with the class of the key."""
    names = [each["name"] for each in window.found["samples"]]
    assert names == ["Tree"] * 2 + ["Shadow"] * 3 + ["Oak"] * 4 + ["Site"]
    assert all(dict(CLASSES)[each["name"]] == each["value"] for each in window.found["samples"])


def test_the_samples_lie_where_they_were_drawn(window: Window, scene: str) -> None:
    """Every bound is within a few screen pixels of the place of the mouse."""
    with Raster.open(scene) as raster:
        left, _, right, _ = window_bounds(raster.window, raster.geotransform)
        cell = raster.geotransform.cell_area()
    near = 0.012 * (right - left)
    for sample, expected in zip(window.found["samples"], boxes(scene)):
        assert sample["box"] == pytest.approx(expected, abs=near), sample["name"]
        assert sample["valid"]
        assert sample["count"] == pytest.approx(sample["area"] / cell, abs=0.6)
    circle = window.found["samples"][0]
    width = circle["box"][2] - circle["box"][0]
    assert circle["area"] == pytest.approx(pi * width**2 / 4, rel=0.02)


def test_qgis_undoes_what_is_saved_already(window: Window) -> None:
    """QGIS's own undo and redo work on the file; nothing waits to be saved."""
    assert window.found["clean"]
    assert window.found["undo_text"] == "Draw Site"
    assert (window.found["undone"], window.found["redone"]) == (9, 10)
    assert window.found["reassigned"]["name"] == "Shadow"
    assert window.found["reassign_undone"]["name"] == "Tree"
    assert window.found["moved"] == pytest.approx(1.0)
    assert window.found["moved_back"] == pytest.approx(0.0)
    assert (window.found["deleted"], window.found["undeleted"]) == (9, 10)


def test_qgis_splits_and_snaps(window: Window) -> None:
    """QGIS's own split is saved with class and pixels, and undone; a corner snaps exactly."""
    one, two = window.found["split"]
    assert one["name"] == two["name"] == "Shadow"
    assert one["count"] == pytest.approx(two["count"], abs=1)
    assert window.found["unsplit"] == [10, True]
    assert window.found["indexed"]
    drawn, corner = window.found["snapped"]
    assert drawn == corner


def test_escape_cancels_a_drag(window: Window) -> None:
    """Also while the mouse button is down, when the map keeps keys to itself."""
    assert window.found["cancelled"] == 10


def test_classes_merge_and_part_again(window: Window) -> None:
    """The samples of one class become the other's; both undos bring all back."""
    assert window.found["merged"] == [7, 3]
    assert window.found["unmerged"] == [4, 4]


def test_closing_ends_the_editing_and_the_file_keeps_the_classes(window: Window) -> None:
    """The layer may leave the project; opened again, it has its classes, nested as they were."""
    assert not window.found["editing"]
    assert window.found["left"]
    assert [tuple(each) for each in window.found["again"]] == CLASSES
    assert window.found["again_nested"] == [1, 0, 0]


def test_a_project_opened_again_goes_on_with_its_samples(window: Window) -> None:
    """The only layer of samples in it is chosen."""
    assert window.found["cleared"]
    assert str(window.folder / "samples.gpkg") in window.found["read"]


def test_the_chips_lead_to_a_training(window: Window) -> None:
    """The dock says what was exported, and opens the training with it."""
    assert window.found["led_on"].endswith(f"are in {window.folder / 'chips'}.")
    assert window.found["trains_on"] == str(window.folder / "chips")


def test_samples_follow_their_class(window: Window) -> None:
    """A renamed and renumbered class takes its samples along, back too; it is not removed."""
    assert window.found["renamed"] == 2
    assert window.found["renumbered"] == 2
    assert window.found["refused"].startswith("'Trees' has 2 samples.")
    assert window.found["class_undone"] == 2


def test_the_next_sample_comes_into_view(window: Window) -> None:
    """The map goes from sample to sample."""
    assert window.found["visited"] == [True, True]


def test_the_tool_is_filled_in_and_exports(window: Window) -> None:
    """The dock leads to the tool, and the tool to chips of the classes."""
    raster, layer = window.found["layers"]
    assert raster in window.found["given"]["INPUT"]
    assert window.found["given"]["LABELS"] == layer
    folder = open_folder(window.folder / "chips")
    assert len(folder.chips) == int(window.found["results"]["CHIP_COUNT"]) > 0
    assert set(folder.schema.names) <= {"Tree", "Oak", "Shadow"}
    assert {value for each in folder.chips for value in folder.read_label(each).values} == set(
        folder.schema.values
    )


def test_the_chips_are_inspected_from_the_dock(window: Window) -> None:
    """The tool is filled in with the folder of the export, and finds nothing wrong in it."""
    assert window.found["inspects"] == str(window.folder / "chips")
    inspection = window.found["inspection"]
    assert inspection["CHIP_COUNT"] == window.found["results"]["CHIP_COUNT"]
    report = (window.folder / "inspection.html").read_text(encoding="utf-8")
    assert "Tree" in report and "Shadow" in report


def test_nothing_is_lost_when_qgis_dies(qgis_window: Callable[..., Window], scene: str) -> None:
    """QGIS is killed right after the last sample, without saving: all are in the file."""
    window = qgis_window("labelling", {"GEODL_TEST_SCENE": scene, "GEODL_TEST_DIES": "1"})
    reader = VectorReader(window.folder / "samples.gpkg")
    names = [each.attributes["Classname"] for each in reader.features()]
    assert names == [each["name"] for each in window.found["samples"]]
    assert len(names) == 10
