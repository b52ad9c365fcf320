"""Map tools that draw a sample: rectangle, circle, polygon, freehand, the whole image."""

from __future__ import annotations

from collections.abc import Callable

from qgis.core import QgsCoordinateTransform, QgsGeometry, QgsPointXY, QgsProject, QgsWkbTypes
from qgis.gui import QgsMapCanvas, QgsMapMouseEvent, QgsMapTool, QgsRubberBand, QgsSnapIndicator
from qgis.PyQt.QtCore import QEvent, QObject, QPoint, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeyEvent

from . import draw_shapes

DRAG = 6  # screen pixels: less is a click, not a drag
SMALLEST = 3.0  # screen pixels squared: less is a slip of the hand
SMOOTH = 0.8  # screen pixels by which a freehand line may be simplified
FINISH = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class DrawTool(QgsMapTool):
    """Draws one shape after the other, in the colour of the class.

    ``Esc`` cancels the shape, ``Backspace`` removes the last vertex, ``Delete`` asks to delete
    the selected samples, and the keys 1 to 9 ask for a class.
    """

    drawn = pyqtSignal(QgsGeometry)  # in map coordinates
    class_wanted = pyqtSignal(int)  # counts from 0
    delete_wanted = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self.points: list[QgsPointXY] = []
        self._canvas = canvas
        self._band = QgsRubberBand(canvas, QgsWkbTypes.GeometryType.PolygonGeometry)
        self._band.setWidth(2)
        self._indicator = QgsSnapIndicator(canvas)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.set_color((220, 30, 30))

    def set_color(self, color: tuple[int, int, int]) -> None:
        """Draw in the colour of the class."""
        red, green, blue = color
        self._band.setStrokeColor(QColor(red, green, blue))
        self._band.setSecondaryStrokeColor(QColor(255, 255, 255, 180))
        self._band.setFillColor(QColor(red, green, blue, 70))

    def shape(self, points: list[QgsPointXY], regular: bool) -> QgsGeometry:
        """Return the shape that the points make."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Forget the points of the shape."""
        self.points = []
        self._band.reset(QgsWkbTypes.GeometryType.PolygonGeometry)

    def finish(self, regular: bool = False) -> None:
        """Hand the shape over, if it is one."""
        points = self.points
        shape = self.shape(points, regular) if len(points) > 1 else QgsGeometry()
        self.cancel()
        if not shape.isEmpty() and shape.area() >= SMALLEST * self._canvas.mapUnitsPerPixel() ** 2:
            self.drawn.emit(shape)

    def activate(self) -> None:
        super().activate()
        self._canvas.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        # The map keeps keys to itself while a mouse button is down: Esc must cancel a drag.
        pressed = event.type() == QEvent.Type.KeyPress
        if pressed and self.points and event.key() == Qt.Key.Key_Escape:
            self.cancel()
            return True
        return False

    def deactivate(self) -> None:
        self._canvas.removeEventFilter(self)
        self.cancel()
        self._indicator.setMatch(type(self._indicator.match())())
        super().deactivate()

    def dispose(self) -> None:
        """Take the tool off the map."""
        self._canvas.unsetMapTool(self)
        self._canvas.scene().removeItem(self._band)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        key = event.key()
        if key == Qt.Key.Key_Escape:
            self.cancel()
        elif key == Qt.Key.Key_Backspace:
            self.remove_vertex()
        elif key == Qt.Key.Key_Delete:
            self.delete_wanted.emit()
        elif Qt.Key.Key_1 <= key <= Qt.Key.Key_9:
            self.class_wanted.emit(int(key) - int(Qt.Key.Key_1))
        elif key in FINISH:
            self.finish()
        else:
            return
        # QGIS deletes the selection on Backspace and Delete if the tool lets the event pass,
        # and "ignored" is how a tool says that it does not.
        event.ignore()

    def remove_vertex(self) -> None:
        """Take back the last vertex."""
        del self.points[-1:]
        self.show_shape(self.points)

    def show_shape(self, points: list[QgsPointXY], regular: bool = False) -> None:
        """Show the shape as it would be."""
        if len(points) < 2:
            self._band.reset(QgsWkbTypes.GeometryType.PolygonGeometry)
        else:
            self._band.setToGeometry(self.shape(points, regular), None)

    def place(self, event: QgsMapMouseEvent) -> QgsPointXY:
        """Return the place of the mouse, snapped as the project is set."""
        event.snapPoint()
        self._indicator.setMatch(event.mapPointMatch())
        return QgsPointXY(event.mapPoint())


class DragTool(DrawTool):
    """Draws from one corner to the other: dragged, or with two clicks; Shift makes a square."""

    Shape = Callable[[list[QgsPointXY], bool], QgsGeometry]

    def __init__(self, canvas: QgsMapCanvas, shape: Shape) -> None:
        super().__init__(canvas)
        self._shape = shape
        self._pressed = QPoint()

    def shape(self, points: list[QgsPointXY], regular: bool) -> QgsGeometry:
        return self._shape(points, regular)

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802
        if event.button() == Qt.MouseButton.RightButton:
            self.cancel()
        elif event.button() == Qt.MouseButton.LeftButton:
            if not self.points:
                self._pressed = event.pos()
            self.points.append(self.place(event))

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802
        place = self.place(event)
        if self.points:
            self.show_shape([self.points[0], place], _shift(event))

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802
        if event.button() != Qt.MouseButton.LeftButton or not self.points:
            return
        dragged = (event.pos() - self._pressed).manhattanLength() > DRAG
        if len(self.points) > 1 or dragged:
            self.points = [self.points[0], self.place(event)]
            self.finish(_shift(event))


class PolygonTool(DrawTool):
    """Draws with a click per vertex; the right button, a double click or Enter closes it."""

    def shape(self, points: list[QgsPointXY], regular: bool) -> QgsGeometry:
        return draw_shapes.polygon(points)

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802
        if event.button() == Qt.MouseButton.LeftButton:
            self.points.append(self.place(event))
            self.show_shape(self.points)
        elif event.button() == Qt.MouseButton.RightButton:
            self.finish()

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802
        place = self.place(event)
        if self.points:
            self.show_shape([*self.points, place])

    def canvasDoubleClickEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802
        self.finish()

    def show_shape(self, points: list[QgsPointXY], regular: bool = False) -> None:
        # The line as it was clicked, crossing or not, so that the hand sees what it does.
        self._band.reset(QgsWkbTypes.GeometryType.PolygonGeometry)
        for point in points:
            self._band.addPoint(point)


class FreehandTool(PolygonTool):
    """Draws along the way of the mouse while its button is down."""

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802
        if event.button() == Qt.MouseButton.LeftButton:
            self.points = [self.toMapCoordinates(event.pos())]
        else:
            self.cancel()

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802
        if self.points:
            self.points.append(self.toMapCoordinates(event.pos()))
            self.show_shape(self.points)

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802
        if event.button() == Qt.MouseButton.LeftButton:
            self.finish()

    def canvasDoubleClickEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802
        self.cancel()

    def shape(self, points: list[QgsPointXY], regular: bool) -> QgsGeometry:
        drawn = super().shape(points, regular)
        simpler = drawn.simplify(SMOOTH * self._canvas.mapUnitsPerPixel())
        return drawn if simpler.isEmpty() or not simpler.isGeosValid() else simpler


class ImageTool(DrawTool):
    """Takes the whole image with one click."""

    def __init__(self, canvas: QgsMapCanvas, raster: Callable) -> None:
        super().__init__(canvas)
        self._raster = raster

    def outline(self) -> QgsGeometry:
        """Return the outline of the image in map coordinates; empty without an image."""
        layer = self._raster()
        if layer is None:
            return QgsGeometry()
        outline = QgsGeometry.fromRect(layer.extent())
        settings = self._canvas.mapSettings()
        outline.transform(
            QgsCoordinateTransform(layer.crs(), settings.destinationCrs(), QgsProject.instance())
        )
        return outline

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802
        outline = self.outline()
        if outline.contains(self.toMapCoordinates(event.pos())):
            self._band.setToGeometry(outline, None)
        else:
            self.cancel()

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:  # noqa: N802
        outline = self.outline()
        inside = outline.contains(self.toMapCoordinates(event.pos()))
        self.cancel()
        if event.button() == Qt.MouseButton.LeftButton and inside:
            self.drawn.emit(outline)

    def remove_vertex(self) -> None:
        self.cancel()


def _shift(event: QgsMapMouseEvent) -> bool:
    return bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
