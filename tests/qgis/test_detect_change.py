"""The tool 'Detect change' in QGIS."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsProcessingException, QgsRasterLayer

from tests.qgis.models import work_here, write_untrained
from tests.unit.inference.support import write_model, write_raster


@pytest.fixture
def dates(tmp_path: Path) -> tuple[str, str]:
    """A place before and after a square of 10 × 10 pixels has been built; a corner is unknown."""
    before = np.full((1, 150, 150), 5, np.float32)
    after = before.copy()
    after[0, 60:70, 20:30] = 15
    after[0, 140:, 140:] = np.nan
    return (
        write_raster(tmp_path / "before.tif", before),
        write_raster(tmp_path / "after.tif", after),
    )


def test_what_has_changed_has_its_class(
    run: Callable[..., Any], dates: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_here(monkeypatch)
    model = write_model(tmp_path / "change.dlpk", "TEST_CHANGE")
    output = str(tmp_path / "new" / "change.tif")
    result = run(
        "detectchange",
        INPUT=dates[0],
        INPUT_2=dates[1],
        MODEL=model,
        ARGUMENTS="tile_size=64",
        OUTPUT=output,
    )
    assert json.loads(result["PIXEL_COUNTS"]) == {
        "Background": 150 * 150 - 200,
        "Tree": 100,
        "Car": 0,
    }
    found = gdal.Open(output).ReadAsArray()
    assert (found[60:70, 20:30] == 3).all() and (found == 3).sum() == 100
    assert (found[140:, 140:] == 255).all()
    layer, before = (QgsRasterLayer(each, "layer", "gdal") for each in (output, dates[0]))
    assert layer.extent() == before.extent()


def test_both_dates_are_brought_to_a_cell_size(
    run: Callable[..., Any], dates: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_here(monkeypatch)
    model = write_model(tmp_path / "change.dlpk", "TEST_CHANGE")
    output = str(tmp_path / "change.tif")
    run(
        "detectchange",
        INPUT=dates[0],
        INPUT_2=dates[1],
        MODEL=model,
        CELL_SIZE=1.0,
        OUTPUT=output,
    )
    dataset = gdal.Open(output)
    assert (dataset.RasterXSize, dataset.RasterYSize) == (75, 75)
    found = dataset.ReadAsArray()
    assert (found[30:35, 10:15] == 3).all() and (found == 3).sum() <= 49


def test_wrong_input_is_one_sentence(
    run: Callable[..., Any], dates: tuple[str, str], tmp_path: Path
) -> None:
    model = write_model(tmp_path / "change.dlpk", "TEST_CHANGE", image_bands=1)
    given = {"INPUT": dates[0], "INPUT_2": dates[1], "MODEL": model, "OUTPUT": "TEMPORARY_OUTPUT"}

    def refused(sentence: str, tool: str = "detectchange", **more: Any) -> None:
        with pytest.raises(QgsProcessingException, match=sentence):
            run(tool, **{**given, **more})

    pixels = np.zeros((1, 40, 40), np.float32)
    far = write_raster(tmp_path / "far.tif", pixels, geotransform=(9e6, 1, 0, 9e6, 0, -1))
    refused("'before.tif' and 'far.tif' do not overlap", INPUT_2=far)
    bands = write_raster(tmp_path / "bands.tif", np.zeros((3, 150, 150), np.float32))
    refused("was trained on 1 band but 'bands.tif' has 3", INPUT_2=bands)
    refused("is an input", OUTPUT=dates[1])
    pixels_model = write_model(tmp_path / "canopy.dlpk", "TEST_PIXELS")
    refused("Use the tool 'Classify pixels'", MODEL=pixels_model)
    del given["INPUT_2"]
    refused("Use the tool 'Detect change'", tool="classifypixels")


def test_a_real_model_in_a_real_worker(run: Callable[..., Any], tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 65535, (2, 4, 100, 130)).astype(np.uint16)
    first = write_raster(tmp_path / "first.tif", pixels[0])
    second = write_raster(tmp_path / "second.tif", pixels[1])
    model = write_untrained(tmp_path / "change.dlpk", "CHANGEDETECTOR", bands=4)
    output = str(tmp_path / "change.tif")
    result = run("detectchange", INPUT=first, INPUT_2=second, MODEL=model, OUTPUT=output)
    assert sum(json.loads(result["PIXEL_COUNTS"]).values()) == 100 * 130
    assert set(np.unique(gdal.Open(output).ReadAsArray())) <= {0, 3, 7}
