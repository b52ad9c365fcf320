"""The dock that labels: classes, drawing, the samples, and where they go next."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsCoordinateTransform,
    QgsGeometry,
    QgsMapLayer,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.gui import QgsDockWidget
from qgis.PyQt.QtCore import QCoreApplication, Qt, QTimer
from qgis.PyQt.QtGui import QKeySequence
from qgis.PyQt.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QInputDialog,
    QPushButton,
    QShortcut,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from ..core.errors import GeoDLError
from ..core.samples.document import SchemaDocument
from .draw_bar import DrawBar
from .label_sources import LabelSources, open_or_make
from .notice import Notice
from .result_layers import open_dialog
from .sample_layer import Sample, SampleLayer, is_sample_layer, read_document
from .sample_list import SampleList
from .schema_editor import SchemaEditor, classes_of

MARGIN = 3.0  # times its own size around a sample that is visited
SETTLED = 50  # milliseconds without another edit, until the counts are taken


class LabelDock(QgsDockWidget):
    """Draws samples into a layer of the project; each is in its file once it is drawn."""

    def __init__(self, iface: Any) -> None:
        super().__init__(iface.mainWindow())
        self.setObjectName("geodl_label_dock")
        self.setWindowTitle(self.tr("Label objects"))
        self._iface = iface
        self._canvas = iface.mapCanvas()
        self.samples: SampleLayer | None = None
        self._recount = QTimer(self)
        self._recount.setSingleShot(True)
        self._recount.setInterval(SETTLED)
        self._recount.timeout.connect(self._count)
        self._make_widgets()
        self._connect()
        self._arrange()
        self._take_layer(self.sources.samples())

    def _make_widgets(self) -> None:
        self.sources = LabelSources()
        self.editor = SchemaEditor()
        self.bar = DrawBar(self._iface, self.sources.raster)
        self.list = SampleList()
        self.notice = Notice()
        self.export_button = QPushButton(self.tr("Export training data…"))
        self.export_button.setToolTip(self.tr("Opens the tool with these samples and imagery."))

    def _connect(self) -> None:
        self.sources.samples_changed.connect(self._take_layer)
        self.sources.raster_changed.connect(self._take_raster)
        self.sources.new_wanted.connect(self.ask_layer)
        self.editor.changed.connect(self._adopt)
        self.editor.chosen.connect(self._take_class)
        self.editor.failed.connect(self._tell_error)
        self.editor.layer_wanted.connect(self._ask_classes)
        self.bar.used.connect(self._prepare)
        self.bar.drawn.connect(self._draw)
        self.bar.class_wanted.connect(self.editor.tree.choose_place)
        self.bar.delete_wanted.connect(lambda: self._remove(self._selected()))
        self.list.picked.connect(self._select)
        self.list.visited.connect(self.visit)
        self.list.reassigned.connect(self._reassign)
        self.list.removed.connect(self._remove)
        self.export_button.clicked.connect(self.export)
        for place in range(9):
            key = QShortcut(QKeySequence(str(place + 1)), self)
            key.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            key.activated.connect(lambda place=place: self.editor.tree.choose_place(place))

    def _arrange(self) -> None:
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.setChildrenCollapsible(False)
        parts.addWidget(self.editor)
        below = QWidget()
        column = QVBoxLayout(below)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.bar)
        column.addWidget(self.list, 1)
        parts.addWidget(below)
        parts.setStretchFactor(0, 3)
        parts.setStretchFactor(1, 4)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.export_button)
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.sources)
        layout.addWidget(parts, 1)
        layout.addWidget(self.notice)
        layout.addLayout(buttons)
        self.setWidget(content)

    # The layers

    def ask_layer(self) -> None:
        """Ask for the file of the samples, and take it."""
        start = Path(QgsProject.instance().homePath() or str(Path.home())) / "samples.gpkg"
        path, _ = QFileDialog.getSaveFileName(
            self,
            self.tr("File of the samples: a new one, or one to go on with"),
            str(start),
            "GeoPackage (*.gpkg)",
            options=QFileDialog.Option.DontConfirmOverwrite,
        )
        if path:
            self.take_file(path if Path(path).suffix else f"{path}.gpkg")

    def take_file(self, path: str) -> None:
        """Open a file of samples, or make it with the classes of the dock."""
        document = self.editor.document
        try:
            layer = open_or_make(path, self.sources.raster(), document)
        except GeoDLError as error:
            self._tell_error(str(error))
            return
        QgsProject.instance().addMapLayer(layer)
        self.sources.choose(layer)
        self.notice.clear()

    def _take_layer(self, layer: QgsVectorLayer | None) -> None:
        if self.samples is not None and self.samples.layer is layer:
            return
        self._let_go()
        if layer is not None and is_sample_layer(layer):
            self.samples = SampleLayer(layer)
            self.samples.changed.connect(self._recount.start)
            self.samples.failed.connect(self._tell_error)
            layer.selectionChanged.connect(self._show_selection)
            layer.willBeDeleted.connect(self._forget)
            self.editor.set_document(self.samples.document)
            self._take_raster(self.sources.raster())
        self._count()
        self._show_state()

    def _let_go(self) -> None:
        if self.samples is not None:
            self.samples.layer.selectionChanged.disconnect(self._show_selection)
            self.samples.layer.willBeDeleted.disconnect(self._forget)
            self.samples.release()
            self.samples = None

    def _forget(self) -> None:
        # The layer is leaving the project; all of it is in its file.
        self.bar.stop()
        self._let_go()
        self._count()
        self._show_state()

    def _take_raster(self, raster: Any) -> None:
        if self.samples is not None:
            self.samples.raster = raster

    def shut_down(self) -> None:
        """Save all, and take the tools off the map: the dock is going away."""
        self.bar.dispose()
        self._let_go()

    # The classes

    def _adopt(self, document: SchemaDocument, moves: dict[int, int]) -> None:
        self.notice.clear()
        if self.samples is not None:
            self.samples.adopt(document, moves)
        self._show_state()

    def _take_class(self) -> None:
        kind = self.editor.current()
        if self.samples is not None:
            self.samples.current = kind
        if kind is not None:
            self.bar.set_color(kind.color)
        self.list.show_class(self.editor.tree.current())

    def _ask_classes(self) -> None:
        layers = {each.name(): each for each in QgsProject.instance().mapLayers().values()}
        title, text = self.tr("Take classes from a layer"), self.tr("Layer")
        name, chosen = QInputDialog.getItem(self, title, text, sorted(layers), 0, False)
        if chosen and name:
            self.take_classes(layers[name])

    def take_classes(self, layer: QgsMapLayer) -> None:
        """Take the classes of a layer over: of its samples, or of its style."""
        try:
            if is_sample_layer(layer):
                document = read_document(layer)
            else:
                with tempfile.TemporaryDirectory() as folder:
                    document = classes_of(layer, Path(folder) / "style.qml")
            self.editor.take_over(document, self.tr("Take classes from a layer"))
        except GeoDLError as error:
            self._tell_error(str(error))

    # The samples

    def _prepare(self) -> None:
        """Have QGIS's own tools, undo among them, work on the samples."""
        if self.samples is not None:
            self._iface.setActiveLayer(self.samples.layer)
            self.samples.edit()

    def _draw(self, geometry: QgsGeometry) -> None:
        kind = self.editor.current()
        if self.samples is None or kind is None:
            return
        shape = QgsGeometry(geometry)
        try:
            shape.transform(self._to_layer())
            self.samples.draw(shape, kind)
        except GeoDLError as error:
            self._tell_error(str(error))

    def _reassign(self, features: list[int], kind: Any) -> None:
        self._edit(lambda: self.samples.reassign(features, kind))

    def _remove(self, features: list[int]) -> None:
        if features:
            self._edit(lambda: self.samples.remove(features))

    def _edit(self, work: Any) -> None:
        if self.samples is None:
            return
        try:
            work()
        except GeoDLError as error:
            self._tell_error(str(error))

    def visit(self, feature: int) -> None:
        """Show a sample in the middle of the map."""
        box = self.samples.zoom_box([feature]) if self.samples is not None else None
        if box is None:
            return
        back = QgsCoordinateTransform(
            self.samples.layer.crs(),
            self._canvas.mapSettings().destinationCrs(),
            QgsProject.instance(),
        )
        extent = QgsRectangle(back.transformBoundingBox(box))
        extent.scale(MARGIN)
        self._canvas.setExtent(extent)
        self._canvas.refresh()

    def _to_layer(self) -> QgsCoordinateTransform:
        return QgsCoordinateTransform(
            self._canvas.mapSettings().destinationCrs(),
            self.samples.layer.crs(),
            QgsProject.instance(),
        )

    def _selected(self) -> list[int]:
        return [] if self.samples is None else self.samples.layer.selectedFeatureIds()

    def _select(self, features: list[int]) -> None:
        if self.samples is not None:
            self.samples.layer.selectByIds(features)

    def _show_selection(self) -> None:
        self.list.choose(set(self._selected()))

    # What the dock shows

    def _count(self) -> None:
        found: list[Sample] = [] if self.samples is None else list(self.samples.samples())
        counts: dict[int, tuple[int, int]] = {}
        for each in found:
            samples, pixels = counts.get(each.value, (0, 0))
            counts[each.value] = samples + 1, pixels + each.pixels
        self.editor.set_counts(counts)
        self.list.show_samples(found, self.editor.document)
        self.export_button.setEnabled(bool(found))

    def _show_state(self) -> None:
        self.bar.setEnabled(self.samples is not None and bool(len(self.editor.document)))

    def _tell_error(self, message: str) -> None:
        self.notice.tell("error", message)

    def export(self) -> None:
        """Open the tool that exports training data, filled in."""
        if self.samples is None:
            return
        self.samples.history.save()
        values: dict[str, Any] = {"LABELS": self.samples.layer.id(), "CLASS_FIELD": "Classvalue"}
        raster = self.sources.raster()
        if raster is not None:
            values["INPUT"] = [raster.id()]
        open_dialog("geodl:exporttrainingdata", values)

    def tr(self, text: str) -> str:
        """Translate a literal of the dock."""
        return QCoreApplication.translate("GeoDL", text)
