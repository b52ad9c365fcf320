"""What is labelled and where the samples go: the imagery and the layer of samples."""

from __future__ import annotations

from pathlib import Path

from qgis.core import (
    QgsMapLayer,
    QgsMapLayerProxyModel,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtCore import QCoreApplication, pyqtSignal
from qgis.PyQt.QtWidgets import QFormLayout, QHBoxLayout, QPushButton, QSizePolicy, QWidget

from ..algorithms.styling import SampleStyler
from ..core.samples.document import SchemaDocument
from ..core.samples.layer import empty_samples
from .sample_layer import is_sample_layer, open_samples, require_samples


class LabelSources(QWidget):
    """Asks for the imagery and the samples."""

    raster_changed = pyqtSignal(object)
    samples_changed = pyqtSignal(object)
    new_wanted = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self._told = {"raster": "", "samples": ""}  # identifiers of the layers that were told
        self.raster_field = QgsMapLayerComboBox()
        self.raster_field.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self.raster_field.layerChanged.connect(self._tell_raster)
        self.raster_field.setToolTip(self.tr("The imagery that the samples show."))
        self.samples_field = QgsMapLayerComboBox()
        self.samples_field.setFilters(QgsMapLayerProxyModel.Filter.PolygonLayer)
        self.samples_field.setAllowEmptyLayer(True, self.tr("No samples yet"))
        self.samples_field.layerChanged.connect(self._tell_samples)
        self.samples_field.setToolTip(
            self.tr("The layer that the samples are drawn into; each is saved at once.")
        )
        self.new_button = QPushButton(self.tr("New…"))
        self.new_button.setToolTip(self.tr("Make a file of samples, or open one to go on."))
        self.new_button.clicked.connect(self.new_wanted)
        self._leave_others_out()
        self._told.update(raster=_identifier(self.raster()), samples=_identifier(self.samples()))
        project = QgsProject.instance()
        project.layersAdded.connect(self._leave_others_out)
        project.layersWillBeRemoved.connect(self._let_go)
        project.layersRemoved.connect(self._take_what_is_left)
        project.readProject.connect(self._take_up)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.samples_field, 1)
        row.addWidget(self.new_button)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(self.tr("Imagery"), self.raster_field)
        form.addRow(self.tr("Samples"), row)
        for field in (self.raster_field, self.samples_field):
            # A long name must not keep the dock from being narrow.
            field.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            field.setMinimumWidth(110)

    def raster(self) -> QgsRasterLayer | None:
        """Return the imagery."""
        return self.raster_field.currentLayer()

    def samples(self) -> QgsVectorLayer | None:
        """Return the layer of samples."""
        return self.samples_field.currentLayer()

    def choose(self, layer: QgsVectorLayer) -> None:
        """Choose a layer of samples."""
        self._leave_others_out()
        self.samples_field.setLayer(layer)

    def _tell_raster(self, layer: QgsRasterLayer | None) -> None:
        self._told["raster"] = _identifier(layer)
        self.raster_changed.emit(layer)

    def _tell_samples(self, layer: QgsVectorLayer | None) -> None:
        self._told["samples"] = _identifier(layer)
        self.samples_changed.emit(layer)

    def _let_go(self, leaving: list[str]) -> None:
        """Tell of a layer that leaves the project while it is still there.

        Where others are left, QGIS's fields have gone over to one of them without a word.
        """
        if self._told["samples"] in leaving:
            self.samples_field.setLayer(None)
        if self._told["samples"] in leaving:
            self._tell_samples(None)  # the field was empty already
        if self._told["raster"] in leaving:
            self._tell_raster(None)

    def _take_up(self) -> None:
        """Go on with the samples of a project that was opened, if only one layer has any."""
        layers = [
            each for each in QgsProject.instance().mapLayers().values() if is_sample_layer(each)
        ]
        if self.samples() is None and len(layers) == 1:
            self.choose(layers[0])

    def _take_what_is_left(self) -> None:
        if self._told["raster"] != _identifier(self.raster()):
            self._tell_raster(self.raster())

    def _leave_others_out(self) -> None:
        layers = QgsProject.instance().mapLayers().values()
        others = [
            each
            for each in layers
            if isinstance(each, QgsVectorLayer) and not is_sample_layer(each)
        ]
        self.samples_field.setExceptedLayerList(others)

    def tr(self, text: str) -> str:
        """Translate a literal."""
        return QCoreApplication.translate("GeoDL", text)


def _identifier(layer: QgsMapLayer | None) -> str:
    return "" if layer is None else layer.id()


def add_on_top(layer: QgsVectorLayer) -> None:
    """Add samples to the project above all else, whichever layer is the active one."""
    project = QgsProject.instance()
    project.addMapLayer(layer, False)
    project.layerTreeRoot().insertLayer(0, layer)


def open_or_make(
    path: str, raster: QgsRasterLayer | None, document: SchemaDocument
) -> QgsVectorLayer:
    """Open a file of samples; make it first, with these classes, where there is none.

    Raises:
        GeoDLError: when it cannot be written, or is there and holds no samples.
    """
    is_new = not Path(path).exists()
    if is_new:
        reference = QgsProject.instance().crs() if raster is None else raster.crs()
        empty_samples(path, reference.toWkt() if reference.isValid() else "")
        # Before the layer is opened: a second access that ends spoils that of the first one.
        SampleStyler(document).write_style(path)
    layer = open_samples(path, Path(path).stem)
    require_samples(layer)
    return layer
