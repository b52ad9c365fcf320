"""The thread that lets a model find drafts while the window stays free."""

from __future__ import annotations

import dataclasses
from typing import Any

from qgis.core import QgsProviderRegistry, QgsVectorLayer

from ..core.geo.shapes import repaired
from ..core.geo.vector import VectorReader
from ..core.inference.options import DetectionOptions
from ..core.places import temporary_folder
from ..core.progress import Progress
from ..core.samples.prelabel import Present, read_drafts
from ..core.samples.schema import Schema
from ..worker.client import run_task
from .training_thread import TrainingThread


class PrelabelThread(TrainingThread):
    """Follows a worker that detects, and reads what it found.

    The result has ``drafts``, with the model's own class values and in the coordinates of the
    samples, and ``present``, the samples that were there when the worker ended.

    Args:
        options: of the detection; the output is the thread's own affair.
        schema: the classes of the model.
        layer: the samples.
        python: the Python that has torch.
    """

    def __init__(
        self, options: DetectionOptions, schema: Schema, layer: QgsVectorLayer, python: str | None
    ) -> None:
        super().__init__(options, python, task="detect")
        self._schema = schema
        # The layer belongs to the window's thread: this one reads the file.
        source = QgsProviderRegistry.instance().decodeUri(layer.providerType(), layer.source())
        self._file = (str(source["path"]), source.get("layerName") or None)
        self._crs = layer.crs().toWkt() if layer.crs().isValid() else ""

    def work(self, progress: Progress) -> dict[str, Any]:
        """Detect, and read the detections and the samples."""
        with temporary_folder("prelabel") as folder:
            output = str(folder / "drafts.gpkg")
            options = dataclasses.replace(self._options, output=output)
            run_task(self._task, options, progress, self._python)
            values = {each: each for each in self._schema.values}
            drafts = read_drafts(output, values, self._crs)
        return {"drafts": drafts, "present": self._present() if drafts else Present()}

    def _present(self) -> Present:
        present = Present()
        for each in VectorReader(*self._file).features(fields=["Classvalue"]):
            value, geometry = each.attributes["Classvalue"], repaired(each.geometry)
            if value is not None and geometry is not None:
                present.add(int(value), geometry)
        return present
