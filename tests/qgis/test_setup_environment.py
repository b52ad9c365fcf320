"""The tool 'Set up deep learning libraries' inside QGIS."""

from __future__ import annotations

import json
import sys
import time

import pytest
from qgis.core import QgsProcessingException, QgsProcessingFeedback, QgsSettings

from geodl_plugin.algorithms import setup_environment
from geodl_plugin.algorithms.base import PYTHON_SETTING
from geodl_plugin.gui import setup_dialog
from geodl_plugin.worker.environment import Status


@pytest.fixture(autouse=True)
def own_settings():
    QgsSettings().remove(PYTHON_SETTING)
    yield
    QgsSettings().remove(PYTHON_SETTING)


def test_the_parameters_are_those_that_scripts_rely_on(provider):
    tool = provider.algorithm("setupenvironment")
    assert tool.displayName() == "Set up deep learning libraries" and tool.group() == "Setup"
    names = {each.name(): each for each in tool.parameterDefinitions()}
    assert set(names) == {"ACTION", "DEVICE", "PYTHON", "WHEELS", "OUTPUT"}
    assert names["ACTION"].options() == ["CHECK", "INSTALL", "REPAIR", "REMOVE"]
    assert names["ACTION"].defaultValue() == "CHECK"
    assert names["DEVICE"].options() == ["auto", "cpu", "cuda"]
    assert all(each.help() for each in names.values())
    outputs = {each.name() for each in tool.outputDefinitions()}
    assert outputs >= {"OUTPUT", "READY", "PYTHON_USED", "DEVICES", "VERSIONS"}


def test_check_finds_the_python_of_the_tests(run):
    pytest.importorskip("torch")
    results = run("setupenvironment")
    assert results["READY"] and results["PYTHON_USED"] == sys.executable
    assert json.loads(results["DEVICES"])


def test_a_named_python_is_remembered_once_it_passed(run):
    pytest.importorskip("torch")
    run("setupenvironment", PYTHON=sys.executable)
    assert not QgsSettings().value(PYTHON_SETTING)
    run("setupenvironment", ACTION="INSTALL", PYTHON=sys.executable)
    assert QgsSettings().value(PYTHON_SETTING) == sys.executable


@pytest.mark.parametrize(("action", "known"), [("CHECK", True), ("INSTALL", False)])
def test_an_environment_of_its_own_takes_the_place_of_a_named_python(
    run, monkeypatch, action, known
):
    """Else INSTALL would say 'ready', and the tools go on with a Python that may be gone."""
    QgsSettings().setValue(PYTHON_SETTING, "/opt/gone/bin/python")
    ready = Status(True, "Ready.", sys.executable)
    monkeypatch.setattr(setup_environment, "manage", lambda *_: ready)
    run("setupenvironment", ACTION=action)
    assert QgsSettings().contains(PYTHON_SETTING) == known


def test_the_dialog_forgets_a_named_python_too(qgis_app, monkeypatch):
    QgsSettings().setValue(PYTHON_SETTING, "/opt/gone/bin/python")
    monkeypatch.setattr(setup_dialog, "manage", lambda *_: Status(True, "Ready.", sys.executable))
    dialog = setup_dialog.SetupDialog()
    for start, known in ((dialog.check, True), (dialog.install, False)):
        start()
        ends = time.monotonic() + 20
        while dialog.thread is not None and time.monotonic() < ends:
            qgis_app.processEvents()
        assert dialog.thread is None
        assert QgsSettings().contains(PYTHON_SETTING) == known
    dialog.close()


def test_a_python_that_cannot_do_it_is_refused_and_forgotten(run):
    with pytest.raises(QgsProcessingException, match="PyTorch is not installed in /usr/bin"):
        run("setupenvironment", ACTION="INSTALL", PYTHON="/usr/bin/python3")
    assert not QgsSettings().value(PYTHON_SETTING)


def test_cancel_ends_the_check(run):
    feedback = QgsProcessingFeedback()
    feedback.cancel()
    assert run("setupenvironment", feedback=feedback) == {}
