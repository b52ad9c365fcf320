"""The map tool that takes the segment that is clicked on, found by the worker."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsSettings,
    QgsWkbTypes,
)
from qgis.gui import QgsMapCanvas, QgsMapMouseEvent, QgsRubberBand
from qgis.PyQt.QtCore import QCoreApplication, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeyEvent

from ..algorithms.base import PYTHON_SETTING
from ..algorithms.raster_parameters import gdal_source
from ..core.errors import GeoDLError
from ..core.segments.options import DEFAULT, LARGEST, SMALLEST, SegmentOptions
from . import draw_shapes
from .draw_tools import FINISH, DrawTool
from .training_thread import TrainingThread

STEP = 1.25  # by which the keys + and - change the circle
ADD = Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.ControlModifier


class SegmentTool(DrawTool):
    """Takes the segment around a click; the circle shows how large it may be.

    With Shift or Ctrl, segments gather, and those that touch are one sample; the right button,
    Enter or a plain click ends it. The keys + and - change the circle. A click while a segment
    is looked for takes its place.
    """

    failed = pyqtSignal(str)
    resized = pyqtSignal(int)
    in_use = pyqtSignal(bool)

    def __init__(self, canvas: QgsMapCanvas, raster: Callable[[], QgsRasterLayer | None]) -> None:
        super().__init__(canvas)
        self.reach = DEFAULT
        self._raster = raster
        self._gathered = QgsGeometry()
        self._thread: TrainingThread | None = None
        self._folder: Path | None = None  # for what tells how the raster is opened
        self._place: QgsPointXY | None = None
        self._circle = QgsRubberBand(canvas, QgsWkbTypes.GeometryType.PolygonGeometry)
        self._circle.setStrokeColor(QColor(255, 255, 255, 220))
        self._circle.setSecondaryStrokeColor(QColor(0, 0, 0, 120))
        self._circle.setFillColor(QColor(0, 0, 0, 0))
        self._circle.setWidth(1)

    @property
    def busy(self) -> bool:
        """Whether a segment is looked for."""
        return self._thread is not None

    def set_reach(self, reach: int) -> None:
        """Take over the diameter of the circle, in pixels of the image."""
        reach = max(SMALLEST, min(LARGEST, reach))
        if reach != self.reach:
            self.reach = reach
            self.resized.emit(reach)
        self._show_circle()

    def activate(self) -> None:
        super().activate()
        self.in_use.emit(True)

    def deactivate(self) -> None:
        super().deactivate()
        self._hide_circle()
        self.in_use.emit(False)

    def dispose(self) -> None:
        super().dispose()
        self._canvas.scene().removeItem(self._circle)

    def cancel(self) -> None:
        super().cancel()
        self._gathered = QgsGeometry()
        self._leave()

    def finish(self, regular: bool = False) -> None:
        whole = self._gathered
        self.cancel()
        if not whole.isEmpty():
            # A sample is one polygon: what does not touch is a sample of its own.
            for part in whole.asGeometryCollection():
                self.drawn.emit(part)

    def remove_vertex(self) -> None:
        self.cancel()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        if event.key() in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self.set_reach(round(self.reach * STEP))
        elif event.key() == Qt.Key.Key_Minus:
            self.set_reach(round(self.reach / STEP))
        elif event.key() in FINISH and self.busy:
            return  # the segment on its way belongs to the sample too
        else:
            super().keyPressEvent(event)
            return
        event.ignore()

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802
        self._place = self.toMapCoordinates(event.pos())
        self._show_circle()

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802
        if event.button() == Qt.MouseButton.RightButton:
            self.finish()
        elif event.button() == Qt.MouseButton.LeftButton:
            self.look(self.toMapCoordinates(event.pos()), bool(event.modifiers() & ADD))

    def canvasDoubleClickEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802
        """The second click of a double click is none of its own."""

    # The worker

    def look(self, place: QgsPointXY, more: bool = False) -> None:
        """Look for the segment at a place of the map.

        Args:
            place: in map coordinates.
            more: whether further segments are gathered.
        """
        layer = self._raster()
        if layer is None:
            self.failed.emit(self.tr("There is no imagery to look at. Choose it in the dock."))
            return
        if layer.providerType() != "gdal":
            text = self.tr(
                "'{}' is no file, so no segment can be found in it. Export it to a raster first."
            )
            self.failed.emit(text.format(layer.name()))
            return
        try:
            point = self._to_raster(layer).transform(place)
        except QgsCsException as error:
            self.failed.emit(str(error))
            return
        self._leave()
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="geodl-segment-"))
            source = gdal_source(layer, self._folder)
        except (GeoDLError, OSError) as error:
            self._leave()
            self.failed.emit(str(error))
            return
        options = SegmentOptions(source, point.x(), point.y(), self.reach)
        python = QgsSettings().value(PYTHON_SETTING) or None
        thread = TrainingThread(options, python, task="segment")
        name = layer.id()  # the layer itself may be gone by then
        thread.succeeded.connect(lambda found: self._take(thread, name, found, more))
        thread.failed.connect(lambda message: self._fail(thread, message))
        self._thread = thread
        self.setCursor(Qt.CursorShape.BusyCursor)
        thread.start()

    def _leave(self) -> None:
        """Give up the segment that is looked for."""
        thread, self._thread = self._thread, None
        self.setCursor(Qt.CursorShape.CrossCursor)
        if thread is not None:
            thread.cancel()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    def _take(self, thread: TrainingThread, layer: str, found: dict[str, Any], more: bool) -> None:
        if thread is not self._thread:
            return
        self._leave()
        raster = QgsProject.instance().mapLayer(layer)
        if raster is None:
            return
        rings = [[QgsPointXY(*point) for point in ring] for ring in found["rings"]]
        segment = QgsGeometry.fromPolygonXY([[*ring, ring[0]] for ring in rings])
        segment.transform(self._to_raster(raster), QgsCoordinateTransform.ReverseTransform)
        joined = segment if self._gathered.isEmpty() else self._gathered.combine(segment)
        self._gathered = joined
        self._band.setToGeometry(joined, None)
        if not more:
            self.finish()

    def _fail(self, thread: TrainingThread, message: str) -> None:
        if thread is self._thread:
            self._leave()
            self.failed.emit(message)

    def _to_raster(self, layer: QgsRasterLayer) -> QgsCoordinateTransform:
        settings = self._canvas.mapSettings()
        return QgsCoordinateTransform(settings.destinationCrs(), layer.crs(), QgsProject.instance())

    # The circle

    def _show_circle(self) -> None:
        layer = self._raster()
        if self._place is None or layer is None or not layer.width():
            self._hide_circle()
            return
        across = self._to_raster(layer)
        try:
            middle = across.transform(self._place)
            radius = self.reach / 2 * layer.rasterUnitsPerPixelX()
            edge = QgsPointXY(middle.x() + radius, middle.y())
            circle = draw_shapes.circle([middle, edge])
            circle.transform(across, QgsCoordinateTransform.ReverseTransform)
        except QgsCsException:
            self._hide_circle()
            return
        self._circle.setToGeometry(circle, None)

    def _hide_circle(self) -> None:
        self._circle.reset(QgsWkbTypes.GeometryType.PolygonGeometry)

    def tr(self, text: str) -> str:
        """Translate a literal of the tool."""
        return QCoreApplication.translate("GeoDL", text)
