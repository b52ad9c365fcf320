"""The tool 'Classify pixels' in QGIS."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsProcessingException, QgsProject, QgsRasterLayer, QgsVectorLayer

from tests.qgis.models import work_here, write_untrained
from tests.unit.inference.support import NORTH_UP, write_model, write_raster


@pytest.fixture
def source(tmp_path: Path) -> str:
    """A dark raster with a square of trees of 10 × 10 pixels and a corner without data."""
    pixels = np.zeros((1, 150, 150), np.float32)
    pixels[0, 60:70, 20:30] = 10
    pixels[0, 140:, 140:] = np.nan
    return write_raster(tmp_path / "ortho.tif", pixels)


def test_classes_values_and_counts(
    run: Callable[..., Any], source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_here(monkeypatch)
    model = write_model(tmp_path / "canopy.dlpk", "TEST_PIXELS")
    output = str(tmp_path / "new" / "classes.tif")
    result = run(
        "classifypixels", INPUT=source, MODEL=model, ARGUMENTS="tile_size=64", OUTPUT=output
    )
    counts = json.loads(result["PIXEL_COUNTS"])
    assert counts == {"Background": 150 * 150 - 200, "Tree": 100, "Car": 0}
    found = gdal.Open(output).ReadAsArray()
    assert (found[60:70, 20:30] == 3).all()
    assert (found == 3).sum() == 100
    assert (found[140:, 140:] == 255).all()
    layer = QgsRasterLayer(output, "classes", "gdal")
    assert layer.dataProvider().sourceNoDataValue(1) == 255
    assert layer.extent() == QgsRasterLayer(source, "ortho", "gdal").extent()


def test_the_layer_lands_styled(
    provider: Any, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import processing

    work_here(monkeypatch)
    model = write_model(tmp_path / "canopy.dlpk", "TEST_PIXELS")
    processing.runAndLoadResults(
        "geodl:classifypixels",
        {
            "INPUT": source,
            "MODEL": model,
            "ARGUMENTS": "predict_background=false",
            "OUTPUT": "TEMPORARY_OUTPUT",
        },
    )
    layer = QgsProject.instance().mapLayersByName("Classified pixels")[0]
    assert [each.label for each in layer.renderer().classes()] == ["Tree", "Car"]
    QgsProject.instance().clear()


def test_rasters_one_by_one_are_joined_by_a_virtual_one(
    run: Callable[..., Any], source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_here(monkeypatch)
    model = write_model(tmp_path / "canopy.dlpk", "TEST_PIXELS")
    (tmp_path / "more").mkdir()
    # Another data type, and beside the first one: they could not be one mosaic.
    pixels = np.full((1, 20, 30), 20, np.uint8)
    x, y = NORTH_UP[0] + 150 * 0.5, NORTH_UP[3]
    other = write_raster(tmp_path / "more" / "ortho.tif", pixels, (x, 0.5, 0, y, 0, -0.5))
    values = {"INPUT": [source, other], "MODEL": model, "PROCESSING_MODE": "SEPARATE"}
    output = tmp_path / "result" / "classes.vrt"
    result = run("classifypixels", **values, OUTPUT=str(output))
    assert json.loads(result["PIXEL_COUNTS"])["Car"] == 600
    found = gdal.Open(str(output))
    classes = found.ReadAsArray()
    assert classes.shape == (150, 180)
    assert (classes[:20, 150:] == 7).all() and (classes[20:, 150:] == 255).all()
    assert (classes[60:70, 20:30] == 3).all() and (classes == 3).sum() == 100
    assert found.GetRasterBand(1).GetCategoryNames()[7] == "Car"
    names = sorted(each.name for each in (tmp_path / "result" / "classes").glob("*.tif"))
    assert names == ["ortho 2.tif", "ortho.tif"]
    # The results may move together.
    (tmp_path / "result").rename(tmp_path / "moved")
    moved = gdal.Open(str(tmp_path / "moved" / "classes.vrt"))
    assert (moved.ReadAsArray() == classes).all()
    far = write_raster(tmp_path / "far.tif", pixels, epsg=32617)
    for changes, sentence in (
        ({"OUTPUT": str(tmp_path / "a.tif")}, r"extension \.vrt"),
        ({"INPUT": [source, far]}, "different coordinate"),
        ({"POLYGONS": str(tmp_path / "p.gpkg")}, "made of one raster"),
    ):
        with pytest.raises(QgsProcessingException, match=sentence):
            run("classifypixels", **{**values, "OUTPUT": str(output), **changes})


def test_wrong_input_is_one_sentence(run: Callable[..., Any], source: str, tmp_path: Path) -> None:
    model = write_model(tmp_path / "trees.dlpk", "TEST_NUMBERS")
    with pytest.raises(QgsProcessingException, match="Use the tool 'Detect objects'"):
        run("classifypixels", INPUT=source, MODEL=model, OUTPUT=str(tmp_path / "a.tif"))
    model = write_model(tmp_path / "canopy.dlpk", "TEST_PIXELS")
    with pytest.raises(QgsProcessingException, match=r"extension \.tif"):
        run("classifypixels", INPUT=source, MODEL=model, OUTPUT=str(tmp_path / "a.png"))
    with pytest.raises(QgsProcessingException, match="is an input"):
        run("classifypixels", INPUT=source, MODEL=model, OUTPUT=source)


def test_a_real_model_in_a_real_worker(run: Callable[..., Any], tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 65535, (4, 100, 130)).astype(np.uint16)
    source = write_raster(tmp_path / "ortho.tif", pixels)
    model = write_untrained(tmp_path / "unet.dlpk", "UNET", bands=4)
    output = str(tmp_path / "classes.tif")
    result = run("classifypixels", INPUT=source, MODEL=model, OUTPUT=output)
    assert sum(json.loads(result["PIXEL_COUNTS"]).values()) == 100 * 130
    assert set(np.unique(gdal.Open(output).ReadAsArray())) <= {0, 3, 7}


def test_probabilities_and_polygons_beside_the_classes(
    run: Callable[..., Any], source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_here(monkeypatch)
    model = write_model(tmp_path / "canopy.dlpk", "TEST_PIXELS")
    files = {
        "OUTPUT": str(tmp_path / "classes.tif"),
        "PROBABILITIES": str(tmp_path / "chances.tif"),
        "POLYGONS": str(tmp_path / "regions.gpkg"),
    }
    arguments = "blend=gaussian;test_time_augmentation=true;tile_size=64"
    result = run("classifypixels", INPUT=source, MODEL=model, ARGUMENTS=arguments, **files)
    assert {name: result[name] for name in files} == files
    layer = QgsVectorLayer(files["POLYGONS"], "regions", "ogr")
    assert {each.label() for each in layer.renderer().categories()} == {"Tree", "Car"}
    classes = gdal.Open(files["OUTPUT"]).ReadAsArray()
    percent = gdal.Open(files["PROBABILITIES"]).ReadAsArray()
    assert percent.shape == (3, *classes.shape)
    cell = abs(gdal.Open(source).GetGeoTransform()[1])
    area = sum(each.geometry().area() for each in layer.getFeatures())
    assert area == pytest.approx((classes % 255 > 0).sum() * cell**2)


def test_an_unknown_blend_is_named(run: Callable[..., Any], source: str, tmp_path: Path) -> None:
    model = write_model(tmp_path / "canopy.dlpk", "TEST_PIXELS")
    with pytest.raises(QgsProcessingException, match=r"blend=hann is unknown\. Choose"):
        run(
            "classifypixels",
            INPUT=source,
            MODEL=model,
            ARGUMENTS="blend=hann",
            OUTPUT=str(tmp_path / "a.tif"),
        )
