"""Lets a model find drafts in the imagery of the dock 'Label objects'."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.core import QgsCoordinateTransform, QgsProject, QgsRasterLayer, QgsSettings
from qgis.PyQt.QtCore import QCoreApplication, QObject

from ..algorithms.base import PYTHON_SETTING
from ..algorithms.raster_parameters import gdal_source
from ..core.errors import GeoDLError, InputError
from ..core.inference.options import DetectionOptions
from ..core.packages.definition import ModelDefinition
from ..core.samples.prelabel import Draft, Present, match_classes
from .drafts import Drafts
from .prelabel_thread import PrelabelThread
from .review_panel import VISIBLE, ReviewPanel
from .sample_layer import SampleLayer

if TYPE_CHECKING:
    from .label_dock import LabelDock


class Prelabelling(QObject):
    """Runs a model in the worker and writes what it found into the samples.

    Args:
        iface: the window.
        dock: has the imagery, the samples, the classes and the place for sentences.
        panel: what the section shows.
        review: begins the review.
    """

    def __init__(
        self, iface: Any, dock: LabelDock, panel: ReviewPanel, review: Callable[[], None]
    ) -> None:
        super().__init__(dock)
        self._canvas = iface.mapCanvas()
        self._dock = dock
        self._panel = panel
        self._review = review
        self._thread: PrelabelThread | None = None
        self._samples: SampleLayer | None = None
        self._model: ModelDefinition | None = None
        self._warnings: list[str] = []
        self._folder: Path | None = None
        panel.find_button.clicked.connect(self.find)
        panel.cancel_button.clicked.connect(self.cancel)

    def find(self) -> None:
        """Start the model."""
        if self._thread is not None:
            return
        try:
            self._start()
        except GeoDLError as error:
            self._dock.notice.tell("error", str(error))

    def _start(self) -> None:
        samples, raster = self._dock.samples, self._dock.sources.raster()
        if samples is None:
            raise InputError("There is no layer of samples yet. Make one with 'New…'.")
        if raster is None:
            raise InputError("There is no imagery to find objects in. Add a raster layer.")
        Drafts(samples).require()
        field = self._panel.model
        field.look()
        if field.definition is None:
            raise InputError(field.problem or "No model is chosen. Choose one that finds objects.")
        self._model, self._samples = field.definition, samples
        self._folder = Path(tempfile.mkdtemp(prefix="geodl-prelabel-"))
        options = DetectionOptions(
            sources=[gdal_source(raster, self._folder)],
            model=field.text(),
            output="",
            extent=self._extent(raster) if self._panel.area.currentIndex() == VISIBLE else None,
            threshold=self._panel.threshold.value() / 100,
        )
        python = QgsSettings().value(PYTHON_SETTING) or None
        self._thread = PrelabelThread(options, self._model.schema, samples.layer, python)
        self._follow(self._thread)

    def _follow(self, thread: PrelabelThread) -> None:
        thread.progress.connect(self._panel.show_progress)
        thread.info.connect(self._panel.status.setText)
        thread.warned.connect(self._warnings.append)
        thread.succeeded.connect(self._finish)
        thread.failed.connect(self._fail)
        thread.cancelled.connect(self._tell_cancelled)
        self._warnings.clear()
        self._dock.notice.clear()
        self._panel.show_busy(True)
        thread.start()

    def cancel(self) -> None:
        """End the model's run; nothing is written then."""
        if self._thread is not None:
            self._panel.cancel_button.setEnabled(False)
            self._panel.status.setText(self.tr("Cancelling"))
            self._thread.cancel()

    def shut_down(self) -> None:
        """End the model's run and wait for it: the dock is going away."""
        if self._thread is not None:
            self._thread.end()

    def _finish(self, result: dict[str, Any]) -> None:
        self._end()
        if self._dock.samples is not self._samples:
            text = self.tr("The layer of samples was changed meanwhile: nothing was written.")
            self._dock.notice.tell("warning", text)
            return
        try:
            self._take(result["drafts"], result["present"])
        except GeoDLError as error:
            self._dock.notice.tell("error", str(error))

    def _take(self, found: list[Draft], present: Present) -> None:
        """Write what was found, in the classes of the dock; those it lacks are added."""
        model = self._model
        schema = model.schema.subset({each.value for each in found})
        match = match_classes(self._dock.editor.document, schema, model.name)
        if match.document != self._dock.editor.document:
            self._dock.editor.apply(match.document, self.tr("Add the classes of the model"))
        else:
            # A layer that was made elsewhere may not know how drafts look.
            self._samples.adopt(match.document, {})
        own = [dataclasses.replace(each, value=match.values[each.value]) for each in found]
        missing = present.missing(own)
        count = Drafts(self._samples).add(missing, match.document, model.name)
        known = len(own) - count
        sentences = [*self._warnings, *match.warnings]
        level = "warning" if sentences else "success" if count else "info"
        sentences.insert(0, self.tr("{} drafts were found.").format(count))
        if known:
            sentences.insert(1, self.tr("{} more are samples already.").format(known))
        links = {self.tr("Review them"): self._review} if count else {}
        self._dock.notice.tell(level, " ".join(sentences), links)

    def _fail(self, message: str) -> None:
        self._end()
        self._dock.notice.tell("error", message)

    def _tell_cancelled(self) -> None:
        self._end()
        self._dock.notice.tell("info", self.tr("Cancelled: no drafts were written."))

    def _end(self) -> None:
        self._thread = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None
        self._panel.show_busy(False)

    def _extent(self, raster: QgsRasterLayer) -> list[float]:
        """Return what the map shows, in the coordinates of the raster."""
        there = QgsCoordinateTransform(
            self._canvas.mapSettings().destinationCrs(), raster.crs(), QgsProject.instance()
        )
        box = there.transformBoundingBox(self._canvas.extent()).intersect(raster.extent())
        if box.isEmpty():
            raise InputError(
                f"The map does not show '{raster.name()}'. Move there, or choose the whole image."
            )
        return [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()]

    def tr(self, text: str) -> str:
        """Translate a literal."""
        return QCoreApplication.translate("GeoDL", text)
