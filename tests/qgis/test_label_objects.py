"""The tool 'Label objects' in QGIS."""

from __future__ import annotations

import pytest
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)


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
