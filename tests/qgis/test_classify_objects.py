"""The tool 'Classify objects' in QGIS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qgis.core import (
    NULL,
    QgsFeature,
    QgsGeometry,
    QgsProcessingException,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)

from tests.qgis.models import work_here, write_untrained
from tests.unit.inference.support import NORTH_UP, write_model, write_raster

X, Y = NORTH_UP[0], NORTH_UP[3]


@pytest.fixture
def source(tmp_path: Path) -> str:
    """Dark in the left half, bright in the right one."""
    pixels = np.ones((3, 200, 200), np.uint8)
    pixels[:, :, 100:] = 10
    return write_raster(tmp_path / "ortho.tif", pixels)


@pytest.fixture
def features() -> QgsVectorLayer:
    made = QgsVectorLayer("Polygon?crs=EPSG:32616&field=name:string", "houses", "memory")
    for name, col in (("dark", 20), ("bright", 160), ("away", 5000)):
        feature = QgsFeature(made.fields())
        left, top = X + col / 2, Y - 20
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(left, top - 5, left + 5, top)))
        feature.setAttributes([name])
        made.dataProvider().addFeature(feature)
    made.updateExtents()
    return made


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Dark is a tree, bright a car; it is applied in this process."""
    work_here(monkeypatch)
    return write_model(tmp_path / "houses.dlpk", "TEST_OBJECTS", bands=3, chip_size=16)


def classes(path: str) -> dict[str, Any]:
    layer = QgsVectorLayer(path, "result", "ogr")
    return {each["name"]: each["ClassLabel"] for each in layer.getFeatures()}


def test_a_cluster_may_compute_but_no_part_of_the_raster_is_chosen(provider: Any) -> None:
    tool = provider.algorithm("classifyobjects")
    assert "Dask" in tool.parameterDefinition("SCHEDULER").help()
    assert tool.parameterDefinition("EXTENT") is tool.parameterDefinition("MASK") is None


def test_a_memory_layer_gets_its_classes(
    run: Callable[..., Any],
    source: str,
    features: QgsVectorLayer,
    model: str,
    tmp_path: Path,
) -> None:
    output = str(tmp_path / "classified.gpkg")
    result = run("classifyobjects", INPUT=source, FEATURES=features, MODEL=model, OUTPUT=output)
    assert result["OBJECT_COUNT"] == 2
    assert classes(output) == {"dark": "Tree", "bright": "Car", "away": NULL}
    assert features.fields().names() == ["name"]


def test_only_the_selected_features_and_a_styled_layer(
    provider: Any,
    source: str,
    features: QgsVectorLayer,
    model: str,
    tmp_path: Path,
) -> None:
    import processing
    from qgis.core import QgsProcessingFeatureSourceDefinition

    QgsProject.instance().addMapLayer(features)
    features.selectByIds([2])
    result = processing.runAndLoadResults(
        "geodl:classifyobjects",
        {
            "INPUT": source,
            "FEATURES": QgsProcessingFeatureSourceDefinition(features.id(), True),
            "MODEL": model,
            "OUTPUT": "TEMPORARY_OUTPUT",
        },
    )
    assert classes(result["OUTPUT"]) == {"bright": "Car"}
    layer = QgsProject.instance().mapLayersByName("Classified objects")[0]
    assert [each.label() for each in layer.renderer().categories()] == [
        "Tree",
        "Car",
        "Not classified",
    ]
    QgsProject.instance().clear()


def test_the_field_fid_keeps_its_values(
    run: Callable[..., Any],
    source: str,
    features: QgsVectorLayer,
    model: str,
    tmp_path: Path,
) -> None:
    """Of a GeoPackage it is the number of the feature, of a layer in memory a field."""
    import processing
    from qgis.core import QgsProcessingFeatureSourceDefinition

    first, output = str(tmp_path / "first.gpkg"), str(tmp_path / "classified.gpkg")
    stored = processing.run("native:savefeatures", {"INPUT": features, "OUTPUT": first})["OUTPUT"]
    layer = QgsVectorLayer(stored, "houses", "ogr")
    layer.selectByIds([2, 3])
    QgsProject.instance().addMapLayer(layer)
    chosen = QgsProcessingFeatureSourceDefinition(layer.id(), True)
    memory = processing.run("native:saveselectedfeatures", {"INPUT": layer, "OUTPUT": "memory:"})[
        "OUTPUT"
    ]
    assert memory.fields().names() == ["fid", "name"]
    for each in (chosen, memory):
        run("classifyobjects", INPUT=source, FEATURES=each, MODEL=model, OUTPUT=output)
        found = list(QgsVectorLayer(output, "result", "ogr").getFeatures())
        assert [(each["fid"], each["name"]) for each in found] == [(2, "bright"), (3, "away")]
    QgsProject.instance().clear()


def test_wrong_input_is_one_sentence(
    run: Callable[..., Any], source: str, features: QgsVectorLayer, tmp_path: Path
) -> None:
    model = write_model(tmp_path / "trees.dlpk", "TEST_NUMBERS", bands=3)
    values = {"INPUT": source, "FEATURES": features, "OUTPUT": str(tmp_path / "a.gpkg")}
    with pytest.raises(QgsProcessingException, match="Use the tool 'Detect objects'"):
        run("classifyobjects", MODEL=model, **values)
    model = write_model(tmp_path / "houses.dlpk", "TEST_OBJECTS", bands=3)
    with pytest.raises(QgsProcessingException, match="'Confidence'"):
        run("classifyobjects", MODEL=model, CLASS_FIELD="Confidence", **values)
    values["FEATURES"] = None
    with pytest.raises(QgsProcessingException, match="'raster'"):  # tells the names of the rasters
        run("classifyobjects", MODEL=model, CLASS_FIELD="raster", **values)
    assert not (tmp_path / "a.gpkg").exists()


def test_a_real_model_in_a_real_worker(
    run: Callable[..., Any], source: str, features: QgsVectorLayer, tmp_path: Path
) -> None:
    model = write_untrained(tmp_path / "houses.dlpk", "FEATURE_CLASSIFIER")
    output = str(tmp_path / "classified.gpkg")
    result = run("classifyobjects", INPUT=source, FEATURES=features, MODEL=model, OUTPUT=output)
    assert result["OBJECT_COUNT"] == 2
    assert set(classes(output).values()) <= {"Tree", "Car", NULL}


def test_without_features_the_rasters_are_classified(
    run: Callable[..., Any], source: str, model: str, tmp_path: Path
) -> None:
    bright = write_raster(tmp_path / "bright.tif", np.full((3, 40, 40), 10, np.uint8))
    output = str(tmp_path / "classified.gpkg")
    result = run("classifyobjects", INPUT=[source, bright], MODEL=model, OUTPUT=output)
    assert result["OBJECT_COUNT"] == 2
    layer = QgsVectorLayer(output, "result", "ogr")
    found = {each["Raster"]: each["ClassLabel"] for each in layer.getFeatures()}
    assert set(found) == {"ortho.tif", "bright.tif"} and found["bright.tif"] == "Car"


def test_several_labels_are_not_called_none(
    run: Callable[..., Any], source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_here(monkeypatch)
    model = write_model(
        tmp_path / "m.dlpk", "TEST_OBJECTS", bands=3, chip_size=16, several_labels=True
    )
    output = str(tmp_path / "out.gpkg")
    run(
        "classifyobjects",
        INPUT=source,
        MODEL=model,
        ARGUMENTS="score_threshold=0",
        OUTPUT=output,
    )
    layer = QgsVectorLayer(output, "result", "ogr")
    assert [each["ClassLabel"] for each in layer.getFeatures()] == ["Tree,Car"]
    labels = [each.label() for each in layer.renderer().categories()]
    assert labels == ["Tree", "Car", "Several classes, or none"]
