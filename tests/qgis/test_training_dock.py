"""The training window goes on whatever happens to the project meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtWidgets import QMainWindow

from geodl_plugin.gui.result_layers import ModelApplication
from geodl_plugin.gui.training_dock import TrainingDock
from geodl_plugin.gui.training_thread import TrainingThread
from tests.qgis.models import write_untrained
from tests.unit.inference.support import write_raster


def test_the_result_lies_beside_the_model_whatever_the_layer_is_called(
    provider: Any, tmp_path: Path
) -> None:
    """A slash in the name of the layer made a folder; Windows takes no colon."""
    source = write_raster(tmp_path / "image.tif", np.zeros((3, 8, 8), np.uint8))
    model = write_untrained(tmp_path / "trees.dlpk", "FCN", backbone="", channels=[4, 8])
    layer = QgsRasterLayer(source, "Größe 2020/05: a\\b")
    application = ModelApplication(model, layer, str(tmp_path), lambda *_: None)
    assert application.output.parent == tmp_path
    assert application.output.name == "Größe 2020_05_ a_b classes.tif"


def test_a_raster_that_has_left_the_project_is_not_missed(tmp_path: Path) -> None:
    source = write_raster(tmp_path / "image.tif", np.zeros((3, 8, 8), np.uint8))
    layer = QgsRasterLayer(source, "image")
    QgsProject.instance().addMapLayer(layer)
    window = QMainWindow()
    dock = TrainingDock(window)
    ended: list[bool] = []
    dock.ended.connect(ended.append)
    dock._target = layer.id()
    QgsProject.instance().clear()
    model = write_untrained(tmp_path / "trees.dlpk", "FCN", backbone="", channels=[4, 8])
    dock._finish({"model": model, "epochs": 3})
    assert ended == [True]
    assert "was trained but not applied: the raster has left" in dock.notice.text


def test_a_cancelled_training_tells_how_to_go_on(
    qgis_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainingThread, "start", lambda _: None)
    window = QMainWindow()
    dock = TrainingDock(window)
    thread = TrainingThread({})
    dock._follow(thread)
    thread.info.emit("Training on a processor.")
    dock.cancel()
    thread.info.emit("The training is kept as it was after epoch 3.")
    thread.cancelled.emit()
    assert dock.notice.text == (
        "The training was cancelled. The training is kept as it was after epoch 3."
    )


def test_everything_that_a_training_tells_stays_to_be_read(
    qgis_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several warnings the window showed the last one, and none once the model was there."""
    monkeypatch.setattr(TrainingThread, "start", lambda _: None)
    window = QMainWindow()
    dock = TrainingDock(window)
    thread = TrainingThread({})
    dock._follow(thread)
    thread.info.emit("Training on a processor.")
    thread.warned.emit("3 chips have no labels.")
    assert dock.notice.links == []
    thread.warned.emit("The class 'Tree' is rare.")
    assert dock.notice.text == "The class 'Tree' is rare."
    assert dock.notice.links == ["All 2 warnings"]
    dock.notice._follow("0")
    assert dock.tabs.currentWidget() is dock.log
    thread.succeeded.emit({"model": "trees.dlpk", "epochs": 3})
    assert dock.notice.links[-1] == "Read the warnings"
    assert dock.log.toPlainText().splitlines() == [
        "Training on a processor.",
        "Warning: 3 chips have no labels.",
        "Warning: The class 'Tree' is rare.",
        "trees.dlpk was trained in 3 epochs.",
    ]
    # The next training starts with an empty one, and without links to what is not there.
    thread = TrainingThread({})
    dock._follow(thread)
    thread.failed.emit("The folder 'chips' holds no chips.")
    assert dock.log.toPlainText() == "The folder 'chips' holds no chips."
    assert dock.notice.links == []
