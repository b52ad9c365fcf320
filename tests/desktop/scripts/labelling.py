"""Runs inside QGIS: a session of labelling, from the classes to the chips, all from the dock."""

from __future__ import annotations

import os
import signal
import sys
from math import cos, pi, sin
from typing import Any

sys.path.insert(0, os.environ["GEODL_TEST_SCRIPTS"])

from driver import FOLDER, click, drive, finish, pause, photograph_screen, wait_until
from mouse import Hand
from places import CLASSES, OUTLINE, REACH, RECTANGLES, SEGMENTS
from qgis.core import (
    QgsPointXY,
    QgsProject,
    QgsSnappingConfig,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QApplication, QWidget
from qgis.utils import iface
from session import (
    SAMPLES,
    SCENE,
    action,
    draw_all,
    make_layer,
    open_dock,
    rows,
    show_the_scene,
    type_class,
)

CHIPS = FOLDER / "chips"
DIES = bool(os.environ.get("GEODL_TEST_DIES"))


def step_back(dock: Any, found: dict[str, Any]) -> None:
    """Undo and redo with QGIS's own buttons, give another class, delete, vertices too."""
    layer = dock.samples.layer
    found["clean"] = not layer.isModified()
    found["undo_text"] = layer.undoStack().undoText()
    action("mActionUndo").trigger()
    found["undone"] = len(rows())
    action("mActionRedo").trigger()
    found["redone"] = len(rows())
    features = sorted(layer.allFeatureIds())
    dock.list.choose({features[0]})
    dock.list.class_menu.actions()[2].trigger()
    found["reassigned"] = rows(features[0])[0]
    action("mActionUndo").trigger()
    found["reassign_undone"] = rows(features[0])[0]
    # What QGIS's own tools do is saved and can be undone too.
    layer.beginEditCommand("Move a vertex")
    geometry = layer.getFeature(features[2]).geometry()
    geometry.translate(1.0, 0.0)
    layer.changeGeometry(features[2], geometry)
    layer.endEditCommand()
    before = rows(features[2])[0]["box"]
    pause(0.3)
    found["moved"] = rows(features[2])[0]["box"][0] - before[0]
    action("mActionUndo").trigger()
    found["moved_back"] = rows(features[2])[0]["box"][0] - before[0]
    layer.selectByIds([features[-1]])
    dock.bar.buttons["rectangle"].trigger()
    Hand().key(Qt.Key.Key_Delete)
    found["deleted"] = len(rows())
    action("mActionUndo").trigger()
    found["undeleted"] = len(rows())
    layer.removeSelection()


def use_qgis(dock: Any, hand: Hand, found: dict[str, Any]) -> None:
    """Split a sample, draw on a vertex that snaps, cancel a drag."""
    layer, project = dock.samples.layer, QgsProject.instance()
    feature = sorted(layer.allFeatureIds())[3]
    whole = rows(feature)[0]
    middle = (whole["box"][0] + whole["box"][2]) / 2
    layer.selectByIds([feature])
    layer.beginEditCommand("Split")
    layer.splitFeatures(
        [QgsPointXY(middle, whole["box"][1] - 9), QgsPointXY(middle, whole["box"][3] + 9)]
    )
    layer.endEditCommand()
    pause(0.3)
    found["split"] = [each for each in rows() if each["box"][1::2] == whole["box"][1::2]]
    action("mActionUndo").trigger()
    found["unsplit"] = [len(rows()), rows(feature)[0] == whole]
    layer.removeSelection()
    former = project.snappingConfig()
    snapping = QgsSnappingConfig(former)
    snapping.setEnabled(True)
    snapping.setMode(QgsSnappingConfig.SnappingMode.AllLayers)
    snapping.setTypeFlag(QgsSnappingConfig.SnappingTypes.VertexFlag)
    snapping.setTolerance(14)
    project.setSnappingConfig(snapping)
    utils, corner = iface.mapCanvas().snappingUtils(), QgsPointXY(*whole["box"][0::3])
    utils.setConfig(snapping)
    # QGIS indexes the corners in a thread of its own.
    found["indexed"] = wait_until(lambda: utils.snapToMap(corner).isValid())
    dock.bar.buttons["rectangle"].trigger()
    left, top, _, _ = RECTANGLES[1]
    hand.drag([(left + 0.008, top - 0.006), (left - 0.05, top - 0.05), (left - 0.08, top - 0.08)])
    found["snapped"] = [rows()[-1]["box"][2:0:-1], whole["box"][0::3]]
    project.setSnappingConfig(former)
    iface.mapCanvas().snappingUtils().setConfig(former)
    action("mActionUndo").trigger()
    hand.drag([(0.5, 0.5), (0.6, 0.6)], let_go=False)
    hand.key(Qt.Key.Key_Escape)
    hand.let_go(0.6, 0.6)
    found["cancelled"] = len(rows())


def merge_classes(dock: Any, found: dict[str, Any]) -> None:
    """Merge a class into another, and take both steps back."""
    nodes = {node.name: node.definition for node in dock.editor.document.walk()}
    dock.editor.merge_wanted.emit(nodes[CLASSES[2]], nodes[CLASSES[1]])
    found["merged"] = [count(CLASSES[1]), len(dock.editor.document)]
    dock.editor.undo_stack.undo()
    action("mActionUndo").trigger()
    found["unmerged"] = [count(CLASSES[1]), len(dock.editor.document)]


def count(name: str) -> int:
    """Return how many samples have a class."""
    return [each["name"] for each in rows()].count(name)


def change_classes(dock: Any, found: dict[str, Any]) -> None:
    """Rename and renumber a class that has samples; try to remove it; undo."""
    editor = dock.editor
    editor.tree.choose_place(0)
    value = editor.current().value
    item = editor.tree.currentItem()
    item.setText(0, "Trees")
    pause(0.2)
    found["renamed"] = count("Trees")
    editor.tree.items()[0].setText(1, "50")
    editor.tree.items()[0].setData(1, int(Qt.ItemDataRole.EditRole), 50)
    pause(0.2)
    found["renumbered"] = [each["value"] for each in rows()].count(50)
    editor.remove()
    found["refused"] = dock.notice.text
    editor.undo_stack.undo()
    editor.undo_stack.undo()
    pause(0.2)
    found["class_undone"] = [(each["name"], each["value"]) for each in rows()].count(
        (CLASSES[0], value)
    )
    dock.notice.clear()


def export(dock: Any, found: dict[str, Any]) -> None:
    """Export with the tool that the dock opens, inspect the chips, go on to a training."""
    click(dock.export_button)
    dialog = open_tool()
    given = dialog.createProcessingParameters()
    found["given"] = {name: str(given.get(name)) for name in ("INPUT", "LABELS", "CLASS_FIELD")}
    found["layers"] = [dock.sources.raster().source(), dock.samples.layer.id()]
    sizes = {"TILE_SIZE_X": 64, "TILE_SIZE_Y": 64, "STRIDE_X": 64, "STRIDE_Y": 64}
    dialog.setParameters({**given, **sizes, "OUTPUT": str(CHIPS)})
    pause(0.3)
    click(dialog.runButton())
    wait_until(lambda: dialog.results(), 60)
    found["results"] = {name: str(value) for name, value in dialog.results().items()}
    dialog.close()
    found["led_on"] = dock.notice.text
    inspect(dock, found)
    (train,) = [each for text, each in dock.notice._actions.items() if "Train" in text]
    train()
    pause(0.5)
    training = iface.mainWindow().findChild(QWidget, "geodl_training_dock")
    found["trains_on"] = training.form.parameters()["INPUT"]


def open_tool() -> QWidget:
    """Return the tool whose dialog opens."""

    def tools() -> list[QWidget]:
        return [
            each
            for each in QApplication.topLevelWidgets()
            if each.inherits("QgsProcessingAlgorithmDialogBase") and each.isVisible()
        ]

    wait_until(tools, 10)
    (dialog,) = tools()
    return dialog


def inspect(dock: Any, found: dict[str, Any]) -> None:
    """Inspect the chips with the tool that the dock opens."""
    click(dock.inspect_button)
    dialog = open_tool()
    given = dialog.createProcessingParameters()
    found["inspects"] = str(given.get("INPUT"))
    dialog.setParameters({**given, "OUTPUT": str(FOLDER / "inspection.html")})
    pause(0.3)
    click(dialog.runButton())
    wait_until(lambda: dialog.results(), 60)
    found["inspection"] = {name: str(value) for name, value in dialog.results().items()}
    dialog.close()


def leave(dock: Any, found: dict[str, Any]) -> None:
    """Close the dock, take the layer away, open the file again."""
    layer = dock.samples.layer
    dock.close()
    pause(0.2)
    found["editing"] = layer.isEditable()
    QgsProject.instance().removeMapLayer(layer.id())
    pause(0.2)
    found["left"] = dock.samples is None
    open_dock()
    dock.take_file(str(SAMPLES))
    pause(0.2)
    found["again_nested"] = [len(node.children) for node in dock.editor.document.nodes]
    found["again"] = [(node.name, node.value) for node in dock.editor.document.walk()]
    project, path = QgsProject.instance(), str(FOLDER / "labelled.qgs")
    project.write(path)
    project.clear()
    pause(0.2)
    found["cleared"] = dock.samples is None
    project.read(path)
    pause(0.2)
    found["read"] = dock.samples is not None and dock.samples.layer.source()


def visit(dock: Any, found: dict[str, Any]) -> None:
    """Go from sample to sample."""
    canvas = iface.mapCanvas()
    seen = []
    for _ in range(2):
        click(dock.list.next_button)
        (feature,) = dock.list.chosen()
        box = dock.samples.layer.getFeature(feature).geometry().boundingBox()
        seen.append(canvas.extent().contains(box) and canvas.extent().width() < 8 * box.width())
    found["visited"] = seen
    dock.samples.layer.removeSelection()


def steps(found: dict[str, Any]) -> None:
    """Label the scene."""
    QApplication.setCursorFlashTime(0)
    show_the_scene()
    dock = open_dock()
    for place, name in enumerate(CLASSES):
        type_class(dock, name, inside=place == 1)
    make_layer(dock)
    found["classes"] = [(node.name, node.value) for node in dock.editor.document.walk()]
    found["nested"] = [len(node.children) for node in dock.editor.document.nodes]
    extent = QgsProject.instance().mapLayersByName(SCENE.stem.capitalize())[0].extent()
    iface.mapCanvas().setExtent(extent)
    pause(0.5)
    hand = Hand()
    draw_all(dock, hand)
    found["samples"] = rows()
    if DIES:
        finish(found)
        os.kill(os.getpid(), signal.SIGKILL)
    step_back(dock, found)
    use_qgis(dock, hand, found)
    merge_classes(dock, found)
    change_classes(dock, found)
    visit(dock, found)
    iface.mapCanvas().setExtent(extent)
    take_pictures(dock, hand)
    export(dock, found)
    leave(dock, found)


def take_pictures(dock: Any, hand: Hand) -> None:
    """Photograph each way to draw, while it is done."""
    dock.samples.remove([sorted(dock.samples.layer.allFeatureIds())[-1]])  # the whole image
    wait_until(lambda: not iface.mapCanvas().isDrawing(), 10)
    dock.bar.buttons["image"].trigger()
    hand.move(0.5, 0.5)
    pause(0.3)
    photograph_screen("labelling-image")
    take_segment(dock, hand)
    dock.bar.buttons["rectangle"].trigger()
    left, _, right, _ = RECTANGLES[0]
    hand.drag([(left, 0.8), ((left + right) / 2, 0.85), (right, 0.9)], let_go=False)
    photograph_screen("labelling-rectangle")
    hand.key(Qt.Key.Key_Escape)
    hand.let_go(right, 0.9)
    dock.bar.buttons["circle"].trigger()
    hand.drag([(0.5, 0.8), (0.53, 0.8), (0.56, 0.8)], let_go=False)
    photograph_screen("labelling-circle")
    hand.key(Qt.Key.Key_Escape)
    hand.let_go(0.56, 0.8)
    dock.editor.tree.choose_place(1)
    dock.bar.buttons["freehand"].trigger()
    angles = [pi * step / 40 for step in range(60)]
    hand.drag([(0.5 + 0.08 * cos(a), 0.8 + 0.06 * sin(a)) for a in angles], let_go=False)
    photograph_screen("labelling-freehand")
    hand.key(Qt.Key.Key_Escape)
    hand.let_go(0.5, 0.8)
    dock.editor.tree.choose_place(0)
    dock.bar.buttons["polygon"].trigger()
    for point in OUTLINE[:-1]:
        hand.move(*point)
        hand.click(*point)
    hand.move(*OUTLINE[-1])
    pause(0.5)
    photograph_screen("label_dock")
    hand.key(Qt.Key.Key_Escape)


def take_segment(dock: Any, hand: Hand) -> None:
    """Gather segments, and photograph them before they are a sample."""
    tool = dock.bar.tools["segment"]
    dock.bar.buttons["segment"].trigger()
    tool.set_reach(REACH)
    for point in SEGMENTS:
        hand.move(*point)
        hand.click(*point, modifiers=Qt.KeyboardModifier.ShiftModifier)
        wait_until(lambda: not tool.busy, 20)
    pause(0.3)
    photograph_screen("labelling-segment")
    hand.key(Qt.Key.Key_Escape)


drive(steps)
