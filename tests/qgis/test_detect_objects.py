"""The tool 'Detect objects' in QGIS."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)

from geodl_plugin.core.inference.model import read_model
from tests.qgis.models import work_here, write_untrained
from tests.unit.inference.support import NORTH_UP, write_model, write_raster

X, Y = NORTH_UP[0], NORTH_UP[3]


@pytest.fixture
def source(tmp_path: Path) -> str:
    """A raster with three squares of 10 × 10 pixels, the third one of the class Car."""
    pixels = np.zeros((1, 200, 300), np.uint16)
    for number, (col, row) in enumerate(((20, 30), (127, 60), (250, 150)), 1):
        pixels[0, row : row + 10, col : col + 10] = number + 10_000 * (number == 3)
    return write_raster(tmp_path / "ortho.tif", pixels)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    work_here(monkeypatch)
    return write_model(tmp_path / "trees.dlpk", "TEST_NUMBERS")


class Recorder(QgsProcessingFeedback):
    """Keeps the warnings."""

    def __init__(self) -> None:
        super().__init__(False)
        self.warnings: list[str] = []

    def pushWarning(self, warning: str) -> None:
        self.warnings.append(warning)


def load(path: str) -> QgsVectorLayer:
    layer = QgsVectorLayer(path, "result", "ogr")
    assert layer.isValid()
    return layer


def test_squares_land_exactly_where_they_are(
    run: Callable[..., Any], source: str, model: str, tmp_path: Path
) -> None:
    output = str(tmp_path / "new folder" / "found.gpkg")
    result = run(
        "detectobjects", INPUT=source, MODEL=model, ARGUMENTS="tile_size=64", OUTPUT=output
    )
    assert result["OUTPUT"] == output
    assert result["OBJECT_COUNT"] == 3
    layer = load(output)
    assert layer.crs() == QgsCoordinateReferenceSystem("EPSG:32616")
    assert layer.fields().names() == ["fid", "Class", "Classvalue", "Confidence"]
    found = sorted(layer.getFeatures(), key=lambda each: each.geometry().boundingBox().xMinimum())
    assert [each["Class"] for each in found] == ["Tree", "Tree", "Car"]
    assert [each["Classvalue"] for each in found] == [3, 3, 7]
    assert all(50 <= each["Confidence"] <= 100 for each in found)
    assert all(each.geometry().area() == pytest.approx(25) for each in found)
    box = found[0].geometry().boundingBox()
    assert (box.xMinimum(), box.yMaximum()) == (X + 10, Y - 15)
    # The file carries its style.
    categories = layer.renderer().categories()
    assert [each.value() for each in categories] == ["Tree", "Car"]
    assert layer.renderer().classAttribute() == "Class"


def test_models_that_give_masks_give_outlines(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_here(monkeypatch)
    model = write_model(tmp_path / "crowns.dlpk", "TEST_OUTLINES")
    pixels = np.zeros((1, 200, 300), np.uint16)
    y, x = np.mgrid[:200, :300]
    pixels[0][np.hypot(x - 127, y - 60) < 12] = 1
    pixels[0][np.hypot(x - 127, y - 60) < 3] = 0  # a hole
    pixels[0][np.hypot(x - 150.5, y - 60) < 12] = 10_002  # touches, of another class
    source = write_raster(tmp_path / "crowns.tif", pixels)
    output = str(tmp_path / "outlines.gpkg")
    assert run(
        "detectobjects", INPUT=source, MODEL=model, ARGUMENTS="tile_size=64", OUTPUT=output
    ) == {"OUTPUT": output, "OBJECT_COUNT": 2}
    layer = load(output)
    found = {each["Class"]: each.geometry() for each in layer.getFeatures()}
    for name, number in (("Tree", 1), ("Car", 10_002)):
        assert found[name].isGeosValid()
        assert found[name].area() == pytest.approx(0.25 * (pixels == number).sum())
    assert [each.value() for each in layer.renderer().categories()] == ["Tree", "Car"]


def test_every_parameter_has_its_effect(
    run: Callable[..., Any], source: str, model: str, tmp_path: Path
) -> None:
    mask = QgsVectorLayer("Polygon?crs=EPSG:32616", "mask", "memory")
    feature = QgsFeature(mask.fields())
    feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(X, Y - 50, X + 100, Y)))
    mask.dataProvider().addFeature(feature)

    def names(**parameters: Any) -> list[str]:
        output = str(tmp_path / "found.gpkg")
        run("detectobjects", INPUT=[source], MODEL=model, OUTPUT=output, **parameters)
        return sorted(each["Class"] for each in load(output).getFeatures())

    assert names() == ["Car", "Tree", "Tree"]
    assert names(CLASSES="Car; tree") == ["Car", "Tree", "Tree"]
    assert names(CLASSES="7") == ["Car"]
    assert names(EXTENT=f"{X},{X + 40},{Y - 50},{Y} [EPSG:32616]") == ["Tree"]
    assert names(MASK=mask) == ["Tree", "Tree"]
    assert names(RUN_NMS=False) == ["Car", "Tree", "Tree"]
    output = str(tmp_path / "found.geojson")
    run(
        "detectobjects",
        INPUT_FOLDER=str(Path(source).parent),
        MODEL=model,
        CLASS_FIELD="kind",
        CONFIDENCE_FIELD="sure",
        OUTPUT=output,
    )
    assert load(output).fields().names() == ["kind", "Classvalue", "sure"]


def test_the_layer_lands_styled_and_named(
    run: Callable[..., Any], source: str, model: str, tmp_path: Path
) -> None:
    import processing

    result = processing.runAndLoadResults(
        "geodl:detectobjects", {"INPUT": source, "MODEL": model, "OUTPUT": "TEMPORARY_OUTPUT"}
    )
    layers = QgsProject.instance().mapLayersByName("Detected objects")
    assert len(layers) == 1
    assert layers[0].source().startswith(result["OUTPUT"])
    assert [each.value() for each in layers[0].renderer().categories()] == ["Tree", "Car"]
    QgsProject.instance().clear()


def test_rasters_one_by_one_need_not_fit_together(
    run: Callable[..., Any], source: str, model: str, tmp_path: Path
) -> None:
    # The same place in the next zone, with larger cells and another data type, and one far off.
    other = tmp_path / "other.tif"
    gdal.Warp(
        str(other), source, dstSRS="EPSG:32617", xRes=0.6, yRes=0.6, outputType=gdal.GDT_Float32
    )
    far = write_raster(tmp_path / "far.tif", np.ones((1, 50, 50), np.uint16), (0, 1, 0, 0, 0, -1))
    feedback = Recorder()
    output = str(tmp_path / "found.gpkg")
    result = run(
        "detectobjects",
        feedback,
        INPUT=[source, str(other), far],
        MODEL=model,
        PROCESSING_MODE="SEPARATE",
        EXTENT=f"{X - 50},{X + 200},{Y - 150},{Y + 50} [EPSG:32616]",
        OUTPUT=output,
    )
    layer = load(output)
    assert result["OBJECT_COUNT"] == layer.featureCount() == 6
    assert layer.crs().authid() == "EPSG:32616"
    found = {name: [] for name in ("ortho.tif", "other.tif")}
    for each in layer.getFeatures():
        found[each["Raster"]].append(each.geometry())
    for one in found["ortho.tif"]:
        # Every object of the first raster is found in the second one, at the same place.
        assert any(one.centroid().distance(two.centroid()) < 1 for two in found["other.tif"])


def test_only_one_raster_is_met_and_named_in_the_first_ones_system(
    run: Callable[..., Any], source: str, model: str, tmp_path: Path
) -> None:
    pixels = np.ones((1, 50, 50), np.uint16)
    far = write_raster(tmp_path / "far.tif", pixels, (500000, 1, 0, 90000, 0, -1), 32617)
    output = str(tmp_path / "found.gpkg")
    run(
        "detectobjects",
        INPUT=[far, source],
        MODEL=model,
        PROCESSING_MODE="SEPARATE",
        EXTENT=f"{X},{X + 40},{Y - 50},{Y} [EPSG:32616]",
        OUTPUT=output,
    )
    layer = load(output)
    assert {each["Raster"] for each in layer.getFeatures()} == {"ortho.tif"}
    assert layer.crs().authid() == "EPSG:32617"


def test_rasters_that_do_not_fit_together_are_no_mosaic(
    run: Callable[..., Any], source: str, model: str, tmp_path: Path
) -> None:
    other, output = str(tmp_path / "other.tif"), str(tmp_path / "found.gpkg")
    gdal.Warp(other, source, dstSRS="EPSG:32617")
    with pytest.raises(QgsProcessingException, match="different coordinate"):
        run("detectobjects", INPUT=[source, other], MODEL=model, OUTPUT=output)
    with pytest.raises(QgsProcessingException, match="lies outside"):
        run(
            "detectobjects",
            INPUT=[source, other],
            MODEL=model,
            PROCESSING_MODE="SEPARATE",
            EXTENT="0,1,0,1 [EPSG:32616]",
            OUTPUT=output,
        )


def test_the_cell_size_is_that_of_the_model(
    run: Callable[..., Any], source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_here(monkeypatch)
    model = write_model(tmp_path / "coarse.dlpk", "TEST_NUMBERS")
    monkeypatch.setattr(
        "geodl_plugin.core.inference.checks.read_model",
        lambda *arguments: dataclasses.replace(read_model(*arguments), cell_size=1.0),
    )
    output = str(tmp_path / "found.gpkg")
    feedback = Recorder()
    run("detectobjects", feedback, INPUT=source, MODEL=model, OUTPUT=output)
    assert any("CELL_SIZE=1 resamples" in each for each in feedback.warnings)
    feedback = Recorder()
    run("detectobjects", feedback, INPUT=source, MODEL=model, CELL_SIZE=1.0, OUTPUT=output)
    assert not feedback.warnings
    # Squares of 10 × 10 pixels of half a metre are 5 × 5 pixels of one metre at the same place.
    boxes = sorted(
        (each.geometry().boundingBox() for each in load(output).getFeatures()),
        key=lambda box: box.xMinimum(),
    )
    assert boxes[0].xMinimum() == pytest.approx(X + 10, abs=1)
    assert boxes[0].yMaximum() == pytest.approx(Y - 15, abs=1)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"MODEL": "none.dlpk"}, "There is no model 'none.dlpk'"),
        ({"INPUT": "none.tif"}, "none.tif"),
        ({"CLASSES": "Boat"}, "knows no class 'Boat'"),
        ({"ARGUMENTS": "treshold=0.5"}, "There is no argument 'treshold'"),
        ({"ARGUMENTS": "threshold=high"}, "'high' is no value for 'threshold'"),
        ({"EXTENT": "0,1,0,1"}, "lies outside"),
        ({"DEVICE": "tpu"}, "There is no device 'tpu'"),
        ({"OUTPUT": "/tmp/found.doc"}, "doc"),
    ],
)
def test_wrong_input_is_one_sentence_and_nothing_is_written(
    run: Callable[..., Any],
    source: str,
    model: str,
    tmp_path: Path,
    parameters: dict[str, Any],
    sentence: str,
) -> None:
    before = sorted(tmp_path.iterdir())
    values = {"INPUT": source, "MODEL": model, "OUTPUT": str(tmp_path / "out" / "found.gpkg")}
    with pytest.raises(QgsProcessingException) as caught:
        run("detectobjects", **{**values, **parameters})
    assert sentence in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_the_wrong_model_names_the_right_tool(
    run: Callable[..., Any], source: str, tmp_path: Path
) -> None:
    model = write_model(tmp_path / "canopy.dlpk", "TEST_PIXELS")
    with pytest.raises(QgsProcessingException, match="Use the tool 'Classify pixels'"):
        run("detectobjects", INPUT=source, MODEL=model, OUTPUT=str(tmp_path / "found.gpkg"))
    four = write_model(tmp_path / "trees.dlpk", "TEST_NUMBERS", bands=4)
    sentence = "'trees.dlpk' was trained on 4 bands but 'ortho.tif' has 1"
    with pytest.raises(QgsProcessingException, match=sentence):
        run("detectobjects", INPUT=source, MODEL=four, OUTPUT=str(tmp_path / "found.gpkg"))


class CancelsWhenDetecting(QgsProcessingFeedback):
    def setProgressText(self, text: str) -> None:
        if text.startswith("Detecting"):
            self.cancel()


def test_a_real_model_in_a_real_worker(run: Callable[..., Any], tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 300, 200), np.uint8)
    source = write_raster(tmp_path / "ortho.tif", pixels)
    model = write_untrained(tmp_path / "ssd.dlpk", "SSD")
    output = tmp_path / "found.gpkg"
    feedback = QgsProcessingFeedback()
    values = {"INPUT": source, "MODEL": model, "OUTPUT": str(output)}
    arguments = "threshold=0.2;tile_size=128;padding=16"
    result = run("detectobjects", feedback, ARGUMENTS=arguments, **values)
    assert result["OBJECT_COUNT"] == load(str(output)).featureCount()
    assert "Computing on" in feedback.textLog()


def test_cancelling_a_real_worker_leaves_nothing(run: Callable[..., Any], tmp_path: Path) -> None:
    source = write_raster(tmp_path / "ortho.tif", np.zeros((3, 3000, 3000), np.uint8))
    model = write_untrained(tmp_path / "ssd.dlpk", "SSD")
    output = str(tmp_path / "found.gpkg")
    feedback = CancelsWhenDetecting()
    result = run("detectobjects", feedback, INPUT=source, MODEL=model, OUTPUT=output)
    assert result == {}
    assert not list(tmp_path.glob("*found*"))


def test_parameters_are_those_of_the_public_interface(provider: Any) -> None:
    tool = provider.algorithm("detectobjects")
    defaults = {each.name(): each.defaultValue() for each in tool.parameterDefinitions()}
    assert defaults["RUN_NMS"] is True
    assert defaults["CONFIDENCE_FIELD"] == "Confidence"
    assert defaults["CLASS_FIELD"] == "Class"
    assert defaults["MAX_OVERLAP_RATIO"] == 0
    assert defaults["DEVICE"] == defaults["PRECISION"] == "auto"
    assert all(each.help() for each in tool.parameterDefinitions())
    assert {each.name() for each in tool.outputDefinitions()} == {"OUTPUT", "OBJECT_COUNT"}
    assert tool.checkParameterValues({"INPUT": "a.tif"}, QgsProcessingContext())[0] is False
