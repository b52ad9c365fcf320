"""The tool 'Label objects' in QGIS."""

from __future__ import annotations

import pytest
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)

from geodl_plugin.algorithms.styling import ClassStyler
from geodl_plugin.core.samples.document import SchemaDocument
from geodl_plugin.core.samples.schema import Schema
from geodl_plugin.core.samples.schema_files import save_document


@pytest.fixture
def drawn(qgis_new_project):
    """A memory layer that a user has drawn."""
    layer = QgsVectorLayer("Polygon?crs=EPSG:32612&field=kind:string", "drawn", "memory")
    for place, kind in enumerate(("pine", "oak", "pine")):
        feature = QgsFeature(layer.fields())
        left = 10.0 * place
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(left, 0, left + 5, 5)))
        feature.setAttributes([kind])
        layer.dataProvider().addFeature(feature)
    QgsProject.instance().addMapLayer(layer)
    return layer


def test_a_drawn_layer_becomes_samples_styled_by_class(run, drawn, tmp_path):
    result = run(
        "labelobjects",
        FEATURES=drawn,
        CLASS_FIELD="kind",
        SCHEMA="5:pine:#ff0000;8:oak:#0000ff",
        OUTPUT=str(tmp_path / "samples.gpkg"),
    )
    assert (result["SAMPLE_COUNT"], result["CLASS_COUNT"]) == (3, 2)
    layer = QgsVectorLayer(result["OUTPUT"], "samples", "ogr")
    rows = [(f["Classname"], f["Classvalue"], f["RED"], f["BLUE"]) for f in layer.getFeatures()]
    assert rows == [("pine", 5, 255, 0), ("oak", 8, 0, 255), ("pine", 5, 255, 0)]
    # The style is in the file: whoever opens it sees the classes.
    categories = {each.value(): each for each in layer.renderer().categories()}
    assert layer.renderer().classAttribute() == "Classname"
    outline = categories["oak"].symbol().symbolLayer(0).strokeColor().name()
    assert outline == "#0000ff"
    assert drawn.featureCount() == 3
    assert [field.name() for field in drawn.fields()] == ["kind"]


@pytest.mark.parametrize("given", [{}, {"EXTENT": "0,5,0,5"}, {"CELL_SIZE": 0.5}])
def test_what_is_for_a_model_is_told_to_change_nothing_without_one(run, drawn, tmp_path, given):
    feedback = QgsProcessingFeedback()
    output = str(tmp_path / "samples.gpkg")
    result = run("labelobjects", FEATURES=drawn, OUTPUT=output, feedback=feedback, **given)
    assert result["SAMPLE_COUNT"] == 3
    told = "".join(f"{name} limits what a model sees, and no model is given." for name in given)
    assert told in feedback.textLog() and ("no model is given" in feedback.textLog()) == bool(given)


def test_only_selected_features_are_imported(run, drawn, tmp_path):
    drawn.selectByIds([next(drawn.getFeatures()).id()])
    result = run(
        "labelobjects",
        FEATURES=QgsProcessingFeatureSourceDefinition(drawn.id(), selectedFeaturesOnly=True),
        CLASS_FIELD="kind",
        OUTPUT=str(tmp_path / "samples.gpkg"),
    )
    assert result["SAMPLE_COUNT"] == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"CLASS_FIELD": "species"}, "no field 'species' in"),
        ({"SCHEMA": "pine"}, "'pine' is not a class"),
        ({"SCHEMA": "/no/where.ecs"}, "The schema '/no/where.ecs' cannot be read"),
        ({"INPUT": ["/no/where.tif"]}, "'/no/where.tif' cannot be used for 'Input rasters'"),
        ({"FEATURES": None, "CLASS_FIELD": None}, "nothing to make samples from"),
        ({"FEATURES": "/no/where.gpkg"}, "/no/where.gpkg"),
    ],
)
def test_wrong_input_is_refused(run, drawn, tmp_path, changes, message):
    parameters = {"FEATURES": drawn, "CLASS_FIELD": "kind", **changes}
    with pytest.raises(QgsProcessingException, match=message):
        run("labelobjects", OUTPUT=str(tmp_path / "samples.gpkg"), **parameters)
    assert list(tmp_path.iterdir()) == []


def test_a_layer_may_be_called_like_a_word_of_another_parameter(run, drawn, tmp_path):
    """Its file may be replaced, for it is no input."""
    output = str(tmp_path / "former.gpkg")
    options = {"FEATURES": drawn, "CLASS_FIELD": "kind", "DEVICE": "cpu", "OUTPUT": output}
    run("labelobjects", **options)
    QgsProject.instance().addMapLayer(QgsVectorLayer(output, "cpu", "ogr"))
    assert run("labelobjects", **options)["SAMPLE_COUNT"] == 3


@pytest.mark.parametrize("suffix", [".json", ".ecs"])
def test_the_schema_may_be_a_file(run, drawn, tmp_path, suffix):
    schema = SchemaDocument.of_schema(Schema.from_text("5:pine:#ff0000;8:oak:#0000ff"))
    save_document(schema, tmp_path / f"schema{suffix}")
    result = run(
        "labelobjects",
        FEATURES=drawn,
        CLASS_FIELD="kind",
        SCHEMA=str(tmp_path / f"schema{suffix}"),
        OUTPUT=str(tmp_path / "samples.gpkg"),
    )
    layer = QgsVectorLayer(result["OUTPUT"], "samples", "ogr")
    rows = [(f["Classname"], f["Classvalue"], f["RED"]) for f in layer.getFeatures()]
    assert rows == [("pine", 5, 255), ("oak", 8, 0), ("pine", 5, 255)]


def test_the_schema_may_be_a_style_that_qgis_saved(run, drawn, tmp_path):
    colors = {"pine": (1, 2, 3), "oak": (200, 30, 30)}
    ClassStyler("kind", colors, filled=False, others="other").apply(drawn)
    path = tmp_path / "style.qml"
    assert drawn.saveNamedStyle(str(path))[1]
    result = run(
        "labelobjects",
        FEATURES=drawn,
        CLASS_FIELD="kind",
        SCHEMA=str(path),
        OUTPUT=str(tmp_path / "samples.gpkg"),
    )
    layer = QgsVectorLayer(result["OUTPUT"], "samples", "ogr")
    rows = [(f["Classname"], f["Classvalue"], f["RED"]) for f in layer.getFeatures()]
    assert rows == [("pine", 1, 1), ("oak", 2, 200), ("pine", 1, 1)]
