"""Runs inside QGIS: a model pre-labels, and its drafts are reviewed by keys."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, os.environ["GEODL_TEST_SCRIPTS"])

from driver import Heartbeat, alive, click, drive, pause, photograph_screen, wait_until
from mouse import Hand
from qgis.core import QgsProject, QgsRectangle
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QLineEdit
from qgis.utils import iface
from session import SAMPLES, action, open_dock, rows, show_the_scene, type_class

MODEL = os.environ["GEODL_TEST_MODEL"]
CLASSES = os.environ.get("GEODL_TEST_CLASSES", "House,Shadow").split(",")
PID = Path(os.environ["GEODL_FAKE_PID"])


def press(key: Any, modifier: Any = Qt.KeyboardModifier.NoModifier) -> None:
    """Press a key while the map has the focus."""
    QTest.keyClick(iface.mapCanvas(), key, modifier)
    pause(0.15)


def drafts() -> list[int]:
    """Return the confidences of the drafts in the file."""
    return sorted(round(each["confidence"]) for each in rows() if each["confidence"] is not None)


def card(dock: Any) -> list[str]:
    """Return what the card shows."""
    shown = dock.review.panel.card
    return [shown.name.text(), shown.position.text()]


def find(dock: Any, found: dict[str, Any]) -> None:
    """Let the model find drafts, once cancelled and once to the end."""
    panel = dock.review.panel
    panel.setCollapsed(False)
    pause(0.3)
    click(panel.find_button)
    found["no_model"] = dock.notice.text
    panel.model.set_text(MODEL)
    os.environ["GEODL_FAKE"] = "stubborn"
    whole = iface.mapCanvas().extent()
    panel.area.setCurrentIndex(1)
    panel.threshold.setValue(30)
    scene = dock.sources.raster().extent()
    iface.mapCanvas().setExtent(QgsRectangle(scene.center(), scene.center()).buffered(10))
    pause(0.3)
    shown = iface.mapCanvas().extent().intersect(scene)
    widths = [dock.width(), iface.mapCanvas().width()]
    click(panel.find_button)
    wait_until(PID.exists, 20)
    pause(0.5)
    options = json.loads(PID.with_suffix(".json").read_text(encoding="utf-8"))
    west, south, east, north = options["extent"]
    found["asked"] = [east - west, north - south, options["threshold"]]
    found["shown"] = [shown.width(), shown.height(), 0.3]
    iface.mapCanvas().setExtent(whole)
    panel.area.setCurrentIndex(0)
    found["widths"] = [widths, [dock.width(), iface.mapCanvas().width()]]
    found["busy"] = [panel.cancel_button.isVisible(), panel.find_button.isVisible()]
    click(panel.cancel_button)
    found["cancelled"] = [wait_until(lambda: "Cancelled" in dock.notice.text, 8), len(rows())]
    found["ended"] = wait_until(lambda: not alive(PID), 3)
    os.environ["GEODL_FAKE"] = "finds"
    heart = Heartbeat()
    click(panel.find_button)
    wait_until(lambda: "found" in dock.notice.text, 30)
    found["answered"] = heart.stop()
    found["found"] = dock.notice.text
    pause(0.3)
    found["count"] = panel.count.text()
    found["idle"] = [panel.bar.isVisible(), panel.card.isVisible(), panel.find_button.isVisible()]
    found["drafts"] = drafts()
    found["labels"] = dock.samples.layer.labelsEnabled()
    found["classes"] = [(node.name, node.value) for node in dock.editor.document.walk()]
    wait_until(lambda: not iface.mapCanvas().isDrawing(), 10)
    photograph_screen("review-found")


def decide(dock: Any, found: dict[str, Any]) -> None:
    """Accept, reject, undo, skip, go back, give another class: by keys."""
    click(dock.review.panel.review_button)
    pause(0.5)
    seen = [card(dock)]
    press(Qt.Key.Key_A)
    seen.append(card(dock))
    found["accepted"] = drafts()
    press(Qt.Key.Key_R)
    seen.append(card(dock))
    found["rejected"] = [drafts(), len(rows())]
    action("mActionUndo").trigger()
    pause(0.3)
    seen.append(card(dock))
    found["undone"] = [drafts(), len(rows())]
    press(Qt.Key.Key_Delete)
    press(Qt.Key.Key_Right)
    press(Qt.Key.Key_S)
    press(Qt.Key.Key_Left)
    seen.append(card(dock))
    press(Qt.Key.Key_2)
    found["another_class"] = [drafts(), [each["name"] for each in rows()].count("Shadow")]
    seen.append(card(dock))
    found["seen"] = seen
    stack = dock.samples.layer.undoStack()
    found["text"] = [stack.undoText(), action("mActionUndo").isEnabled()]


def fix(dock: Any, found: dict[str, Any]) -> None:
    """Hand a draft to the vertex tool, move it and accept it."""
    layer = dock.samples.layer
    feature = dock.review.session.current.feature
    press(Qt.Key.Key_F)
    tool = action("mActionVertexToolActiveLayer")
    found["fixing"] = [dock.review.fixing, tool.isChecked()]
    press(Qt.Key.Key_R)  # belongs to the vertex tool now
    found["still_there"] = len(rows(feature))
    before = rows(feature)[0]
    layer.beginEditCommand("Move a vertex")
    geometry = layer.getFeature(feature).geometry()
    geometry.moveVertex(before["box"][0] - 3.0, before["box"][3], 0)
    geometry.moveVertex(before["box"][0] - 3.0, before["box"][3], 4)
    layer.changeGeometry(feature, geometry)
    layer.endEditCommand()
    press(Qt.Key.Key_A)
    after = rows(feature)[0]
    found["fixed"] = [before["box"][0] - after["box"][0], after["confidence"], tool.isChecked()]
    found["pixels_follow"] = after["count"] > before["count"]


def leave_keys_alone(dock: Any, hand: Hand, found: dict[str, Any]) -> None:
    """Keys are not the review's while a name is typed, in a field, with Ctrl, or while drawing."""
    before = drafts()
    dock.editor.tree.rename_current()
    (line,) = dock.editor.tree.findChildren(QLineEdit)
    QTest.keyClicks(line, "arsf12")
    QTest.keyClick(line, Qt.Key.Key_Escape)
    QTest.keyClick(dock.review.panel.limit, Qt.Key.Key_Return)
    press(Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    dock.samples.layer.removeSelection()
    dock.bar.buttons["rectangle"].trigger()
    press(Qt.Key.Key_2)
    found["drawing_class"] = dock.editor.current().name
    press(Qt.Key.Key_Return)
    action("mActionVertexToolActiveLayer").trigger()
    press(Qt.Key.Key_Delete)
    found["left_alone"] = drafts() == before
    iface.actionPan().trigger()
    buttons = dock.review.panel.card.buttons
    click(buttons["accept"])
    found["clicked"] = len(before) - len(drafts())
    QTest.keyClick(buttons["accept"], Qt.Key.Key_R)
    pause(0.2)
    found["key_on_button"] = len(before) - len(drafts())


def decide_many(dock: Any, found: dict[str, Any]) -> None:
    """Accept the certain ones, undo that, reject the others, and end."""
    panel = dock.review.panel
    press(Qt.Key.Key_Escape)
    found["ended_review"] = [dock.review.session is None, dock.notice.text]
    press(Qt.Key.Key_A)
    before = drafts()
    panel.limit.setValue(80)
    click(panel.accept_all)
    pause(0.2)
    found["accept_all"] = [before, drafts()]
    action("mActionUndo").trigger()
    pause(0.2)
    found["accept_undone"] = drafts()
    click(panel.review_button)
    click(panel.accept_all)
    pause(0.2)
    click(panel.reject_all)
    pause(0.3)
    found["all_decided"] = [drafts(), panel.count.text(), panel.review_button.isEnabled()]
    found["summary"] = dock.notice.text
    found["samples"] = [each["name"] for each in rows()]


def steps(found: dict[str, Any]) -> None:
    """Pre-label the scene and review."""
    QApplication.setCursorFlashTime(0)
    show_the_scene()
    dock = open_dock()
    for name in CLASSES:
        type_class(dock, name)
    dock.take_file(str(SAMPLES))
    extent = next(iter(QgsProject.instance().mapLayers().values())).extent()
    iface.mapCanvas().setExtent(extent)
    pause(0.5)
    hand = Hand()
    # A sample that the model finds too; it is of the class that the model calls the same.
    dock.editor.tree.choose_place(1)
    dock.bar.buttons["rectangle"].trigger()
    hand.drag([(0.1, 0.1), (0.15, 0.15), (0.2, 0.2)])
    snapping = dock.bar.buttons["EnableSnappingAction"]
    snapping.trigger()
    found["snapping"] = [QgsProject.instance().snappingConfig().enabled(), snapping.isChecked()]
    snapping.trigger()
    dock.samples.layer.setLabeling(None)
    dock.samples.layer.setLabelsEnabled(False)
    find(dock, found)
    decide(dock, found)
    wait_until(lambda: not iface.mapCanvas().isDrawing(), 10)
    photograph_screen("review")
    fix(dock, found)
    leave_keys_alone(dock, hand, found)
    decide_many(dock, found)


drive(steps)
