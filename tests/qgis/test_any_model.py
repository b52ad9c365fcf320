"""Models of other makers through the tools."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsProcessingException, QgsVectorLayer

from tests.qgis.models import work_here
from tests.unit.inference.foreign.graphs import constant_onnx, pixel_onnx
from tests.unit.inference.foreign.test_functions import make_model
from tests.unit.inference.support import write_raster

YOLO = np.array([[30, 40, 20, 10, 0.1, 0.6], [60, 80, 20, 10, 0.4, 0.0]]).T[None]
NAMES = {"class_names": {0: "Tree", 1: "Car"}}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    work_here(monkeypatch)
    return write_raster(tmp_path / "ortho.tif", np.full((3, 128, 128), 10, np.uint8))


def test_the_thresholds_of_a_network_are_the_defaults(
    run: Callable[..., Any], source: str, tmp_path: Path
) -> None:
    facts = {"det_type": "YOLO_Ultralytics", "det_conf": 0.35, "tiles_overlap": 0, **NAMES}
    model = constant_onnx(tmp_path / "net.onnx", {"out": YOLO}, side=128, **facts)
    output = str(tmp_path / "found.gpkg")
    told = {"INPUT": source, "MODEL": model, "OUTPUT": output, "DEVICE": "cpu"}
    assert run("detectobjects", **told)["OBJECT_COUNT"] == 2
    names = {each["Class"] for each in QgsVectorLayer(output, "found", "ogr").getFeatures()}
    assert names == {"Tree", "Car"}
    told["ARGUMENTS"] = "threshold=0.5"
    assert run("detectobjects", **told)["OBJECT_COUNT"] == 1
    told["ARGUMENTS"] = "thresold=0.5"
    with pytest.raises(QgsProcessingException, match="no argument 'thresold'"):
        run("detectobjects", **told)


def test_classes_from_the_arguments(run: Callable[..., Any], source: str, tmp_path: Path) -> None:
    model = pixel_onnx(tmp_path / "net.onnx", 3)
    output = str(tmp_path / "classes.tif")
    told = {"INPUT": source, "MODEL": model, "OUTPUT": output, "DEVICE": "cpu"}
    with pytest.raises(QgsProcessingException, match="does not name its classes"):
        run("classifypixels", **told)
    told["ARGUMENTS"] = "classes=background,Tree,Car;scale=255;padding=16"
    result = run("classifypixels", **told)
    assert json.loads(result["PIXEL_COUNTS"])["Tree"] == 128 * 128
    assert (gdal.Open(output).ReadAsArray() == 1).all()


def test_code_runs_with_consent_only(run: Callable[..., Any], tmp_path: Path, source: str) -> None:
    image = write_raster(tmp_path / "two.tif", np.full((2, 80, 80), 60, np.uint16))
    model = make_model(tmp_path, "ImageClassification")
    told = {"INPUT": image, "MODEL": model, "OUTPUT": str(tmp_path / "c.tif"), "DEVICE": "cpu"}
    with pytest.raises(QgsProcessingException, match="run the tool with ALLOW_CODE"):
        run("classifypixels", **told)
    told.update(ALLOW_CODE=True, ARGUMENTS="least=70")
    result = run("classifypixels", **told)
    assert json.loads(result["PIXEL_COUNTS"]) == {"Background": 0, "Tree": 80 * 80, "Car": 0}


def as_text(network: str, task: str) -> str:
    """Return the definition of a network as a user writes it in place of a file."""
    classes = [{"Value": 1, "Name": "Tree"}, {"Value": 2, "Name": "Car"}]
    told = {"Framework": "ONNX", "ModelType": task, "ModelFile": network, "Classes": classes}
    return json.dumps({**told, "ImageHeight": 128, "ImageWidth": 128, "ExtractBands": [0, 1, 2]})


def test_json_text_is_a_model(run: Callable[..., Any], source: str, tmp_path: Path) -> None:
    folder = tmp_path / "my models ü"
    folder.mkdir()
    told = {"INPUT": source, "DEVICE": "cpu", "ARGUMENTS": "scale=255"}
    network = constant_onnx(folder / "boxes ä.onnx", {"out": YOLO}, side=128)
    told.update(MODEL=as_text(network, "ObjectDetection"), OUTPUT=str(tmp_path / "found.gpkg"))
    assert run("detectobjects", **told)["OBJECT_COUNT"] == 1
    network = pixel_onnx(folder / "pixels ä.onnx", 3)
    told.update(MODEL=as_text(network, "ImageClassification"), OUTPUT=str(tmp_path / "c.tif"))
    assert json.loads(run("classifypixels", **told)["PIXEL_COUNTS"])["Tree"] == 128 * 128
    told["MODEL"] = as_text(Path(network).name, "ImageClassification")
    with pytest.raises(QgsProcessingException, match="Write ModelFile as an absolute path"):
        run("classifypixels", **told)
