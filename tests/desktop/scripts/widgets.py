"""Runs inside QGIS: the fields for a model and its arguments, in all three kinds of dialog."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, os.environ["GEODL_TEST_SCRIPTS"])

import processing
from driver import drive, pause, photograph, wait_until
from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog
from processing.modeler.ModelerParametersDialog import ModelerParametersDialog
from qgis.core import (
    QgsApplication,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProject,
    QgsRasterLayer,
)
from qgis.gui import QgsProcessingModelerParameterWidget
from qgis.PyQt.QtCore import QMimeData, QPointF, Qt, QUrl
from qgis.PyQt.QtGui import QDropEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QLineEdit, QWidget
from qgis.utils import iface

MODELS = Path(os.environ["GEODL_TEST_MODELS"])
SCENE = os.environ["GEODL_TEST_SCENE"]


def tool(name: str) -> Any:
    """Return a tool of GeoDL."""
    return QgsApplication.processingRegistry().algorithmById(f"geodl:{name}")


def parameters(dialog: Any) -> dict[str, Any]:
    """Return what a dialog would run its tool with."""
    return dialog.createProcessingParameters()


def look_at_dialog(found: dict[str, Any]) -> None:
    """Choose a model by typing, change arguments, and read what the tool would be told."""
    layer = QgsRasterLayer(SCENE, "Scene", "gdal")
    QgsProject.instance().addMapLayer(layer)
    dialog = processing.createAlgorithmDialog("geodl:detectobjects", {"INPUT": [layer.id()]})
    dialog.setGeometry(100, 50, 860, 760)
    dialog.show()
    model = dialog.findChild(QWidget, "geodl_model")
    form = dialog.findChild(QWidget, "geodl_arguments")
    found["empty"] = [model.note.isVisible(), form.text()]
    found["editors"] = list(form.editors)
    QTest.keyClicks(model.line, str(MODELS / "trees.dlpk"))
    found["typed"] = wait_until(lambda: model.definition is not None, 5)
    found["said"] = model.note.text()
    found["tooltip"] = model.line.toolTip()
    found["untouched"] = parameters(dialog).get("ARGUMENTS")
    threshold = form.editors["threshold"].field
    threshold.selectAll()
    QTest.keyClicks(threshold, "0.35")
    QTest.keyClick(threshold, Qt.Key.Key_Tab)
    form.editors["exclude_pad_detections"].field.click()
    found["changed"] = {name: parameters(dialog)[name] for name in ("MODEL", "ARGUMENTS")}
    pause(0.3)
    photograph(dialog, "widgets-detect")
    refuse(found, dialog, model, form)
    dialog.close()


def refuse(found: dict[str, Any], dialog: Any, model: Any, form: Any) -> None:
    """Give models that cannot be used, and arguments that no editor can show."""
    found["refused"] = {}
    for name in ("notes.dlpk", "pixels.dlpk", "missing.dlpk", "broken.emd", "strange.emd"):
        model.set_text(str(MODELS / name))
        found["refused"][name] = model.note.text().replace("\u200b", "")
    pause(0.2)
    photograph(dialog, "widgets-refused")
    drop(model.line, MODELS / "fixed.dlpk")
    tile = form.editors["tile_size"]
    found["dropped"] = wait_until(lambda: model.definition is not None, 5)
    found["fixed"] = [tile.isEnabled(), tile.value(), parameters(dialog)["ARGUMENTS"]]
    model.set_text((MODELS / "trees.json").read_text(encoding="utf-8"))
    found["json"] = [model.problem, parameters(dialog)["MODEL"][:1], tile.isEnabled(), tile.value()]
    dialog.setParameters({"ARGUMENTS": "threshold=7;padding=0;nonsense=3;tile_size=512"})
    found["restored"] = parameters(dialog)["ARGUMENTS"]
    pause(0.2)
    photograph(dialog, "widgets-others")
    dialog.setParameters({"ARGUMENTS": ""})
    found["cleared"] = parameters(dialog)["ARGUMENTS"]


def drop(line: QWidget, path: Path) -> None:
    """Drop a file on a field."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    event = QDropEvent(
        QPointF(5, 5),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    line.dropEvent(event)


def look_at_others(found: dict[str, Any]) -> None:
    """Open the dialogs of the other tools that take a model."""
    found["forms"] = {}
    for name in ("classifypixels", "classifyobjects"):
        dialog = processing.createAlgorithmDialog(
            f"geodl:{name}", {"MODEL": str(MODELS / "trees.dlpk")}
        )
        dialog.show()
        pause(0.2)
        form = dialog.findChild(QWidget, "geodl_arguments")
        said = dialog.findChild(QWidget, "geodl_model").problem
        found["forms"][name] = [list(form.editors), said]
        photograph(dialog, f"widgets-{name}")
        dialog.close()


def look_at_batch(found: dict[str, Any]) -> None:
    """Fill a row of the batch in."""
    dialog = BatchAlgorithmDialog(tool("detectobjects").create(), parent=iface.mainWindow())
    dialog.setGeometry(100, 50, 1200, 400)
    dialog.show()
    pause(0.3)
    panel = dialog.mainWidget()
    wrappers = {each.parameterDefinition().name(): each for each in panel.wrappers[0] if each}
    context = panel.processing_context
    wrappers["MODEL"].setParameterValue(str(MODELS / "trees.dlpk"), context)
    wrappers["ARGUMENTS"].setParameterValue("threshold=0.4", context)
    pause(0.2)
    found["batch"] = [wrappers[name].parameterValue() for name in ("MODEL", "ARGUMENTS")]
    found["batch_widgets"] = [
        wrappers["MODEL"].widget.objectName(),
        isinstance(wrappers["ARGUMENTS"].wrappedWidget(), QLineEdit),
    ]
    photograph(dialog, "widgets-batch")
    dialog.close()


def look_at_modeler(found: dict[str, Any]) -> None:
    """Take the model of a training step, as the modeler offers it."""
    model = QgsProcessingModelAlgorithm("Train and detect", "", "")
    training = QgsProcessingModelChildAlgorithm("geodl:trainmodel")
    training.setChildId("training")
    model.addChildAlgorithm(training)
    dialog = ModelerParametersDialog(tool("detectobjects").create(), model)
    dialog.show()
    pause(0.3)
    wrappers = dialog.widget.widget.wrappers
    found["modeler_widgets"] = [
        isinstance(wrappers[name], QgsProcessingModelerParameterWidget)
        for name in ("MODEL", "ARGUMENTS")
    ]
    source = QgsProcessingModelChildParameterSource.fromChildOutput("training", "OUTPUT_MODEL")
    wrappers["MODEL"].setWidgetValue(source)
    pause(0.2)
    photograph(dialog, "widgets-modeler")
    sources = dialog.createAlgorithm().parameterSources()["MODEL"]
    found["modeler"] = [sources[0].outputChildId(), sources[0].outputName()]
    dialog.close()


def steps(found: dict[str, Any]) -> None:
    """Do everything in turn."""
    QApplication.setCursorFlashTime(0)
    look_at_dialog(found)
    look_at_others(found)
    look_at_batch(found)
    look_at_modeler(found)


drive(steps)
