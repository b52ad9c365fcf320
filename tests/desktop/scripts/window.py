"""Runs inside QGIS: the toolbox, a tool's dialog, and trainings that end badly."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, os.environ["GEODL_TEST_SCRIPTS"])

import processing
from driver import (
    FOLDER,
    alive,
    click,
    drive,
    pause,
    photograph,
    photograph_screen,
    plugin,
    training_dock,
    wait_until,
)
from qgis.core import QgsApplication, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QAction, QApplication, QTreeView, QWidget
from qgis.utils import iface

SCENE = Path(os.environ["GEODL_TEST_SCENE"])
PID = FOLDER / "worker.pid"


def show_scene() -> str:
    """Add the raster to the project and return its identifier."""
    layer = QgsRasterLayer(str(SCENE), SCENE.stem.capitalize(), "gdal")
    QgsProject.instance().addMapLayer(layer)
    iface.mapCanvas().setExtent(layer.extent())
    wait_until(lambda: not iface.mapCanvas().isDrawing(), 10)
    return layer.id()


def look_at_toolbox(found: dict[str, Any]) -> None:
    """Note the tools, open the toolbox and one tool's dialog."""
    layer = show_scene()
    registry = QgsApplication.processingRegistry()
    provider = registry.providerById("geodl")
    found["tools"] = sorted(tool.id() for tool in provider.algorithms())
    found["torch"] = "torch" in sys.modules
    toolbox = iface.mainWindow().findChild(object, "ProcessingToolbox")
    toolbox.setUserVisible(True)
    pause(0.5)
    tree = toolbox.findChild(QTreeView)
    model = tree.model()
    groups = [model.index(row, 0) for row in range(model.rowCount())]
    found["groups"] = [model.data(index) for index in groups]
    for index in groups:
        if model.data(index) == "GeoDL":
            tree.expandRecursively(index)
            tree.scrollTo(index, QTreeView.ScrollHint.PositionAtTop)
    pause(0.3)
    dialog = processing.createAlgorithmDialog(
        "geodl:detectobjects",
        {
            "INPUT": [layer],
            "MODEL": os.environ["GEODL_TEST_MODEL"],
            "ARGUMENTS": "threshold=0.4",
        },
    )
    found["dialog"] = dialog is not None
    if dialog is not None:
        dialog.setGeometry(330, 150, 860, 700)
        dialog.show()
        wait_until(lambda: not iface.mapCanvas().isDrawing(), 10)
        pause(1.0)
        found["dialog"] = dialog.windowTitle()
        photograph(dialog, "detect_objects")
        photograph_screen("toolbox")
        dialog.close()
    toolbox.setUserVisible(False)


def look_at_setup(found: dict[str, Any]) -> None:
    """Open the setup dialog twice: with a Python that works, and with one that is not there."""
    pretend("works")
    iface.mainWindow().findChild(object, "geodl_setup").trigger()
    dialog = iface.mainWindow().findChild(object, "geodl_setup_dialog")
    wait_until(lambda: dialog.thread is None)
    found["setup_ready"] = dialog.notice.text
    found["setup_log"] = dialog.log.toPlainText()
    pause(0.2)
    photograph(dialog, "setup-dialog")
    os.environ["GEODL_PYTHON"] = "/nowhere/python3"
    click(dialog.check_button)
    wait_until(lambda: dialog.thread is None)
    found["setup_missing"] = dialog.notice.text
    pause(0.2)
    photograph(dialog, "setup-missing")
    click(dialog.close_button)
    pause(0.1)
    found["setup_again"] = look_at_setup_again()


def look_at_setup_again() -> bool:
    """Close the dialog by Escape; return whether it opens a second time."""
    for _ in range(2):
        iface.mainWindow().findChild(object, "geodl_setup").trigger()
        dialog = iface.mainWindow().findChildren(QWidget, "geodl_setup_dialog")[-1]
        wait_until(lambda: dialog.thread is None)  # noqa: B023
        seen = dialog.isVisible()
        QTest.keyClick(dialog, Qt.Key.Key_Escape)
        pause(0.1)
    return seen


def pretend(scenario: str) -> None:
    """Have the next worker be the stand-in, in this scenario."""
    os.environ["GEODL_PYTHON"] = os.environ["GEODL_FAKE_PYTHON"]
    os.environ["GEODL_FAKE"] = scenario
    os.environ["GEODL_FAKE_PID"] = str(PID)
    PID.unlink(missing_ok=True)


def start_training(dock: Any, scenario: str) -> None:
    """Fill the form in and start the stand-in worker."""
    pretend(scenario)
    dock.form.set_parameters(
        {
            "INPUT": os.environ["GEODL_TEST_CHIPS"],
            "OUTPUT": str(FOLDER / "model"),
            "MODEL_TYPE": "SSD",
            "BACKBONE": "resnet18",
            "WEIGHTS": "none",
            "MAX_EPOCHS": 30,
        }
    )
    pause(0.2)
    click(dock.start_button)


def look_at_dock(found: dict[str, Any]) -> None:
    """Photograph the form, wide and narrow, and a start without any data."""
    dock = training_dock()
    dock.form.set_parameters({"INPUT": "", "OUTPUT": ""})
    pause(0.3)
    click(dock.start_button)
    found["nothing_chosen"] = dock.notice.text
    pause(0.3)
    photograph(dock, "dock-empty")
    dock.notice.clear()
    dock.form.tool_wanted.emit()
    wait_until(lambda: any(map(is_tool, QApplication.topLevelWidgets())), 5)
    pause(0.3)
    (dialog,) = [each for each in QApplication.topLevelWidgets() if is_tool(each)]
    found["all_options"] = dialog.windowTitle()
    photograph(dialog, "train-model")
    dialog.close()
    window = iface.mainWindow()
    window.resizeDocks([dock], [220], Qt.Orientation.Horizontal)
    pause(0.3)
    found["narrow"] = dock.width()
    photograph(dock, "dock-narrow")
    window.resizeDocks([dock], [400], Qt.Orientation.Horizontal)
    pause(0.2)
    photograph(dock, "dock-settings")


def look_at_both_docks(found: dict[str, Any]) -> None:
    """Open the dock for labelling beside that for training."""
    window, dock = iface.mainWindow(), training_dock()
    button = window.findChild(QAction, "geodl_label")
    height = window.height()
    button.trigger()
    pause(0.5)
    found["grown"] = window.height() - height
    labelling = window.findChild(QWidget, "geodl_label_dock")
    found["tabbed"] = dock in window.tabifiedDockWidgets(labelling)
    found["raised"] = labelling.isUserVisible() and not dock.isUserVisible()
    photograph_screen("docks-tabbed")
    button.trigger()
    dock.setUserVisible(True)
    pause(0.3)


def is_tool(widget: Any) -> bool:
    """Return whether a window is the dialog of a tool."""
    return widget.inherits("QgsProcessingAlgorithmDialogBase") and widget.isVisible()


def cancel(found: dict[str, Any]) -> None:
    """Cancel a worker that does not listen."""
    dock = training_dock()
    start_training(dock, "stubborn")
    found["cancel_started"] = wait_until(lambda: dock.monitor.table.rowCount() >= 8)
    photograph_screen("training-screen")
    photograph(dock, "dock-training")
    click(dock.cancel_button)
    found["cancel_ended"] = wait_until(lambda: dock.thread is None, 20)
    found["cancel_notice"] = dock.notice.text
    found["cancel_alive"] = alive(PID)
    photograph(dock, "dock-cancelled")


def fail(found: dict[str, Any], scenario: str) -> None:
    """Follow a worker that dies or refuses."""
    dock = training_dock()
    start_training(dock, scenario)
    found[f"{scenario}_ended"] = wait_until(lambda: dock.thread is None, 20)
    found[f"{scenario}_notice"] = dock.notice.text
    found[f"{scenario}_can_start"] = dock.start_button.isEnabled()
    pause(0.2)
    photograph(dock, f"dock-{scenario}")


def follow(found: dict[str, Any]) -> None:
    """Follow a training to its end, photographed for the README."""
    dock = training_dock()
    start_training(dock, "works")
    wait_until(lambda: dock.thread is None, 20)
    found["works_notice"] = dock.notice.text
    pause(0.3)
    photograph(dock, "dock-works")


def reload(found: dict[str, Any]) -> None:
    """Unload the plugin while it trains: the worker must end with it."""
    dock = training_dock()
    start_training(dock, "stubborn")
    wait_until(lambda: dock.monitor.table.rowCount() >= 1)
    plugin().unload()
    pause(0.2)
    found["unload_alive"] = alive(PID)
    found["unload_provider"] = QgsApplication.processingRegistry().providerById("geodl") is not None
    plugin().initGui()
    pause(0.2)


def quit_while_training(found: dict[str, Any]) -> None:
    """Leave a training running: quitting QGIS must end it."""
    dock = training_dock()
    start_training(dock, "stubborn")
    found["quit_started"] = wait_until(lambda: dock.monitor.table.rowCount() >= 1)
    found["quit_pid"] = int(Path(PID).read_text(encoding="ascii"))


def steps(found: dict[str, Any]) -> None:
    """Do everything in turn."""
    QApplication.setCursorFlashTime(0)
    look_at_toolbox(found)
    look_at_setup(found)
    look_at_dock(found)
    look_at_both_docks(found)
    cancel(found)
    fail(found, "killed")
    fail(found, "fails")
    follow(found)
    reload(found)
    quit_while_training(found)


drive(steps)
