"""The packaged plugin in ``qgis_process``: it loads fast, without torch, and says what it has."""

from __future__ import annotations

import json
import subprocess
import textwrap
from pathlib import Path

import pytest

TOOLS = {
    "labelobjects", "exporttrainingdata", "inspecttrainingdata", "trainmodel", "detectobjects",
    "classifypixels", "classifyobjects", "assessdetections", "assesspixels", "setupenvironment",
    "nonmaximumsuppression", "detectchange", "findlearningrate",
    "modelinfo", "packagemodel", "installmodel", "uninstallmodel", "listmodels", "convertmodel",
}  # fmt: skip

CALLS = 100_000  # of Python functions; 53,000 by QGIS 3.22, and matplotlib alone has more

LOADING = """
import collections, json, sys
sys.path.append(sys.argv[1])
from qgis.core import QgsApplication
application = QgsApplication([], False)
application.initQgis()
import numpy, osgeo.gdal, osgeo.ogr, osgeo.osr, osgeo.gdal_array  # QGIS has them loaded
before = set(sys.modules)
calls = collections.Counter()
sys.setprofile(lambda frame, event, _: calls.update([event]))
import geodl_plugin
plugin = geodl_plugin.classFactory(None)
plugin.initProcessing()
sys.setprofile(None)
provider = QgsApplication.processingRegistry().providerById("geodl")
print(json.dumps({
    "calls": calls["call"],
    "tools": {tool.name(): tool.shortHelpString() for tool in provider.algorithms()},
    "parameters": {
        tool.name(): {each.name(): each.help() for each in tool.parameterDefinitions()}
        for tool in provider.algorithms()
    },
    "modules": sorted(set(sys.modules) - before),
}))
plugin.unload()
application.exitQgis()
"""


@pytest.fixture(scope="module")
def loaded(qgis_process, tmp_path_factory) -> dict:
    """What a QGIS without torch says after it has loaded the plugin."""
    script = tmp_path_factory.mktemp("load") / "load.py"
    script.write_text(textwrap.dedent(LOADING), encoding="utf-8")
    done = subprocess.run(
        ["/usr/bin/python3", str(script), qgis_process.environment["QGIS_PLUGINPATH"]],
        capture_output=True,
        text=True,
        env=qgis_process.environment,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_tools_are_listed_without_torch(qgis_process):
    answer = qgis_process.call("list", "--json", GEODL_PYTHON="", GEODL_ENVIRONMENT="/nowhere")
    listed = answer.json["providers"]["geodl"]["algorithms"]
    assert {f"geodl:{name}" for name in TOOLS} <= set(listed)
    assert "Traceback" not in answer.errors


def test_loading_imports_nothing_heavy(loaded):
    heavy = {"torch", "torchvision", "lightning", "matplotlib", "safetensors", "timm", "scipy"}
    assert not heavy & {name.split(".")[0] for name in loaded["modules"]}
    assert not [name for name in loaded["modules"] if name.startswith("geodl_plugin.gui")]


def test_loading_does_little(loaded):
    # Calls instead of seconds, which depend on the machine; startup.py takes those.
    assert loaded["calls"] < CALLS


def test_every_tool_says_what_it_does(loaded):
    assert set(loaded["tools"]) >= TOOLS
    for name in TOOLS:
        told, parameters = loaded["tools"][name], loaded["parameters"][name]
        assert not [each for each, text in parameters.items() if not text], name
        whole = " ".join([told, *parameters.values()])
        assert "<p>" not in whole and len(told) > 150, name


def test_the_program_tells_what_a_tool_does(qgis_process, loaded):
    answer = qgis_process.call("help", "geodl:trainmodel")
    assert answer.code == 0
    said = "".join(answer.output.split())  # its lines are of another width
    assert "".join(loaded["tools"]["trainmodel"].split()) in said
    for argument in ("MODEL_TYPE", "AUGMENTATION", "OUTPUT_MODEL"):
        assert argument in answer.output


def test_check_reports_that_all_is_ready(qgis_process, tmp_path):
    pytest.importorskip("torch")
    report = tmp_path / "neuer Ordner" / "Bericht ä.html"
    answer = qgis_process.run("setupenvironment", OUTPUT=report)
    assert answer.code == 0, answer.errors
    results = answer.results
    assert results["READY"] is True
    assert results["PYTHON_USED"] == qgis_process.environment["GEODL_PYTHON"]
    assert json.loads(results["DEVICES"])[-1]["name"] == "cpu"
    assert "torch" in json.loads(results["VERSIONS"])
    page = Path(results["OUTPUT"]).read_text(encoding="utf-8")
    assert "Ready: PyTorch" in page and "torchvision" in page


def test_check_without_libraries_names_the_way_out(qgis_process):
    answer = qgis_process.call(
        "--json", "run", "geodl:setupenvironment", GEODL_PYTHON="", GEODL_ENVIRONMENT="/nowhere"
    )
    assert answer.code == 0 and answer.results["READY"] is False
    assert "with the action INSTALL" in json.dumps(answer.json["log"])


def test_a_python_that_does_not_exist_is_one_sentence(qgis_process):
    answer = qgis_process.run("setupenvironment", PYTHON="/no/such/python")
    assert answer.code == 1
    assert "There is no Python at '/no/such/python'" in answer.errors
    assert "Traceback" not in answer.errors
