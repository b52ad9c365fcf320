"""The tool 'Label objects' with a model in QGIS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qgis.core import (
    QgsExpressionContext,
    QgsExpressionContextUtils,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsVectorLayer,
)

from geodl_plugin.algorithms.styling import FILL_STYLE, STROKE_STYLE
from tests.qgis.models import work_here
from tests.unit.inference.support import write_model, write_raster

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def source(tmp_path: Path) -> str:
    """A raster with four squares of 10 × 10 pixels, the last one of the class Car."""
    pixels = np.zeros((1, 200, 300), np.uint16)
    places = ((20, 30), (127, 60), (60, 150), (250, 150))
    for number, (col, row) in enumerate(places, 1):
        pixels[0, row : row + 10, col : col + 10] = number + 10_000 * (number == 4)
    return write_raster(tmp_path / "ortho.tif", pixels)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    work_here(monkeypatch)
    return write_model(tmp_path / "trees.dlpk", "TEST_NUMBERS")


def load(path: str) -> QgsVectorLayer:
    layer = QgsVectorLayer(path, "result", "ogr")
    assert layer.isValid()
    return layer


def test_detections_become_drafts_the_least_certain_first(
    run: Run, source: str, model: str, tmp_path: Path
) -> None:
    output = str(tmp_path / "samples.gpkg")
    result = run("labelobjects", INPUT=source, MODEL=model, ARGUMENTS="tile_size=64", OUTPUT=output)
    assert (result["SAMPLE_COUNT"], result["CLASS_COUNT"]) == (4, 2)
    layer = load(output)
    rows = list(layer.getFeatures())
    confidences = [each["Confidence"] for each in rows]
    assert confidences == sorted(confidences)
    assert all(50 < each <= 100 for each in confidences)
    assert sorted(each["Classname"] for each in rows) == ["Car", "Tree", "Tree", "Tree"]
    assert {each["Count"] for each in rows} == {100}
    assert {each["RED"] for each in rows} == {0x22, 0xCC}


def test_drafts_look_unlike_samples(run: Run, source: str, model: str, tmp_path: Path) -> None:
    """A dashed outline without a fill, and a label; both gone when the draft is accepted."""
    output = str(tmp_path / "samples.gpkg")
    run("labelobjects", INPUT=source, MODEL=model, OUTPUT=output)
    layer = load(output)
    categories = layer.renderer().categories()
    symbol = categories[0].symbol()
    properties = symbol.symbolLayer(0).dataDefinedProperties()
    context = QgsExpressionContext(QgsExpressionContextUtils.globalProjectLayerScopes(layer))
    draft = next(layer.getFeatures())
    accepted = next(layer.getFeatures())
    accepted["Confidence"] = None
    label = layer.labeling().settings()
    assert layer.labelsEnabled()
    seen = []
    for feature in (draft, accepted):
        context.setFeature(feature)
        styles = [properties.property(each) for each in (STROKE_STYLE, FILL_STYLE)]
        seen.append([each.valueAsString(context)[0] for each in styles])
        expression = label.getLabelExpression()
        expression.prepare(context)
        seen[-1].append(expression.evaluate(context))
    assert seen[0] == ["dash", "no", f"{round(draft['Confidence'])} %"]
    assert seen[1][:2] == ["solid", "solid"]
    assert not seen[1][2]


def test_a_schema_limits_what_is_found_and_samples_are_not_found_again(
    run: Run, source: str, model: str, tmp_path: Path
) -> None:
    first = str(tmp_path / "first.gpkg")
    feedback = QgsProcessingFeedback()
    run("labelobjects", feedback, INPUT=source, MODEL=model, SCHEMA="1:Car", OUTPUT=first)
    (car,) = load(first).getFeatures()
    assert (car["Classname"], car["Classvalue"]) == ("Car", 1)
    assert "also finds Tree, which the schema lacks: left out" in feedback.textLog()
    result = run(
        "labelobjects",
        INPUT=source,
        MODEL=model,
        APPEND_TO=first,
        OUTPUT=str(tmp_path / "two.gpkg"),
    )
    rows = list(load(result["OUTPUT"]).getFeatures())
    assert [each["Classname"] for each in rows] == ["Car", "Tree", "Tree", "Tree"]
    assert [each["Classvalue"] for each in rows] == [1, 3, 3, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"INPUT": None}, "A model finds samples in rasters. Choose input rasters too"),
        ({"SCHEMA": "1:Palm"}, "finds Tree, Car, which the schema lacks"),
        ({"ARGUMENTS": "threshhold=1"}, "There is no argument 'threshhold'"),
        ({"ARGUMENTS": "threshold=0.7", "MODEL": None}, "given without a model"),
        ({"MODEL": "/no/where.dlpk"}, "/no/where.dlpk"),
    ],
)
def test_wrong_input_is_refused(
    run: Run, source: str, model: str, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    parameters = {"INPUT": source, "MODEL": model, **changes}
    with pytest.raises(QgsProcessingException, match=message):
        run("labelobjects", OUTPUT=str(tmp_path / "new" / "samples.gpkg"), **parameters)
    assert not list((tmp_path / "new").glob("*"))


def test_a_model_of_pixels_is_refused(run: Run, source: str, model: str, tmp_path: Path) -> None:
    pixels = write_model(tmp_path / "cover.dlpk", "TEST_PIXELS")
    with pytest.raises(QgsProcessingException, match=r"'cover.dlpk' .*[Cc]lassif"):
        run("labelobjects", INPUT=source, MODEL=pixels, OUTPUT=str(tmp_path / "samples.gpkg"))


def test_an_export_tells_of_drafts(run: Run, source: str, model: str, tmp_path: Path) -> None:
    samples = str(tmp_path / "samples.gpkg")
    run("labelobjects", INPUT=source, MODEL=model, OUTPUT=samples)
    layer = load(samples)
    sizes = {"TILE_SIZE_X": 64, "TILE_SIZE_Y": 64, "STRIDE_X": 64, "STRIDE_Y": 64}
    feedback = QgsProcessingFeedback()
    folder = str(tmp_path / "chips")
    result = run("exporttrainingdata", feedback, INPUT=source, LABELS=layer, OUTPUT=folder, **sizes)
    assert result["FEATURE_COUNT"] == 4
    assert "4 of 4 samples in 'samples' are drafts of a model" in feedback.textLog()
    # The way out that the sentence names.
    layer.startEditing()
    first = next(layer.getFeatures())
    layer.changeAttributeValue(first.id(), layer.fields().lookupField("Confidence"), None)
    assert layer.commitChanges()
    assert layer.setSubsetString('"Confidence" IS NULL')
    feedback = QgsProcessingFeedback()
    folder = str(tmp_path / "reviewed")
    result = run("exporttrainingdata", feedback, INPUT=source, LABELS=layer, OUTPUT=folder, **sizes)
    assert result["FEATURE_COUNT"] == 1
    assert "drafts of a model" not in feedback.textLog()


def test_a_nested_schema_is_kept_with_the_layer(run: Run, tmp_path: Path) -> None:
    from geodl_plugin.core.samples.document import SchemaDocument, SchemaNode
    from geodl_plugin.core.samples.schema_files import json_document, save_document

    tree = SchemaNode(2, "Tree", (1, 2, 3))
    document = SchemaDocument((SchemaNode(1, "Plant", (4, 5, 6), (tree,)),))
    save_document(document, tmp_path / "schema.json")
    samples = str(tmp_path / "samples.gpkg")
    run("labelobjects", SCHEMA=str(tmp_path / "schema.json"), OUTPUT=samples)
    kept = json_document(load(samples).customProperty("geodl/schema"))
    assert kept.nodes == document.nodes
    again = str(tmp_path / "again.gpkg")
    run("labelobjects", APPEND_TO=samples, OUTPUT=again)
    assert json_document(load(again).customProperty("geodl/schema")).nodes == document.nodes


def test_a_model_of_the_modeler_passes_its_model_on(
    provider: Any, source: str, model: str, tmp_path: Path
) -> None:
    import processing

    child = QgsProcessingModelChildAlgorithm("geodl:labelobjects")
    child.setChildId("label")
    for name in ("INPUT", "MODEL"):
        given = QgsProcessingModelChildParameterSource.fromModelParameter(name.lower())
        child.addParameterSources(name, [given])
    output = QgsProcessingModelOutput("samples", "samples")
    output.setChildId("label")
    output.setChildOutputName("OUTPUT")
    child.setModelOutputs({"samples": output})
    chain = QgsProcessingModelAlgorithm("Pre-label", "pre", "")
    for parameter in (
        QgsProcessingParameterRasterLayer("input"),
        QgsProcessingParameterString("model"),
    ):
        chain.addModelParameter(parameter, QgsProcessingModelParameter(parameter.name()))
    chain.addChildAlgorithm(child)
    path = str(tmp_path / "samples.gpkg")
    # Newer QGIS calls it as its author did, older one "label:samples".
    (result,) = [each.name() for each in chain.destinationParameterDefinitions()]
    values = {"input": source, "model": model, result: path}
    results = processing.run(chain, values)
    assert load(path).featureCount() == 4, results
