"""The dock that labels: classes, drawing, the samples, and where they go next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsCoordinateTransform,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.gui import QgsDockWidget
from qgis.PyQt.QtCore import QCoreApplication, Qt, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QKeySequence
from qgis.PyQt.QtWidgets import (
    QFileDialog,
    QShortcut,
)

from ..core.errors import GeoDLError, InputError
from ..core.samples.document import SchemaDocument
from ..core.samples.schema import ClassDefinition
from .image_session import ImageSession
from .label_panel import LabelPanel
from .label_sources import add_on_top, open_or_make
from .result_layers import open_dialog
from .review import Review
from .sample_layer import Sample, SampleLayer, completed, is_sample_layer

MARGIN = 3.0  # times its own size around a sample that is visited
INSPECT = "geodl:inspecttrainingdata"
SETTLED = 50  # milliseconds without another edit, until the counts are taken


class LabelDock(QgsDockWidget):
    """Draws samples into a layer of the project; each is in its file once it is drawn."""

    training_wanted = pyqtSignal(str)  # a model is to be trained on the chips in a folder

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
        panel = LabelPanel(iface)
        self.setWidget(panel)
        self.sources, self.editor = panel.sources, panel.editor
        self.bar, self.list = panel.bar, panel.list
        self.notice, self.export_button = panel.notice, panel.export_button
        self.inspect_button = panel.inspect_button
        self._exported = ""  # the folder of the last chips
        self._panel = panel
        self.review = Review(iface, self, panel.review)
        self.images = ImageSession(iface, self, panel.images)
        self._connect()
        self._take_layer(self.sources.samples())

    def _connect(self) -> None:
        self.sources.samples_changed.connect(self._take_layer)
        self.sources.raster_changed.connect(self._take_raster)
        self.sources.new_wanted.connect(self.ask_layer)
        self.editor.changed.connect(self._adopt)
        self.editor.chosen.connect(self._take_class)
        self.editor.failed.connect(self._tell_error)
        self.editor.merge_wanted.connect(self._merge)
        self.bar.used.connect(self._prepare)
        self.bar.drawn.connect(self._draw)
        self.bar.failed.connect(self._tell_error)
        self.bar.class_wanted.connect(self.editor.tree.choose_place)
        self.bar.delete_wanted.connect(lambda: self._remove(self._selected()))
        self.list.picked.connect(self._select)
        self.list.visited.connect(self.visit)
        self.list.reassigned.connect(self._reassign)
        self.list.removed.connect(self._remove)
        self.export_button.clicked.connect(self.export)
        self.inspect_button.clicked.connect(self.inspect)
        self.closed.connect(self._rest)
        for place in range(9):
            key = QShortcut(QKeySequence(str(place + 1)), self)
            key.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            key.activated.connect(lambda place=place: self.editor.tree.choose_place(place))

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
        add_on_top(layer)
        self.sources.choose(layer)
        self.notice.clear()
        self.images.take_samples()

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
        else:
            self.bar.stop()  # what is drawn would go nowhere
        self._count()
        self._show_state()

    def _let_go(self) -> None:
        self.review.leave()
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

    def _rest(self) -> None:
        """Lay the tools down and end the editing; the next drawing begins it again."""
        self.review.leave()
        self.bar.stop()
        if self.samples is not None:
            self.samples.rest()

    def shut_down(self) -> None:
        """Save all, and take the tools off the map: the dock is going away."""
        self.bar.dispose()
        self._let_go()
        self.review.dispose()
        self.images.dispose()

    # The classes

    def _adopt(self, document: SchemaDocument, moves: dict[int, int]) -> None:
        self.notice.clear()
        self._edit(lambda: self.samples.adopt(document, moves))
        self._show_state()

    def _take_class(self) -> None:
        kind = self.editor.current()
        if self.samples is not None:
            self.samples.current = kind
        if kind is not None:
            self.bar.set_color(kind.color)
        self.list.show_class(self.editor.tree.current())

    def _merge(self, kind: ClassDefinition, into: ClassDefinition) -> None:
        """Give all samples of a class to another, and remove it."""
        if self.samples is not None:
            features = [each.feature for each in self.samples.samples() if each.value == kind.value]
            if features:
                self._reassign(features, into)
                self._count()
        document = self.editor.document.removed(kind.value)
        self.editor.apply(document, self.tr("Merge classes"))

    # The samples

    def _prepare(self) -> None:
        """Have QGIS's own tools, undo among them, work on the samples."""
        if self.samples is not None:
            self._iface.setActiveLayer(self.samples.layer)
            self._edit(self.samples.edit)

    def _draw(self, geometry: QgsGeometry) -> None:
        kind = self.editor.current()
        if self.samples is None or kind is None:
            return
        shape = QgsGeometry(geometry)
        try:
            shape.transform(self._to_layer())
            if not shape.boundingBox().isFinite():
                raise InputError(
                    f"Nothing was drawn: the coordinate system of '{self.samples.layer.name()}' "
                    "does not reach that far."
                )
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

    def visit(self, feature: int, margin: float = MARGIN) -> None:
        """Show a sample in the middle of the map, with ``margin`` times its size around it."""
        box = self.samples.zoom_box([feature]) if self.samples is not None else None
        if box is None:
            return
        back = QgsCoordinateTransform(
            self.samples.layer.crs(),
            self._canvas.mapSettings().destinationCrs(),
            QgsProject.instance(),
        )
        extent = QgsRectangle(back.transformBoundingBox(box))
        extent.scale(margin)
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
        self._take_strangers({value for value in counts if value is not None})
        self.list.show_samples(found, self.editor.document)
        self.export_button.setEnabled(bool(found))
        self.review.refresh()
        self.images.count()

    def _take_strangers(self, values: set[int]) -> None:
        """Take over classes that samples have and the schema lacks, after a paste for example."""
        if values <= {node.value for node in self.editor.document.walk()}:
            return
        document = completed(self.editor.document, self.samples.layer)
        try:
            document.check()
        except GeoDLError:
            return  # the list shows them as without a class
        self.samples.document = document  # the samples themselves are as they shall be
        self.editor.apply(document, self.tr("Take over the classes of samples"))

    def _show_state(self) -> None:
        self._panel.show_state(self.samples is not None)

    def _tell_error(self, message: str) -> None:
        self.notice.tell("error", message)

    # Where the samples go next

    def export(self) -> None:
        """Open the tool that exports training data, filled in."""
        if self.samples is None:
            return
        self.samples.history.save()
        values: dict[str, Any] = {"LABELS": self.samples.layer.id(), "CLASS_FIELD": "Classvalue"}
        raster = self.sources.raster()
        if self.images.placed:
            values.update(INPUT_FOLDER=self.images.folder, PROCESSING_MODE="SEPARATE")
        elif raster is not None:
            values["INPUT"] = [raster.id()]
        dialog = open_dialog("geodl:exporttrainingdata", values)
        if dialog is not None:
            dialog.algorithmFinished.connect(self._lead_on)

    def inspect(self) -> None:
        """Open the tool that checks training data, with the chips that were exported last."""
        open_dialog(INSPECT, {"INPUT": self._exported} if self._exported else {})

    def _lead_on(self, successful: bool, results: dict[str, Any]) -> None:
        folder = str(results.get("OUTPUT", ""))
        if not successful or not folder:
            return
        text = self.tr("{} chips with {} samples are in {}.").format(
            results.get("CHIP_COUNT"), results.get("FEATURE_COUNT"), folder
        )
        self._exported = folder
        links = {
            self.tr("Inspect them"): self.inspect,
            self.tr("Train a model"): lambda: self.training_wanted.emit(folder),
        }
        self.notice.tell("success", text, links)

    def tr(self, text: str) -> str:
        """Translate a literal of the dock."""
        return QCoreApplication.translate("GeoDL", text)
