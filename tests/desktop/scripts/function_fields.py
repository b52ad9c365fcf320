"""Runs inside QGIS: the arguments of a model's own Python function in the tools' dialogs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, os.environ["GEODL_TEST_SCRIPTS"])

import processing
from driver import FOLDER, Heartbeat, alive, drive, pause, photograph, wait_until
from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QCoreApplication, QEvent
from qgis.PyQt.QtWidgets import QApplication, QWidget

MODELS = Path(os.environ["GEODL_TEST_MODELS"])
SCENE = os.environ["GEODL_TEST_SCENE"]
TOLD = ["least", "mode", "split", "größe"]


def open_dialog(tool: str, **values: Any) -> tuple[Any, Any, Any, Any]:
    """Return a dialog, its field for the model, its form and its box for the consent."""
    dialog = processing.createAlgorithmDialog(f"geodl:{tool}", values)
    dialog.setGeometry(100, 20, 860, 940)
    dialog.show()
    model, form = (dialog.findChild(QWidget, f"geodl_{each}") for each in ("model", "arguments"))
    return dialog, model, form, dialog.mainWidget().wrappers["ALLOW_CODE"].wrappedWidget()


def arguments(dialog: Any) -> str:
    """Return the arguments that a dialog would run its tool with."""
    return dialog.createProcessingParameters()["ARGUMENTS"]


def has_fields(form: Any) -> bool:
    """Return whether the arguments of the function are there."""
    return "least" in form.editors


def tick_and_change(found: dict[str, Any]) -> None:
    """Choose a model, allow its code, change an argument, run, and take the consent back."""
    layer = QgsRasterLayer(SCENE, "Scene", "gdal")
    QgsProject.instance().addMapLayer(layer)
    output = str(FOLDER / "found.gpkg")
    dialog, model, form, box = open_dialog("detectobjects", INPUT=[layer.id()], OUTPUT=output)
    model.set_text(str(MODELS / "finder.dlpk"))
    own = list(form.editors)
    pause(0.5)
    found["before"] = [model.problem, list(form.editors) == own, form.note.isVisible()]
    found["ran_unasked"] = (MODELS / "ran").exists()
    heart = Heartbeat()
    box.click()
    pause(0.1)
    found["asking"] = form.note.text()
    photograph(dialog, "function-asking")
    found["came"] = wait_until(lambda: has_fields(form), 30)
    found["answered"] = heart.stop()
    found["fields"] = [list(form.editors)[: len(own)] == own, list(form.editors)[len(own) :]]
    found["threshold"] = form.editors["threshold"].value()
    found["untouched"] = [arguments(dialog), model.problem, form.note.isVisible()]
    form.editors["least"].field.setValue(101)
    form.editors["mode"].field.setCurrentText("turned")
    found["changed"] = arguments(dialog)
    pause(0.3)
    photograph(dialog, "function-fields")
    form.editors["größe"].field.setText("5")
    dialog.runAlgorithm()
    wait_until(dialog.results, 60)
    layer = QgsVectorLayer(output, "found", "ogr")
    found["areas"] = [each.geometry().area() for each in layer.getFeatures()]
    dialog.showParameters()
    model.look()
    found["looked_again"] = has_fields(form)
    box.click()
    found["unticked"] = [has_fields(form), form.others.text(), arguments(dialog)]
    box.click()
    found["again"] = wait_until(lambda: has_fields(form), 30)
    found["restored"] = [form.editors["least"].value(), form.others.text(), arguments(dialog)]
    other_models(found, dialog, model, form)
    dialog.close()


def other_models(found: dict[str, Any], dialog: Any, model: Any, form: Any) -> None:
    """Choose models whose functions fail, are slow, or that have none."""
    found["failed"] = {}
    for name in ("raises", "dies", "vanished", "noisy"):
        file = MODELS / f"{name}.dlpk"
        model.set_text(str(file))
        if name == "vanished":
            file.unlink()
        wait_until(lambda: not form.note.text().startswith("Reading"), 30)
        said = form.note.text().replace("\u200b", "")
        found["failed"][name] = [said, form.others.isVisibleTo(form), arguments(dialog)]
        if name == "raises":
            photograph(dialog, "function-fails")
    found["noisy"] = has_fields(form)
    size = form.editors["tile_size"]
    found["fixed"] = [[size.isEnabled(), size.value()]]
    model.set_text(str(MODELS / "fixed.dlpk"))
    size = form.editors["tile_size"]
    found["fixed"].append([size.isEnabled(), size.value()])
    dialog.setParameters({"ARGUMENTS": ""})
    # The answer of a slow one comes when another model has been chosen long since.
    model.set_text(str(MODELS / "slow.dlpk"))
    wait_until((MODELS / "slow.pid").exists, 30)
    model.set_text(str(MODELS / "plain.dlpk"))
    found["slow_ended"] = wait_until(lambda: not alive(MODELS / "slow.pid"), 10)
    pause(1.5)
    found["stale"] = [list(form.editors)[-1], form.note.text()]


def close_while_asking(found: dict[str, Any]) -> None:
    """Close a dialog whose question has no answer yet."""
    dialog, _, form, box = open_dialog("classifyobjects", MODEL=str(MODELS / "objects.dlpk"))
    box.click()
    wait_until((MODELS / "objects.pid").exists, 30)
    dialog.close()
    # It deletes itself, but not while a loop inside of this one turns.
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    found["closed"] = sip.isdeleted(form)
    found["closed_ended"] = wait_until(lambda: not alive(MODELS / "objects.pid"), 10)


def from_history(found: dict[str, Any]) -> None:
    """Open the other tools as the history does: everything at once."""
    found["history"] = {}
    for tool in ("detectobjects", "classifypixels", "labelobjects"):
        model = "pixels" if tool == "classifypixels" else "finder"
        text = "least=101;padding=8;größe=9"
        dialog, _, form, _ = open_dialog(
            tool, MODEL=str(MODELS / f"{model}.dlpk"), ARGUMENTS=text, ALLOW_CODE=True
        )
        at_once = arguments(dialog)
        came = wait_until(lambda form=form: has_fields(form), 30)
        found["history"][tool] = [at_once, came, arguments(dialog), form.others.text()]
        dialog.close()


def without_environment(found: dict[str, Any]) -> None:
    """Ask where there is no Python with the libraries."""
    before = os.environ["GEODL_PYTHON"]
    os.environ["GEODL_PYTHON"] = "/nowhere/python3"
    dialog, _, form, _ = open_dialog(
        "detectobjects", MODEL=str(MODELS / "finder.dlpk"), ALLOW_CODE=True
    )
    wait_until(lambda: not form.note.text().startswith("Reading"), 30)
    found["no_python"] = [form.note.text().replace("\u200b", ""), form.others.isVisibleTo(form)]
    os.environ["GEODL_PYTHON"] = before
    dialog.close()


def quit_while_asking(found: dict[str, Any]) -> None:
    """Leave a question open when QGIS ends."""
    open_dialog("classifyobjects", MODEL=str(MODELS / "quitting.dlpk"), ALLOW_CODE=True)
    found["quitting"] = wait_until((MODELS / "quitting.pid").exists, 30)


def steps(found: dict[str, Any]) -> None:
    """Do everything in turn."""
    QApplication.setCursorFlashTime(0)
    tick_and_change(found)
    close_while_asking(found)
    from_history(found)
    without_environment(found)
    quit_while_asking(found)


drive(steps)
