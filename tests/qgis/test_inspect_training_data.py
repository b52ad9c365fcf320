"""The tool 'Inspect training data' in QGIS."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from qgis.core import QgsProcessingException, QgsProcessingFeedback

from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.raster_writer import write_chip


@pytest.fixture
def chips(tmp_path):
    """Twelve chips with a mask of a class, two of them empty."""
    folder = tmp_path / "chips ü"
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for number in range(12):
        pixels = np.random.default_rng(number).integers(1, 250, (3, 64, 64)).astype(np.uint8)
        values = np.zeros((1, 64, 64), np.uint8)
        values[0, 10:30, 10:30] = number > 1
        write_chip(folder / "images" / f"{number}.tif", pixels, GeoTransform(), "")
        write_chip(folder / "labels" / f"{number}.tif", values, GeoTransform(), "")
    definition = {"MetaDataMode": "Classified_Tiles", "Classes": [{"Value": 1, "Name": "Roof"}]}
    (folder / "esri_model_definition.emd").write_text(json.dumps(definition))
    return str(folder)


def test_the_report_and_the_counts(run, chips, tmp_path):
    output = str(tmp_path / "new" / "report.html")
    result = run("inspecttrainingdata", INPUT=chips, ROWS=2, OUTPUT=output)
    assert result == {"OUTPUT": output, "CHIP_COUNT": 12, "PROBLEM_COUNT": 2}
    text = Path(output).read_text(encoding="utf-8")
    assert text.count("<figure>") == 8
    assert "Empty label" in text


def test_the_seed_chooses_the_chips(run, chips, tmp_path):
    def report(name, seed):
        path = tmp_path / name
        run("inspecttrainingdata", INPUT=chips, ROWS=1, SEED=seed, OUTPUT=str(path))
        return path.read_text(encoding="utf-8")

    assert report("a.html", 1) == report("b.html", 1)
    assert report("a.html", 1) != report("c.html", 2)


def test_chips_as_a_network_sees_them(run, chips, tmp_path):
    pytest.importorskip("torch")
    output = str(tmp_path / "report.html")
    result = run("inspecttrainingdata", INPUT=chips, ROWS=1, AUGMENT=True, OUTPUT=output)
    assert result["CHIP_COUNT"] == 12
    assert "As a network sees them" in Path(output).read_text(encoding="utf-8")


def test_the_augmentation_of_a_training_is_shown(run, chips, tmp_path):
    pytest.importorskip("torch")
    chosen = {"AUGMENTATION": "CUSTOM", "AUGMENTATION_PARAMETERS": "turn=false;blur=3"}
    output = tmp_path / "report.html"
    run("inspecttrainingdata", INPUT=chips, ROWS=1, AUGMENT=True, OUTPUT=str(output), **chosen)
    assert "turn=false" in output.read_text(encoding="utf-8")
    with pytest.raises(QgsProcessingException, match="Set AUGMENT"):
        run("inspecttrainingdata", INPUT=chips, OUTPUT=str(output), **chosen)


def test_a_folder_without_training_data_is_refused(run, tmp_path):
    with pytest.raises(QgsProcessingException, match="holds no training data"):
        run("inspecttrainingdata", INPUT=str(tmp_path), OUTPUT=str(tmp_path / "r.html"))


def test_cancelling_leaves_nothing(run, chips, tmp_path):
    feedback = QgsProcessingFeedback()
    feedback.cancel()
    output = tmp_path / "report.html"
    assert run("inspecttrainingdata", feedback, INPUT=chips, OUTPUT=str(output)) == {}
    assert not list(tmp_path.glob("report*"))
