"""Runs inside QGIS: a raster is classified and its objects are detected; both are looked at."""

from __future__ import annotations

import os
import sys
from typing import Any

sys.path.insert(0, os.environ["GEODL_TEST_SCRIPTS"])

import processing
from driver import FOLDER, drive, pause, photograph_screen, wait_until
from qgis.core import QgsProject, QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtWidgets import QDockWidget
from qgis.utils import iface

SCENE, EXTENT = os.environ["GEODL_TEST_SCENE"], os.environ["GEODL_TEST_EXTENT"]


def run(tool: str, output: str, title: str, **values: Any) -> Any:
    """Run a tool on the scene, as its dialog does, and return the layer that lands."""
    processing.runAndLoadResults(
        f"geodl:{tool}",
        {"INPUT": SCENE, "EXTENT": EXTENT, "OUTPUT": str(FOLDER / output), **values},
    )
    (layer,) = QgsProject.instance().mapLayersByName(title)
    return layer


def look(name: str) -> None:
    """Photograph the window with what was asked for in view."""
    xmin, xmax, ymin, ymax = (float(each) for each in EXTENT.split("[")[0].split(","))
    canvas = iface.mapCanvas()
    pause(1.0)  # QGIS zooms to the first layer when it comes round to it
    canvas.setExtent(QgsRectangle(xmin, ymin, xmax, ymax))
    canvas.refresh()
    iface.layerTreeView().clearSelection()
    pause(0.5)
    wait_until(lambda: not canvas.isDrawing(), 30)
    pause(0.3)
    photograph_screen(name)


def legend(layer: Any) -> list[str]:
    """Return what the legend of a layer says."""
    node = QgsProject.instance().layerTreeRoot().findLayer(layer.id())
    model = iface.layerTreeView().layerTreeModel()
    return [each.data(0) for each in model.layerLegendNodes(node)]


def steps(found: dict[str, Any]) -> None:
    for dock in iface.mainWindow().findChildren(QDockWidget):
        if dock.objectName() not in ("Layers", "geodl_training_dock"):
            dock.hide()
    scene = QgsRasterLayer(SCENE, "Imagery")
    QgsProject.instance().addMapLayer(scene)
    classes = run(
        "classifypixels",
        "classes.tif",
        "Classified pixels",
        MODEL=os.environ["GEODL_TEST_CLASSIFIER"],
        ARGUMENTS=os.environ.get("GEODL_TEST_PIXELS", ""),
    )
    classes.renderer().setOpacity(0.55)
    found["classes"] = legend(classes)
    root = QgsProject.instance().layerTreeRoot()
    root.findLayer(scene.id()).setExpanded(False)
    node = root.findLayer(classes.id())
    node.setExpanded(False)
    node.setExpanded(True)
    look("result_pixels")
    root.findLayer(classes.id()).setItemVisibilityChecked(False)
    objects = run(
        "detectobjects",
        "objects.gpkg",
        "Detected objects",
        MODEL=os.environ["GEODL_TEST_DETECTOR"],
        ARGUMENTS=os.environ.get("GEODL_TEST_OBJECTS", ""),
    )
    found["objects"] = objects.featureCount()
    found["renderer"] = objects.renderer().type()
    found["labels"] = legend(objects)
    look("result_objects")
    found["order"] = [each.name() for each in root.layerOrder()]


drive(steps)
