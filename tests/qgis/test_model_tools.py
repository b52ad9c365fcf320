"""The tools of the group 'Models' that handle packages, in QGIS."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qgis.core import QgsProcessing, QgsProcessingException

from geodl_plugin.core.conversion.options import FORMATS
from geodl_plugin.gui.model_widget import ModelField
from tests.qgis.models import work_here, write_untrained
from tests.unit.inference.support import write_model, write_raster


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEODL_MODELS", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def package(tmp_path: Path) -> str:
    return write_model(tmp_path / "trees.dlpk", "TEST_NUMBERS")


def test_install_list_use_uninstall(
    run: Callable[..., Any], package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_here(monkeypatch)
    assert run("installmodel", INPUT=package, NAME="Bäume") == {"INSTALLED": "Bäume"}
    Path(package).unlink()
    page = str(tmp_path / "new" / "models.html")
    listed = run("listmodels", OUTPUT=page)
    assert listed["MODEL_COUNT"] == 1 and json.loads(listed["MODELS"])[0]["name"] == "Bäume"
    assert "Detects objects: Tree, Car" in Path(page).read_text(encoding="utf-8")
    pixels = np.zeros((1, 64, 64), np.uint16)
    pixels[0, 10:20, 10:20] = 5
    source = write_raster(tmp_path / "ortho.tif", pixels)
    found = run("detectobjects", INPUT=source, MODEL="Bäume", OUTPUT=str(tmp_path / "f.gpkg"))
    assert found["OBJECT_COUNT"] == 1
    assert run("uninstallmodel", NAME="Bäume") == {"REMOVED": "Bäume"}
    assert run("listmodels", OUTPUT=page)["MODEL_COUNT"] == 0
    with pytest.raises(QgsProcessingException, match="No models are installed"):
        run("detectobjects", INPUT=source, MODEL="Bäume", OUTPUT=str(tmp_path / "f.gpkg"))


def test_model_information(run: Callable[..., Any], package: str, tmp_path: Path) -> None:
    output = str(tmp_path / "new" / "info.html")
    result = run("modelinfo", MODEL=f'"{package}"', OUTPUT=output)  # as Windows copies a path
    assert json.loads(result["INFO"])["summary"].startswith("Detects objects: Tree, Car")
    assert "Car" in Path(output).read_text(encoding="utf-8")


def test_a_definition_becomes_a_package(run: Callable[..., Any], tmp_path: Path) -> None:
    emd = tmp_path / "a.emd"
    emd.write_text(json.dumps({"ModelType": "ObjectDetection", "ModelFile": "w.pth"}))
    (tmp_path / "w.pth").write_bytes(b"1")
    note = tmp_path / "note.txt"
    note.write_text("x")
    output = str(tmp_path / "new" / "a.dlpk")
    assert run("packagemodel", INPUT=str(emd), FILES=[str(note)], OUTPUT=output)
    info = run("modelinfo", MODEL=output, OUTPUT=str(tmp_path / "i.html"))["INFO"]
    assert set(json.loads(info)["files"]) == {"a.emd", "w.pth", "note.txt"}


def test_convert_in_a_real_worker_and_read_it_again(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    model = write_untrained(tmp_path / "species.dlpk", "FEATURE_CLASSIFIER")
    run("installmodel", INPUT=model)
    output = str(tmp_path / "new" / "species.onnx")
    result = run("convertmodel", MODEL="species", FORMAT="onnx", OUTPUT=output)
    assert result["OUTPUT"] == output and 0 <= result["DISAGREEMENT"] < 1e-5
    told = json.loads(run("modelinfo", MODEL=output, OUTPUT=str(tmp_path / "i.html"))["INFO"])
    assert told["outputs"][0]["shape"] == "batch × 2" and told["classes"][0]["name"] == "Tree"


@pytest.mark.parametrize(("form", "suffix"), FORMATS.items())
def test_a_temporary_file_is_named_as_its_format_wants_it(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, form: str, suffix: str
) -> None:
    """QGIS calls it .onnx, which two of the three formats refuse."""

    def convert(_: str, options: dict[str, Any], __: Any, python: Any) -> dict[str, Any]:
        return {"output": options["output"], "chance": 0.0}

    monkeypatch.setattr("geodl_plugin.algorithms.base.run_task", convert)
    result = run("convertmodel", MODEL="a", FORMAT=form, OUTPUT=QgsProcessing.TEMPORARY_OUTPUT)
    assert Path(result["OUTPUT"]).suffix == suffix


@pytest.mark.parametrize(
    ("tool", "parameters", "sentence"),
    [
        ("installmodel", {"INPUT": "none.dlpk"}, "There is no file 'none.dlpk'"),
        ("installmodel", {"INPUT": "trees.dlpk", "NAME": "a/b"}, "holds '/'"),
        ("uninstallmodel", {"NAME": "none"}, "There is no installed model 'none'"),
        ("modelinfo", {"MODEL": "none"}, "There is no model 'none'"),
        ("convertmodel", {"MODEL": "none", "OUTPUT": "a.onnx"}, "There is no model 'none'"),
        ("convertmodel", {"MODEL": "trees.dlpk", "OUTPUT": "a.pt"}, "Give it the extension .onnx"),
        ("packagemodel", {"INPUT": "none.emd", "OUTPUT": "a.dlpk"}, "none.emd"),
    ],
)
def test_wrong_input_is_one_sentence(
    run: Callable[..., Any],
    package: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tool: str,
    parameters: dict[str, Any],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    values = {"OUTPUT": str(tmp_path / "o.html")} if tool == "modelinfo" else {}
    with pytest.raises(QgsProcessingException) as caught:
        run(tool, **values, **parameters)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_field_for_a_model_offers_installed_ones(run: Callable[..., Any], package: str) -> None:
    field = ModelField("ObjectDetection")
    run("installmodel", INPUT=package, NAME="oaks & elms")
    menu = field.make_menu(["oaks & elms"])
    assert [each.text() for each in menu.actions()] == ["oaks && elms", "", "Choose a file…"]
    menu.actions()[0].trigger()
    assert field.text() == "oaks & elms"
    assert field.definition is not None


def test_every_parameter_has_its_help(provider: Any) -> None:
    for name in (
        "modelinfo",
        "packagemodel",
        "installmodel",
        "uninstallmodel",
        "listmodels",
        "convertmodel",
    ):
        tool = provider.algorithm(name)
        assert tool.group() == "Models"
        assert all(each.help() for each in tool.parameterDefinitions())
        assert len(tool.shortHelpString()) > 150
