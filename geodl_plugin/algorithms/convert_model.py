"""Writes a model for other programs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterString,
)

from ..core.conversion.options import FORMATS, ConversionOptions
from ..core.progress import Progress
from .base import GeoDLAlgorithm
from .parameters import MODEL, MODEL_WIDGET, enum


class ConvertModel(GeoDLAlgorithm):
    """Converts a model to ONNX, OpenVINO or a package for ArcGIS."""

    FORMAT = "FORMAT"
    OUTPUT = "OUTPUT"
    DISAGREEMENT = "DISAGREEMENT"

    NAME = "convertmodel"
    LABEL = "Convert model"
    GROUP = "Models"
    GROUP_ID = "models"
    SUMMARY = (
        "Writes a model of GeoDL for other programs and proves that it answers as the original "
        "does; the largest disagreement is told.\n"
        "onnx: one file for ONNX Runtime, OpenVINO and the plugin Deepness. It takes batches of "
        "any number of tiles, of the size that it declares, for Deepness wants one; the graph "
        "inside takes any size where the network does. The answer is probabilities; a detector "
        "answers as YOLO of Ultralytics. Pixels are normalised outside of the graph, by the "
        "metadata standardization_mean and standardization_std, which hold for pixels divided by "
        "255, whatever their type. Metadata also have class_names, resolution (centimetres), "
        "tiles_size, tiles_overlap, model_type and det_type, and the whole definition.\n"
        "openvino: .xml with .bin beside it, of the same form, for tiles of any size where the "
        "network takes any.\n"
        "arcgis: a package (.dlpk) with the network as TorchScript and a Python inference "
        "function, for the deep learning tools of ArcGIS Pro; it needs nothing of GeoDL. "
        "Several classes of an object are one text there, with commas between.\n"
        "FASTERRCNN and MASKRCNN take tiles of the chips' size only. MASKRCNN answers boxes "
        "(corners in pixels), scores, labels (the values of the classes) and masks (probabilities "
        "on a grid to be stretched over each box) of the objects with a score of 0.05 and more; "
        "GeoDL and ArcGIS make outlines of them, Deepness does not know this form."
    )

    def add_parameters(self) -> None:
        model = QgsProcessingParameterString(MODEL, self.tr("Model"))
        model.setMetadata({"widget_wrapper": {"class": MODEL_WIDGET, "task": ""}})
        self.add(
            model,
            self.tr(
                "Path of a model package (.dlpk) or definition (.emd) of GeoDL, or the name of an "
                "installed model."
            ),
        )
        self.add(
            enum(self.FORMAT, self.tr("Format"), list(FORMATS), "onnx"),
            self.tr("onnx, openvino or arcgis."),
        )
        self.add(
            QgsProcessingParameterFileDestination(
                self.OUTPUT,
                self.tr("Converted model"),
                "ONNX (*.onnx);;OpenVINO (*.xml);;ArcGIS (*.dlpk)",
            ),
            self.tr("A file .onnx, .xml or .dlpk, as the format wants it."),
        )
        self.addOutput(
            QgsProcessingOutputNumber(
                self.DISAGREEMENT, self.tr("Largest disagreement in probability")
            )
        )

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        form = self.parameterAsEnumString(parameters, self.FORMAT, context) or "onnx"
        output = self.parameterAsFileOutput(parameters, self.OUTPUT, context)
        if parameters.get(self.OUTPUT) == QgsProcessing.TEMPORARY_OUTPUT:
            # QGIS names temporary files by the first of the extensions.
            output = str(Path(output).with_suffix(FORMATS[form]))
        options = ConversionOptions(self.text(parameters, MODEL, context), form, output)
        options.check()
        result = self.run_worker("convert", dataclasses.asdict(options), progress)
        return {self.OUTPUT: result["output"], self.DISAGREEMENT: result["chance"]}
