"""The tool that takes segments, whatever becomes of the project while it looks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsPointXY, QgsProject, QgsRasterLayer, QgsSettings
from qgis.gui import QgsMapCanvas

from geodl_plugin.algorithms.base import PYTHON_SETTING
from geodl_plugin.gui.segment_tool import SegmentTool
from geodl_plugin.gui.training_thread import TrainingThread
from tests.unit.inference.support import write_raster

STARTED: list[TrainingThread] = []


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qgis_app: Any) -> Iterator[SegmentTool]:
    """A tool over a raster of the project, whose threads are not started."""
    STARTED.clear()
    monkeypatch.setattr(TrainingThread, "start", lambda thread: STARTED.append(thread))
    source = write_raster(tmp_path / "image.tif", np.zeros((3, 8, 8), np.uint8))
    layer = QgsRasterLayer(source, "image")
    QgsProject.instance().addMapLayer(layer)
    canvas = QgsMapCanvas()
    canvas.setDestinationCrs(layer.crs())
    yield SegmentTool(canvas, lambda: layer)
    QgsProject.instance().clear()


def test_it_works_in_the_python_that_the_user_has_named(tool: SegmentTool) -> None:
    QgsSettings().setValue(PYTHON_SETTING, "/a/python")
    try:
        tool.look(QgsPointXY(0, 0))
    finally:
        QgsSettings().remove(PYTHON_SETTING)
    assert STARTED[0]._python == "/a/python"


def test_it_is_free_again_when_the_raster_has_left(tool: SegmentTool) -> None:
    tool.look(QgsPointXY(0, 0))
    assert tool.busy
    QgsProject.instance().clear()
    STARTED[0].succeeded.emit({"rings": [[[0, 0], [1, 0], [1, 1]]]})
    assert not tool.busy


def test_options_to_open_the_raster_with_are_heeded(tool: SegmentTool, tmp_path: Path) -> None:
    source = write_raster(tmp_path / "fine.tif", np.ones((1, 8, 8), np.uint8))
    layer = QgsRasterLayer(f"{source}|option:NUM_THREADS=2", "fine")
    QgsProject.instance().addMapLayer(layer)
    tool._raster = lambda: layer
    tool.look(QgsPointXY(0, 0))
    opened = gdal.Open(STARTED[0]._options.raster)
    assert opened.RasterXSize == 8
    tool.cancel()
    assert not Path(STARTED[0]._options.raster).exists()
