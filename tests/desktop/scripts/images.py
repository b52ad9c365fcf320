"""Runs inside QGIS: the images of a folder are labelled one after the other."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, os.environ["GEODL_TEST_SCRIPTS"])

from driver import FOLDER, click, drive, pause, photograph_screen, wait_until
from mouse import Hand
from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QFileDialog
from qgis.utils import iface
from session import SAMPLES, make_layer, open_dock, rows, show_the_scene, type_class

MAPS, PHOTOS = Path(os.environ["GEODL_TEST_MAPS"]), Path(os.environ["GEODL_TEST_PHOTOS"])


def draw(dock: Any, box: tuple[float, float, float, float]) -> None:
    """Drag a rectangle over the image that is shown."""
    wait_until(lambda: not iface.mapCanvas().isDrawing(), 10)
    hand = Hand()
    hand.extent = dock.sources.raster().extent()
    dock.bar.buttons["rectangle"].trigger()
    left, top, right, bottom = box
    hand.drag([(left, top), (right, top), (right, bottom)])
    pause(0.2)


def state(dock: Any) -> dict[str, Any]:
    """Return what the dock and the project show."""
    pause(0.3)
    canvas, raster = iface.mapCanvas(), dock.sources.raster()
    layers = QgsProject.instance().mapLayers().values()
    return {
        "place": dock.images._bar.place.text(),
        "list": [dock.images._bar.list.itemText(i) for i in range(dock.images._bar.list.count())],
        "raster": raster.name(),
        "rasters": sorted(each.name() for each in layers if isinstance(each, QgsRasterLayer)),
        "samples": dock.samples.layer.name(),
        "in_view": canvas.extent().contains(raster.extent()),
        "drawn": dock.samples.layer.featureCount(),
        "classes": [node.name for node in dock.editor.document.walk()],
    }


def key(which: Any) -> None:
    """Press Alt with an arrow while the map has the focus."""
    # There is no window manager that would make the window the active one.
    QApplication.setActiveWindow(iface.mainWindow())
    iface.mapCanvas().setFocus()
    QTest.keyClick(iface.mapCanvas(), which, Qt.KeyboardModifier.AltModifier)
    pause(0.4)


def choose_folder(dock: Any, folder: Path) -> None:
    """Press the button and answer the dialog."""
    QFileDialog.getExistingDirectory = lambda *_: str(folder)
    click(dock.images._bar.folder_button)
    pause(0.5)


def label_maps(dock: Any, found: dict[str, Any]) -> None:
    """Images that lie on the map: one layer of samples."""
    choose_folder(dock, MAPS)
    found["first"] = state(dock)
    draw(dock, (0.2, 0.2, 0.4, 0.5))
    key(Qt.Key.Key_Right)
    draw(dock, (0.5, 0.5, 0.7, 0.8))
    draw(dock, (0.1, 0.1, 0.3, 0.3))
    found["second"] = state(dock)
    click(dock.images._bar.buttons[1])
    found["third"] = state(dock)
    found["at_the_end"] = not dock.images._bar.buttons[1].isEnabled()
    key(Qt.Key.Key_Right)
    found["still"] = dock.images._bar.place.text()
    key(Qt.Key.Key_Left)
    found["back"] = state(dock)
    photograph_screen("labelling-images")
    found["map_rows"] = rows()
    click(dock.export_button)

    def tools() -> list[Any]:
        return [
            each
            for each in QApplication.topLevelWidgets()
            if each.inherits("QgsProcessingAlgorithmDialogBase") and each.isVisible()
        ]

    wait_until(tools, 10)
    (dialog,) = tools()
    given = dialog.createProcessingParameters()
    found["export"] = {each: str(given.get(each)) for each in ("INPUT_FOLDER", "PROCESSING_MODE")}
    dialog.close()


def label_photos(dock: Any, found: dict[str, Any]) -> None:
    """Images that all lie at 0, 0: a table for each."""
    choose_folder(dock, PHOTOS)
    draw(dock, (0.2, 0.2, 0.4, 0.5))
    found["photo_one"] = state(dock)
    type_class(dock, "Late")
    key(Qt.Key.Key_Right)
    found["photo_two"] = state(dock)
    draw(dock, (0.6, 0.6, 0.9, 0.9))
    draw(dock, (0.1, 0.6, 0.3, 0.9))
    key(Qt.Key.Key_Left)
    found["photo_back"] = state(dock)
    photograph_screen("labelling-photos")
    whole = QgsVectorLayer(str(SAMPLES), "", "ogr")
    tables = [each.split("!!::!!")[1] for each in whole.dataProvider().subLayers()]
    found["tables"] = sorted(each for each in tables if each != "layer_styles")
    own = QgsVectorLayer(f"{SAMPLES}|layername=a_png", "", "ogr")
    box = next(own.getFeatures()).geometry().boundingBox()
    found["photo_box"] = [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()]
    found["count"] = next(own.getFeatures())["Count"]


def steps(found: dict[str, Any]) -> None:
    """Label two folders, beside a layer of the user's own."""
    show_the_scene()
    dock = open_dock()
    type_class(dock, "Disc")
    make_layer(dock)
    label_maps(dock, found)
    label_photos(dock, found)
    choose_folder(dock, FOLDER / "profiles")
    found["sentence"] = dock.notice.text


drive(steps)
