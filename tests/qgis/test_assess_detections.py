"""The tool 'Assess detections' in QGIS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import processing
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

BOXES = ((0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10))


def layer(boxes: tuple[tuple[float, ...], ...], name: str = "Tree") -> QgsVectorLayer:
    made = QgsVectorLayer(
        "Polygon?crs=EPSG:32612&field=Class:string&field=Confidence:double", "boxes", "memory"
    )
    for place, box in enumerate(boxes):
        feature = QgsFeature(made.fields())
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(*box)))
        feature.setAttributes([name, 90.0 - place])
        made.dataProvider().addFeature(feature)
    return made


def run(**parameters: Any) -> dict[str, Any]:
    return processing.run("geodl:assessdetections", parameters)


def test_memory_layers_and_a_selection(provider: Any) -> None:
    truth = layer(BOXES)
    truth.selectByIds([2, 3])
    QgsProject.instance().addMapLayer(truth)
    chosen = QgsProcessingFeatureSourceDefinition(truth.id(), selectedFeaturesOnly=True)
    everything = run(INPUT=layer(BOXES[:2]), REFERENCE=truth)
    selection = run(INPUT=layer(BOXES[:2]), REFERENCE=chosen)
    QgsProject.instance().clear()
    assert (everything["PRECISION"], everything["RECALL"]) == (1.0, pytest.approx(2 / 3))
    assert (selection["PRECISION"], selection["RECALL"]) == (0.5, 0.5)
    assert "REPORT" not in selection


def test_all_outputs(provider: Any, tmp_path: Path) -> None:
    alarm = (*BOXES[:2], (70, 0, 80, 10))
    result = run(
        INPUT=layer(alarm),
        REFERENCE=layer(BOXES),
        CLASS_FIELD="Class",
        REFERENCE_CLASS_FIELD="Class",
        OUTPUT=str(tmp_path / "table.gpkg"),
        REPORT=str(tmp_path / "report.html"),
        MATCHES=str(tmp_path / "matches.gpkg"),
    )
    table = QgsVectorLayer(result["OUTPUT"], "table", "ogr")
    assert [feature["Class"] for feature in table.getFeatures()] == ["Tree", "All"]
    assert [feature["F1_Score"] for feature in table.getFeatures()] == [pytest.approx(2 / 3)] * 2
    assert "<svg" in Path(result["REPORT"]).read_text(encoding="utf-8")
    matches = QgsVectorLayer(result["MATCHES"], "matches", "ogr")
    assert matches.renderer().classAttribute() == "Match"
    assert sorted(feature["Match"] for feature in matches.getFeatures()) == [
        "False alarm",
        "Hit",
        "Hit",
        "Miss",
    ]


def test_wrong_input_is_one_sentence(provider: Any) -> None:
    for changes, words in (
        ({"CLASS_FIELD": "Klasse", "REFERENCE_CLASS_FIELD": "Class"}, "no field 'Klasse'"),
        ({"CLASS_FIELD": "Class"}, "Only the class field 'Class' is given"),
        ({"MIN_IOU": 0}, "0 is no least intersection over union"),
    ):
        with pytest.raises(QgsProcessingException, match=words):
            run(INPUT=layer(BOXES), REFERENCE=layer(BOXES), **changes)


def test_no_output_is_an_input(provider: Any, tmp_path: Path) -> None:
    made = run(INPUT=layer(BOXES), REFERENCE=layer(BOXES), MATCHES=str(tmp_path / "a.gpkg"))
    for changes, words in (
        ({"MATCHES": made["MATCHES"]}, r"'a\.gpkg' is an input"),
        ({"REPORT": made["MATCHES"]}, r"'a\.gpkg' is an input"),
        ({name: str(tmp_path / "b.gpkg") for name in ("OUTPUT", "MATCHES")}, "two results"),
    ):
        with pytest.raises(QgsProcessingException, match=words):
            run(INPUT=f"{made['MATCHES']}|layername=a", REFERENCE=layer(BOXES), **changes)
