"""Runs inside QGIS: a session of labelling, from the classes to the chips, all from the dock."""

from __future__ import annotations

import os
import signal
import sys
from math import cos, pi, sin
from pathlib import Path
from typing import Any

sys.path.insert(0, os.environ["GEODL_TEST_SCRIPTS"])

from driver import FOLDER, click, drive, finish, pause, photograph_screen, wait_until
from mouse import Hand
from places import CIRCLES, LASSOS, POLYGONS, RECTANGLES
from qgis.core import QgsFeatureRequest, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QAction, QApplication, QFileDialog, QLineEdit, QWidget
from qgis.utils import iface

SCENE = Path(os.environ["GEODL_TEST_SCENE"])
SAMPLES = FOLDER / "samples.gpkg"
CHIPS = FOLDER / "chips"
DIES = bool(os.environ.get("GEODL_TEST_DIES"))


def action(name: str) -> QAction:
    """Return an action of QGIS's own window."""
    return iface.mainWindow().findChild(QAction, name)


def open_dock() -> Any:
    """Open the dock by its button."""
    button = iface.mainWindow().findChild(QAction, "geodl_label")
    if not button.isChecked():
        button.trigger()
    pause(0.6)
    return iface.mainWindow().findChild(QWidget, "geodl_label_dock")


def type_class(dock: Any, name: str, inside: bool = False) -> None:
    """Add a class and type its name."""
    (dock.editor.inside_action if inside else dock.editor.add_action).trigger()
    pause(0.1)
    (line,) = dock.editor.tree.findChildren(QLineEdit)
    line.selectAll()
    QTest.keyClicks(line, name)
    QTest.keyClick(line, Qt.Key.Key_Return)
    pause(0.1)


def make_layer(dock: Any) -> None:
    """Press "New…" and type the name of the file into the dialog."""

    def answer() -> None:
        dialog = QApplication.activeModalWidget()
        if isinstance(dialog, QFileDialog):
            line = dialog.findChild(QLineEdit)
            line.setText(str(SAMPLES))
            QTest.keyClick(line, Qt.Key.Key_Return)

    QTimer.singleShot(1500, answer)
    click(dock.sources.new_button)
    pause(0.3)


def rows(feature: int | None = None) -> list[dict[str, Any]]:
    """Return the samples in the file, as another program reads them."""
    layer = QgsVectorLayer(str(SAMPLES), "check", "ogr")
    request = QgsFeatureRequest() if feature is None else QgsFeatureRequest(feature)
    return [
        {
            "name": each["Classname"],
            "value": each["Classvalue"],
            "red": each["RED"],
            "count": each["Count"],
            "box": _box(each.geometry().boundingBox()),
            "area": each.geometry().area(),
            "valid": each.geometry().isGeosValid(),
        }
        for each in layer.getFeatures(request)
    ]


def _box(box: Any) -> list[float]:
    return [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()]


def draw_all(dock: Any, hand: Hand) -> None:
    """Draw ten samples: two circles, three rectangles, two polygons, two lassos, one image."""
    tree, buttons = dock.editor.tree, dock.bar.buttons
    buttons["circle"].trigger()
    hand.key(Qt.Key.Key_1)
    for x, y, radius in CIRCLES:
        hand.drag([(x, y), (x + radius / 2, y), (x + radius, y)])
    buttons["rectangle"].trigger()
    hand.key(Qt.Key.Key_3)
    left, top, right, bottom = RECTANGLES[0]
    hand.drag([(left, top), (right, top), (right, bottom)])
    for left, top, right, bottom in RECTANGLES[1:]:  # by two clicks
        hand.click(left, top)
        hand.move(right, bottom)
        hand.click(right, bottom)
    buttons["polygon"].trigger()
    tree.choose_place(1)
    for points in POLYGONS:
        draw_polygon(hand, points)
        hand.click(*points[0], Qt.MouseButton.RightButton)
    buttons["freehand"].trigger()
    hand.key(Qt.Key.Key_2)
    for x, y, radius in LASSOS:
        angles = [2 * pi * step / 40 for step in range(41)]
        hand.drag([(x + radius * cos(a), y + radius * sin(a)) for a in angles])
    buttons["image"].trigger()
    hand.key(Qt.Key.Key_4)
    hand.move(0.5, 0.5)
    hand.click(0.5, 0.5)


def draw_polygon(hand: Hand, points: tuple[tuple[float, float], ...]) -> None:
    """Click the vertices, one of them too many and taken back."""
    for x, y in points:
        hand.move(x, y)
        hand.click(x, y)
    hand.click(points[0][0], 0.95)
    hand.key(Qt.Key.Key_Backspace)


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


def change_classes(dock: Any, found: dict[str, Any]) -> None:
    """Rename and renumber a class that has samples; try to remove it; undo."""
    editor = dock.editor
    editor.tree.choose_place(0)
    value = editor.current().value
    item = editor.tree.currentItem()
    item.setText(0, "Trees")
    pause(0.2)
    found["renamed"] = [each["name"] for each in rows()].count("Trees")
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
        ("Tree", value)
    )
    dock.notice.clear()


def export(dock: Any, found: dict[str, Any]) -> None:
    """Export with the tool that the dock opens."""
    click(dock.export_button)

    def tools() -> list[QWidget]:
        return [
            each
            for each in QApplication.topLevelWidgets()
            if each.inherits("QgsProcessingAlgorithmDialogBase") and each.isVisible()
        ]

    wait_until(tools, 10)
    (dialog,) = tools()
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


def show_the_scene() -> None:
    """Put the whole scene on the map."""
    scene = QgsRasterLayer(str(SCENE), SCENE.stem.capitalize(), "gdal")
    QgsProject.instance().addMapLayer(scene)
    iface.mapCanvas().setExtent(scene.extent())
    wait_until(lambda: not iface.mapCanvas().isDrawing(), 10)


def steps(found: dict[str, Any]) -> None:
    """Label the scene."""
    QApplication.setCursorFlashTime(0)
    show_the_scene()
    dock = open_dock()
    type_class(dock, "Tree")
    type_class(dock, "Oak", inside=True)
    dock.editor.tree.choose(None)
    type_class(dock, "Shadow")
    type_class(dock, "Site")
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
    change_classes(dock, found)
    visit(dock, found)
    iface.mapCanvas().setExtent(extent)
    take_pictures(dock, hand)
    export(dock, found)


def take_pictures(dock: Any, hand: Hand) -> None:
    """Photograph each way to draw, while it is done."""
    dock.samples.remove([sorted(dock.samples.layer.allFeatureIds())[-1]])  # the whole image
    wait_until(lambda: not iface.mapCanvas().isDrawing(), 10)
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
    for point in ((0.46, 0.72), (0.56, 0.70), (0.60, 0.80), (0.52, 0.86)):
        hand.move(*point)
        hand.click(*point)
    hand.move(0.45, 0.81)
    pause(0.5)
    photograph_screen("label_dock")
    hand.key(Qt.Key.Key_Escape)


drive(steps)
