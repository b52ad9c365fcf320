"""A hand on the map: real mouse and key events, at places given in parts of the scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from driver import pause
from qgis.core import QgsPointXY, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QEvent, QPoint, QPointF, Qt
from qgis.PyQt.QtGui import QMouseEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication
from qgis.utils import iface

NONE = Qt.MouseButton.NoButton
LEFT = Qt.MouseButton.LeftButton


class Hand:
    """Moves over the first raster of the project."""

    def __init__(self) -> None:
        self.canvas = iface.mapCanvas()
        self.held = NONE
        self.modifiers = Qt.KeyboardModifier.NoModifier
        layers = QgsProject.instance().mapLayers().values()
        self.extent = next(each for each in layers if isinstance(each, QgsRasterLayer)).extent()

    def place(self, x: float, y: float) -> QPoint:
        """Return the pixel of the map at parts of the scene's width and height."""
        extent = self.extent
        point = QgsPointXY(
            extent.xMinimum() + x * extent.width(), extent.yMaximum() - y * extent.height()
        )
        found = self.canvas.getCoordinateTransform().transform(point)
        return QPoint(round(found.x()), round(found.y()))

    def move(self, x: float, y: float) -> None:
        """Move the mouse."""
        self._send(QEvent.Type.MouseMove, x, y, NONE)

    def press(self, x: float, y: float, button: Any = LEFT) -> None:
        """Press a button."""
        self.held = button
        self._send(QEvent.Type.MouseButtonPress, x, y, button)

    def let_go(self, x: float, y: float, button: Any = LEFT) -> None:
        """Release a button."""
        self.held = NONE
        self._send(QEvent.Type.MouseButtonRelease, x, y, button)

    def click(self, x: float, y: float, button: Any = LEFT, modifiers: Any = None) -> None:
        """Click, with keys of the keyboard held where ``modifiers`` says so."""
        self.modifiers = modifiers or Qt.KeyboardModifier.NoModifier
        self.press(x, y, button)
        self.let_go(x, y, button)
        self.modifiers = Qt.KeyboardModifier.NoModifier

    def drag(self, points: Sequence[tuple[float, float]], let_go: bool = True) -> None:
        """Drag along points."""
        self.move(*points[0])
        self.press(*points[0])
        for point in points[1:]:
            self.move(*point)
        if let_go:
            self.let_go(*points[-1])
        pause(0.05)

    def key(self, key: Any) -> None:
        """Press a key while the map has the focus."""
        QTest.keyClick(self.canvas, key)
        pause(0.05)

    def _send(self, kind: Any, x: float, y: float, button: Any) -> None:
        view, place = self.canvas.viewport(), self.place(x, y)
        where = QPointF(place), QPointF(view.mapToGlobal(place))
        event = QMouseEvent(kind, *where, button, self.held, self.modifiers)
        QApplication.sendEvent(view, event)
        pause(0.02)
