"""What fails in the programs of others, as tests of ours.

Each failure with the file of a test that watches for it, and the test's name below.

raster smaller than the tile: tests/unit/inference/test_pixels.py
    test_classes_are_where_the_pixels_are
raster equal to, one pixel larger: tests/unit/inference/test_detect.py
    test_a_square_lands_exactly_where_it_is
the same for chips: tests/unit/chips/test_export.py
    test_a_raster_smaller_than_a_chip_is_padded
16 bit, and float with NaN: detect: tests/unit/inference/test_detect.py
    test_every_data_type
16 bit, and float with NaN: every model type: tests/unit/learning/test_table.py
    test_trained_saved_loaded_and_applied
pixels of 2.1e-6° × 2.3e-6°: tests/unit/inference/test_detect.py
    test_a_square_lands_exactly_where_it_is
the same, with outlines: tests/unit/inference/test_outlines.py
    test_ten_by_ten_pixels_have_an_area_of_exactly_a_hundred
labels in another CRS: tests/unit/chips/test_export.py
    test_labels_in_another_system_fall_on_the_same_pixels
two classes in one chip: tests/qgis/test_peers.py
    test_every_class_survives_export_training_and_inference
10 × 10 pixels: polygons of classes: tests/unit/geo/test_class_polygons.py
    test_a_square_of_ten_pixels_has_an_area_of_a_hundred_and_does_not_move
10 × 10 pixels: outlines of objects: tests/unit/inference/test_outlines.py
    test_ten_by_ten_pixels_have_an_area_of_exactly_a_hundred
10 × 10 pixels: masks of chips: tests/unit/geo/test_raster_writer.py
    test_a_square_of_ten_pixels_burns_a_hundred
10 × 10 pixels: in QGIS: tests/qgis/test_detect_objects.py
    test_squares_land_exactly_where_they_are
20,000 boxes in under a second: tests/unit/inference/test_merge.py
    test_twenty_thousand_boxes_are_compared_with_their_neighbours_only
4,096² with 1,400 objects under 2 GB: tests/unit/inference/test_outlines.py
    test_many_objects_on_a_large_raster_need_little_memory
cancel in epoch 2, resume: tests/unit/learning/test_resume.py
    test_a_cancelled_run_goes_on_with_the_same_weights
an output called .gpkg is a GeoPackage: tests/unit/geo/test_vector.py
    test_an_output_called_gpkg_is_a_geopackage
the tools are listed without torch: tests/process/test_provider.py
    test_the_tools_are_listed_without_torch
the user's own layer is never changed: tests/qgis/test_peers.py
    test_the_files_of_the_user_are_never_changed
every class survives all steps: tests/qgis/test_peers.py
    test_every_class_survives_export_training_and_inference
the device in use is named: tests/unit/inference/test_engine.py
    test_the_device_is_named
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsProcessingFeedback, QgsProject, QgsRasterLayer, QgsVectorLayer

from tests.qgis.models import work_here
from tests.unit.inference.support import write_model, write_polygons, write_raster

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., dict[str, Any]]


def square(col: float, row: float, side: float) -> str:
    """Return a square of a raster with half metre pixels, as text."""
    left, top, length = 500000 + col / 2, 4100000 - row / 2, side / 2
    right, bottom = left + length, top - length
    return (
        f"POLYGON (({left} {top}, {right} {top}, {right} {bottom}, {left} {bottom}, {left} {top}))"
    )


def test_every_failure_names_a_test_that_there_is() -> None:
    named = re.findall(r": (tests/\S+\.py)\n +(test_\w+)$", __doc__ or "", re.MULTILINE)
    assert len(named) > 20
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert name in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}, path


def test_every_class_survives_export_training_and_inference(run: Run, tmp_path: Path) -> None:
    """Three classes with gaps between their values, two of them in each chip at least."""
    levels = {3: 60, 7: 120, 200: 200}
    names = {3: "Grass", 7: "Tree", 200: "Roof"}
    draw = np.random.default_rng(0)
    truth = np.zeros((128, 128), int)
    shapes, classes, values = [], [], []
    for row in range(4, 128, 32):
        for col in range(4, 128, 32):
            value = [3, 7, 200][len(shapes) % 3]
            truth[row : row + 22, col : col + 22] = value
            shapes.append(square(col, row, 22))
            classes.append(names[value])
            values.append(value)
    pixels = np.zeros((3, 128, 128))
    for value, level in levels.items():
        pixels[:, truth == value] = level
    noise = draw.normal(0, 4, pixels.shape)
    source = write_raster(tmp_path / "a.tif", (pixels + noise + 20).clip(0, 255).astype(np.uint8))
    labels = write_polygons(
        tmp_path / "labels.gpkg", shapes, 32616, Classname=classes, Classvalue=values
    )
    chips = run(
        "exporttrainingdata", INPUT=source, LABELS=labels, CLASS_FIELD="Classvalue",
        FORMAT="Classified_Tiles", TILE_SIZE_X=64, TILE_SIZE_Y=64, STRIDE_X=32, STRIDE_Y=32,
        OUTPUT=str(tmp_path / "chips"),
    )["OUTPUT"]  # fmt: skip
    feedback = QgsProcessingFeedback()
    trained = run(
        "trainmodel", feedback, INPUT=chips, MODEL_TYPE="UNET_PLAIN",
        MODEL_ARGUMENTS="channels=[8,16]", MAX_EPOCHS=30, BATCH_SIZE=4, LEARNING_RATE="1e-2",
        STOP_TRAINING=False, AUGMENTATION="NONE", DEVICE="cpu", OUTPUT=str(tmp_path / "model"),
    )  # fmt: skip
    assert "cpu" in feedback.textLog().lower() or "threads" in feedback.textLog()
    result = run(
        "classifypixels", INPUT=source, MODEL=trained["OUTPUT_MODEL"],
        OUTPUT=str(tmp_path / "classes.tif"),
    )  # fmt: skip
    found = gdal.Open(result["OUTPUT"]).ReadAsArray()
    for value in levels:
        inside = truth == value
        assert (found[inside] == value).mean() > 0.7, f"class {value} is lost"
    assert all(count > 0 for count in json.loads(result["PIXEL_COUNTS"]).values())


@pytest.mark.parametrize(
    "tool",
    ["classifyobjects", "detectobjects", "classifypixels", "exporttrainingdata", "labelobjects",
     "nonmaximumsuppression", "assessdetections", "assesspixels"],
)  # fmt: skip
def test_the_files_of_the_user_are_never_changed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    """No byte, no file beside them, and no edit or selection of a layer in the project."""
    work_here(monkeypatch)
    own = tmp_path / "own"
    own.mkdir()
    pixels = np.zeros((1, 100, 100), np.float32)
    pixels[0, 20:30, 20:30] = 1
    source = write_raster(own / "ortho.tif", pixels)
    shapes = [square(20, 20, 10), square(60, 60, 10)]
    path = write_polygons(
        own / "shapes.gpkg", shapes, 32616,
        Classname=["Tree", "Car"], Classvalue=[3, 7], Class=["Tree", "Car"], Confidence=[80.0, 9.0],
    )  # fmt: skip
    assert QgsRasterLayer(source, "ortho", "gdal").isValid()  # QGIS notes statistics beside it
    layer = QgsVectorLayer(path, "shapes", "ogr")
    QgsProject.instance().addMapLayer(layer)
    layer.startEditing()
    layer.changeAttributeValue(1, layer.fields().indexOf("Confidence"), 55.0)
    layer.selectByIds([1, 2])
    edits = layer.undoStack().count()
    model = tmp_path / "model.dlpk"
    networks = {
        "classifyobjects": "TEST_OBJECTS",
        "detectobjects": "TEST_NUMBERS",
        "classifypixels": "TEST_PIXELS",
    }
    before = {each.name: each.read_bytes() for each in own.iterdir() if "gpkg-" not in each.name}
    out = str(tmp_path / "out" / "result")
    given: dict[str, Any] = {
        "classifyobjects": {"INPUT": source, "FEATURES": layer, "OUTPUT": f"{out}.gpkg"},
        "detectobjects": {"INPUT": source, "MASK": layer, "OUTPUT": f"{out}.gpkg"},
        "classifypixels": {
            "INPUT": source, "MASK": layer, "OUTPUT": f"{out}.tif", "POLYGONS": f"{out}.gpkg",
        },
        "exporttrainingdata": {
            "INPUT": source, "LABELS": layer, "TILE_SIZE_X": 64, "TILE_SIZE_Y": 64, "OUTPUT": out,
        },
        "labelobjects": {"INPUT": source, "FEATURES": layer, "OUTPUT": f"{out}.gpkg"},
        "nonmaximumsuppression": {"INPUT": layer, "OUTPUT": f"{out}.gpkg"},
        "assessdetections": {"INPUT": layer, "REFERENCE": layer, "OUTPUT": f"{out}.csv"},
        "assesspixels": {
            "INPUT": source, "REFERENCE": layer, "CLASS_FIELD": "Classvalue",
            "OUTPUT": f"{out}.csv",
        },
    }[tool]  # fmt: skip
    if tool in networks:
        given["MODEL"] = write_model(model, networks[tool])
    try:
        assert run(tool, **given)["OUTPUT"]
        after = {each.name: each.read_bytes() for each in own.iterdir() if "gpkg-" not in each.name}
        assert after == before
        assert layer.isEditable() and layer.undoStack().count() == edits
        assert sorted(layer.selectedFeatureIds()) == [1, 2]
        assert layer.getFeature(1)["Confidence"] == 55.0
        assert layer.subsetString() == "" and not layer.customPropertyKeys()
    finally:
        layer.rollBack()
        QgsProject.instance().clear()
