"""Runs inside QGIS: a real training from the dock, then its model on a raster of the project."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, os.environ["GEODL_TEST_SCRIPTS"])

from driver import (
    FOLDER,
    Heartbeat,
    click,
    drive,
    pause,
    photograph_screen,
    training_dock,
    wait_until,
)
from qgis.core import QgsProject, QgsRasterLayer
from qgis.utils import iface

CHIPS = Path(os.environ["GEODL_TEST_CHIPS"])
PATIENCE = float(os.environ["GEODL_TEST_SECONDS"])
EPOCHS = int(os.environ.get("GEODL_TEST_EPOCHS", "3"))
SCENE = Path(os.environ["GEODL_TEST_SCENE"])


def steps(found: dict[str, Any]) -> None:
    """Train, watch, apply."""
    scene = QgsRasterLayer(str(SCENE), SCENE.stem.capitalize(), "gdal")
    QgsProject.instance().addMapLayer(scene)
    iface.mapCanvas().setExtent(scene.extent())
    dock = training_dock()
    dock.form.set_parameters(
        {
            "INPUT": str(CHIPS),
            "OUTPUT": str(FOLDER / "model"),
            "MODEL_TYPE": os.environ.get("GEODL_TEST_MODEL", "SSD"),
            "BACKBONE": "resnet18",
            "WEIGHTS": "none",
            "MAX_EPOCHS": EPOCHS,
            "LEARNING_RATE": "2e-3",
            "BATCH_SIZE": int(os.environ.get("GEODL_TEST_BATCH", "4")),
            "DEVICE": "cpu",
        }
    )
    dock.form.apply_to.setLayer(scene)
    messages: list[str] = []
    points: list[int] = []
    ended: list[bool] = []
    dock.ended.connect(ended.append)
    click(dock.start_button)
    dock.thread.progress.connect(lambda fraction, message: messages.append(message))
    dock.thread.epoch.connect(lambda record: points.append(len(dock.monitor.curve.series())))
    heart = Heartbeat()
    wait_until(lambda: dock.monitor.table.rowCount() >= EPOCHS - 1 or ended, PATIENCE)
    photograph_screen("training_dock")
    wait_until(lambda: dock.thread is None, PATIENCE)
    found["answered"] = heart.stop()
    found["trained"] = dock.notice.text
    found["messages"] = messages
    found["epochs"] = dock.monitor.table.rowCount()
    found["points"] = [len(line.points) for line in dock.monitor.curve.series()]
    wait_until(lambda: ended, PATIENCE)
    found["ended"] = ended
    found["notice"] = dock.notice.text
    found["models"] = [path.name for path in FOLDER.rglob("*.dlpk")]
    layers = [each for each in QgsProject.instance().mapLayers().values() if each is not scene]
    found["layers"] = [(each.name(), each.source(), each.isValid()) for each in layers]
    found["renderers"] = [each.renderer().type() for each in layers]
    iface.mapCanvas().setExtent(scene.extent())
    pause(1.5)
    photograph_screen("training_result")


drive(steps)
