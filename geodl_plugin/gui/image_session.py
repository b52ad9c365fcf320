"""Labels the images of a folder one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsLayerTreeGroup,
    QgsLayerTreeLayer,
    QgsLayerTreeNode,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QCoreApplication, QObject, QTimer
from qgis.PyQt.QtWidgets import QFileDialog

from ..algorithms.raster_parameters import rasters_of
from ..core.errors import GeoDLError
from ..core.samples.document import SchemaDocument
from .image_bar import ImageBar
from .image_samples import (
    ImagePlace,
    count_samples,
    file_of,
    make_table,
    open_table,
    table_of,
)
from .label_sources import add_on_top


class ImageSession(QObject):
    """Shows an image of a folder in the project, in the place of the one before.

    Samples of images that lie on the map go into the one layer of samples. Images without a
    georeference all lie at 0, 0: each has a table of its own in the same file, named like the
    image, so that no sample shows on another image.

    Args:
        iface: the window.
        dock: in which the samples are drawn.
        bar: leads through the folder.
    """

    def __init__(self, iface: Any, dock: Any, bar: ImageBar) -> None:
        super().__init__(dock)
        self._canvas = iface.mapCanvas()
        self._dock = dock
        self._bar = bar
        self.folder = ""
        self.images: list[str] = []
        self.index = -1
        self._places: dict[str, ImagePlace] = {}
        self._shown = ""  # the identifier of the image's layer
        self._own = ""  # the identifier of the image's own table of samples
        self._waiting: list[int] = []
        self._survey = QTimer(self)
        self._survey.timeout.connect(self._look_at_next)
        bar.folder_wanted.connect(self.ask_folder)
        bar.step_wanted.connect(self.step)
        bar.image_wanted.connect(self.show)
        dock.sources.samples_changed.connect(lambda _: self.count_all())

    @property
    def placed(self) -> bool:
        """Whether a folder of images that lie on the map is labelled."""
        place = self._place()
        return place is not None and place.has_place

    def ask_folder(self) -> None:
        """Ask for the folder, and open it."""
        start = self.folder or QgsProject.instance().homePath() or str(Path.home())
        path = QFileDialog.getExistingDirectory(self._dock, self.tr("Folder of images"), start)
        if path:
            self.open(path)

    def open(self, folder: str) -> None:
        """Begin with the first image of a folder."""
        try:
            images = rasters_of(Path(folder))
        except GeoDLError as error:
            self._tell(error)
            return
        self.folder, self.images, self._places, self.index = folder, images, {}, -1
        self._bar.show_images([Path(image).name for image in images])
        self._show_first(range(len(images)))
        self.count_all()

    def step(self, step: int) -> None:
        """Go to the next image that can be opened, or to the one before."""
        end = len(self.images) if step > 0 else -1
        self._show_first(range(self.index + step, end, step))

    def show(self, index: int) -> None:
        """Show an image, and its samples."""
        self._show_first([index])

    def _show_first(self, places: Iterable[int]) -> None:
        """Show the first of some images that can be opened, and tell of those before it."""
        problems = []
        for index in places:
            try:
                self._show(index)
                break
            except GeoDLError as error:
                problems.append(str(error))
        if not problems:
            return
        self._bar.show_place(max(self.index, 0))
        text = problems[0]
        if len(problems) > 1:
            text += " " + self.tr("Neither can {} more.").format(len(problems) - 1)
        self._dock.notice.tell("error", text)

    def _show(self, index: int) -> None:
        path = self.images[index]
        layer = QgsRasterLayer(path, Path(path).stem, "gdal")
        self._places[path] = ImagePlace.of(path)
        project, former = QgsProject.instance(), self._shown
        group, place = _place_in_tree(former)
        project.addMapLayer(layer, False)
        group.insertLayer(place, layer)
        self.index, self._shown = index, layer.id()
        self._dock.sources.raster_field.setLayer(layer)
        if project.mapLayer(former) is not None:
            project.removeMapLayer(former)
        self._bar.show_place(index)
        self._dock.notice.clear()
        self.take_samples()
        self.count()
        self._zoom(layer)

    def _zoom(self, layer: QgsRasterLayer) -> None:
        extent = self._canvas.mapSettings().layerExtentToOutputExtent(layer, layer.extent())
        extent.scale(1.05)
        self._canvas.setExtent(extent)
        self._canvas.refresh()

    # The samples

    def take_samples(self) -> None:
        """Choose the image's own table where it needs one."""
        samples, place = self._samples(), self._place()
        if samples is None or place is None or place.has_place:
            return
        path, table = file_of(samples), table_of(self.images[self.index])
        if samples.source().endswith(f"|layername={table}"):
            return
        if not path.lower().endswith(".gpkg"):
            text = self.tr(
                "Images without a georeference need a table each, which '{}' cannot hold. Make a "
                "GeoPackage with 'New…'."
            )
            self._dock.notice.tell("error", text.format(Path(path).name))
            return
        document = self._dock.editor.document
        try:
            layer = open_table(path, table) or make_table(path, table, document)
        except GeoDLError as error:
            self._tell(error)
            return
        project, former = QgsProject.instance(), self._own
        add_on_top(layer)
        self._own = layer.id()
        self._dock.sources.choose(layer)
        if project.mapLayer(former) is not None:
            project.removeMapLayer(former)
        self._share_classes(document)

    def _share_classes(self, document: SchemaDocument) -> None:
        """Have the classes of the image before in this one too."""
        both = document
        for node in self._dock.editor.document.walk():
            if both.find(node.value) is None:
                both = both.added(node)
        if both != self._dock.editor.document:
            self._dock.editor.set_document(both)
            self._dock.samples.adopt(both, {})

    def count(self) -> None:
        """Tell how many samples the image has."""
        if self.index >= 0:
            self._tell_count(self.index)

    def count_all(self) -> None:
        """Tell how many samples each image has, without keeping the window waiting."""
        self._waiting = list(range(len(self.images)))
        self._survey.start(0)

    def dispose(self) -> None:
        """Stop counting: the dock is going away."""
        self._survey.stop()

    def _look_at_next(self) -> None:
        if not self._waiting:
            self._survey.stop()
            return
        self._tell_count(self._waiting.pop(0))

    def _tell_count(self, index: int) -> None:
        samples, image = self._samples(), self.images[index]
        try:
            if image not in self._places:
                self._places[image] = ImagePlace.of(image)
        except GeoDLError:
            return  # told when it is its turn
        found = 0 if samples is None else count_samples(samples, image, self._places[image])
        self._bar.show_count(index, found)

    def _samples(self) -> QgsVectorLayer | None:
        return None if self._dock.samples is None else self._dock.samples.layer

    def _place(self) -> ImagePlace | None:
        return self._places.get(self.images[self.index]) if self.index >= 0 else None

    def _tell(self, error: GeoDLError) -> None:
        self._dock.notice.tell("error", str(error))

    def tr(self, text: str) -> str:
        """Translate a literal."""
        return QCoreApplication.translate("GeoDL", text)


def _place_in_tree(former: str) -> tuple[QgsLayerTreeGroup, int]:
    """Return where an image goes: to the one before, else above the other rasters, as basemaps.

    They may lie in groups.
    """
    root = QgsProject.instance().layerTreeRoot()
    node = root.findLayer(former)
    if node is not None:
        return node.parent(), node.parent().children().index(node)
    children = root.children()
    rasters = (place for place, each in enumerate(children) if _has_raster(each))
    return root, next(rasters, len(children))


def _has_raster(node: QgsLayerTreeNode) -> bool:
    layers = [node] if isinstance(node, QgsLayerTreeLayer) else node.findLayers()
    return any(isinstance(each.layer(), QgsRasterLayer) for each in layers)
