"""What a session of labelling does with the dock: classes, a layer, ten samples."""

from __future__ import annotations

import os
from math import cos, pi, sin
from pathlib import Path
from typing import Any

from driver import FOLDER, click, pause, wait_until
from mouse import Hand
from places import CIRCLES, LASSOS, POLYGONS, RECTANGLES
from qgis.core import NULL, QgsFeatureRequest, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QAction, QApplication, QFileDialog, QLineEdit, QWidget
from qgis.utils import iface

SCENE = Path(os.environ["GEODL_TEST_SCENE"])
SAMPLES = FOLDER / "samples.gpkg"


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
            "confidence": each["Confidence"] if each["Confidence"] != NULL else None,
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


def show_the_scene() -> None:
    """Put the whole scene on the map."""
    scene = QgsRasterLayer(str(SCENE), SCENE.stem.capitalize(), "gdal")
    QgsProject.instance().addMapLayer(scene)
    iface.mapCanvas().setExtent(scene.extent())
    wait_until(lambda: not iface.mapCanvas().isDrawing(), 10)
