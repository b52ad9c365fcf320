"""The tool 'Non maximum suppression' through QGIS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProject,
    QgsRendererCategory,
    QgsSymbol,
    QgsVectorLayer,
)

from geodl_plugin.core.geo.vector_writer import VectorWriter

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def detections(tmp_path: Path) -> str:
    path = tmp_path / "Bäume 1.gpkg"
    with VectorWriter(path, "EPSG:32612", {"Class": str, "Confidence": float}) as writer:
        for x, confidence in ((0, 80.0), (2, 90.0), (100, 10.0)):
            ring = np.array([[x, 0], [x + 10, 0], [x + 10, 10], [x, 10]], float)
            writer.write_polygon([ring], {"Class": "tree", "Confidence": confidence})
    return str(path)


def test_duplicates_go_and_the_source_stays(run: Run, detections: str, tmp_path: Path) -> None:
    output = str(tmp_path / "out.gpkg")
    result = run("nonmaximumsuppression", INPUT=detections, MAX_OVERLAP_RATIO=0.1, OUTPUT=output)
    assert result["REMOVED_COUNT"] == 1
    layer = QgsVectorLayer(output, "out", "ogr")
    assert [each["Confidence"] for each in layer.getFeatures()] == [90.0, 10.0]
    assert QgsVectorLayer(detections, "in", "ogr").featureCount() == 3


def test_the_result_looks_like_the_source(run: Run, detections: str, tmp_path: Path) -> None:
    source = QgsVectorLayer(detections, "in", "ogr")
    symbol = QgsSymbol.defaultSymbol(source.geometryType())
    category = QgsRendererCategory("tree", symbol, "Trees of the wood")
    source.setRenderer(QgsCategorizedSymbolRenderer("Class", [category]))
    output = str(tmp_path / "out.gpkg")
    run("nonmaximumsuppression", INPUT=source, OUTPUT=output)
    layer = QgsVectorLayer(output, "out", "ogr")  # its renderer goes with it
    assert [each.label() for each in layer.renderer().categories()] == ["Trees of the wood"]


def test_a_layer_without_the_field_is_refused(run: Run, detections: str, tmp_path: Path) -> None:
    with pytest.raises(QgsProcessingException, match="There is no field 'score'"):
        run(
            "nonmaximumsuppression",
            INPUT=detections,
            CONFIDENCE_FIELD="score",
            OUTPUT=str(tmp_path / "out.gpkg"),
        )


@pytest.mark.parametrize("selected", [False, True])
def test_the_source_is_not_replaced(run: Run, detections: str, selected: bool) -> None:
    layer = QgsVectorLayer(detections, "in", "ogr")
    layer.selectByIds([1])
    QgsProject.instance().addMapLayer(layer)
    source = QgsProcessingFeatureSourceDefinition(layer.id(), selectedFeaturesOnly=selected)
    before = Path(detections).read_bytes()
    with pytest.raises(QgsProcessingException, match="is an input"):
        run("nonmaximumsuppression", INPUT=source, OUTPUT=detections)
    QgsProject.instance().clear()
    assert Path(detections).read_bytes() == before
