"""The buttons that draw and edit samples on the map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.core import QgsApplication, QgsGeometry, QgsRasterLayer
from qgis.PyQt.QtCore import QCoreApplication, pyqtSignal
from qgis.PyQt.QtWidgets import QAction, QToolBar

from . import draw_shapes
from .draw_tools import DragTool, DrawTool, FreehandTool, ImageTool, PolygonTool
from .segment_tool import SegmentTool

SNAPPING = "EnableSnappingAction"
# QGIS's own actions, by the names they have in its window.
QGIS_ACTIONS = (
    "mActionSelectFeatures",
    "mActionVertexToolActiveLayer",
    "mActionSplitFeatures",
    "mActionMergeFeatures",
    SNAPPING,
)


class DrawBar(QToolBar):
    """A button for each way to draw, then QGIS's own: select, vertices, split, merge.

    Args:
        iface: the window.
        raster: returns the imagery, for the tool that takes the whole image.
    """

    drawn = pyqtSignal(QgsGeometry)
    class_wanted = pyqtSignal(int)
    delete_wanted = pyqtSignal()
    failed = pyqtSignal(str)
    used = pyqtSignal()  # a button is about to work on the layer

    def __init__(self, iface: Any, raster: Callable[[], QgsRasterLayer | None]) -> None:
        super().__init__()
        self.setObjectName("geodl_draw_bar")
        self.setIconSize(self.iconSize() * 0.85)
        self._iface = iface
        canvas = iface.mapCanvas()
        self.tools: dict[str, DrawTool] = {
            "rectangle": DragTool(canvas, draw_shapes.rectangle),
            "polygon": PolygonTool(canvas),
            "circle": DragTool(canvas, lambda points, _regular: draw_shapes.circle(points)),
            "freehand": FreehandTool(canvas),
            "segment": SegmentTool(canvas, raster),
            "image": ImageTool(canvas, raster),
        }
        self.tools["segment"].failed.connect(self.failed)
        self.buttons: dict[str, QAction] = {}
        self._add("rectangle", "mActionAddBasicRectangle", self.tr("Rectangle: drag, or 2 clicks"))
        self._add("polygon", "mActionAddPolygon", self.tr("Polygon: click, end with the right"))
        self._add("circle", "mActionAddBasicCircle", self.tr("Circle: drag from its centre"))
        self._add("freehand", "mActionSelectFreehand", self.tr("Freehand: drag around"))
        self._add("segment", "mActionSelectPolygon", self.tr("Segment: click on an object"))
        self._add("image", "mActionZoomFullExtent", self.tr("The whole image: click"))
        self.addSeparator()
        for name in QGIS_ACTIONS:
            self._borrow(name)

    def _add(self, name: str, icon: str, text: str) -> None:
        action = QAction(QgsApplication.getThemeIcon(f"/{icon}.svg"), text, self)
        action.setObjectName(f"geodl_draw_{name}")
        action.setCheckable(True)
        tool = self.tools[name]
        tool.setAction(action)
        tool.drawn.connect(self.drawn)
        tool.class_wanted.connect(self.class_wanted)
        tool.delete_wanted.connect(self.delete_wanted)
        action.triggered.connect(lambda: self.draw(name))
        self.addAction(action)
        self.buttons[name] = action

    def _borrow(self, name: str) -> None:
        theirs = self._iface.mainWindow().findChild(QAction, name)
        if theirs is None:
            return
        action = QAction(theirs.icon(), theirs.text().replace("&", ""), self)
        action.triggered.connect(lambda: self._trigger(theirs))
        if name == SNAPPING:
            action.setCheckable(True)
            action.setChecked(theirs.isChecked())
            theirs.toggled.connect(action.setChecked)
        self.addAction(action)
        self.buttons[name] = action

    def _trigger(self, action: QAction) -> None:
        self.used.emit()
        action.trigger()

    def draw(self, name: str) -> None:
        """Begin to draw with a tool."""
        self.used.emit()
        canvas = self._iface.mapCanvas()
        canvas.setMapTool(self.tools[name])
        canvas.setFocus()

    def set_color(self, color: tuple[int, int, int]) -> None:
        """Draw in the colour of the class."""
        for tool in self.tools.values():
            tool.set_color(color)

    def stop(self) -> None:
        """Lay the tool down that is in use."""
        for tool in self.tools.values():
            self._iface.mapCanvas().unsetMapTool(tool)

    def dispose(self) -> None:
        """Take the tools off the map."""
        for tool in self.tools.values():
            tool.dispose()

    def tr(self, text: str) -> str:
        """Translate a literal of the bar."""
        return QCoreApplication.translate("GeoDL", text)
