"""The tool 'Export training data' in QGIS."""

from __future__ import annotations

import numpy as np
import pytest
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsPointXY,
    QgsProcessingException,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)

from geodl_plugin.core.chips.folder import open_folder
from geodl_plugin.core.geo.crs import spatial_reference
from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.raster_writer import write_chip

UTM = spatial_reference("EPSG:32612").ExportToWkt()
PLACE = GeoTransform(1000.0, 0.5, 0.0, 5000.0, 0.0, -0.5)


@pytest.fixture
def raster(tmp_path):
    path = tmp_path / "ortho.tif"
    pixels = np.random.default_rng(1).integers(1, 250, (4, 200, 260)).astype(np.uint16)
    write_chip(path, pixels, PLACE, UTM)
    return str(path)


@pytest.fixture
def labels(qgis_new_project):
    layer = QgsVectorLayer("Polygon?crs=EPSG:32612&field=value:integer", "labels", "memory")
    for left, top, value in ((1010, 4990, 4), (1100, 4930, 9)):
        feature = QgsFeature(layer.fields())
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(left, top - 10, left + 10, top)))
        feature.setAttributes([value])
        layer.dataProvider().addFeature(feature)
    QgsProject.instance().addMapLayer(layer)
    return layer


def test_chips_and_counts(run, raster, labels, tmp_path):
    result = run(
        "exporttrainingdata",
        INPUT=[raster],
        LABELS=labels,
        TILE_SIZE_X=128,
        TILE_SIZE_Y=128,
        OUTPUT=str(tmp_path / "chips ü"),
    )
    folder = open_folder(result["OUTPUT"])
    assert result["CHIP_COUNT"] == len(folder.chips)
    assert result["FEATURE_COUNT"] == 2
    assert folder.schema.values == (4, 9)
    assert folder.read_label(folder.chips[0]).boxes.tolist() == [[20, 20, 40, 40]]


def test_points_with_a_buffer_an_extent_and_a_mask(run, raster, tmp_path, qgis_new_project):
    points = QgsVectorLayer("Point?crs=EPSG:32612", "points", "memory")
    feature = QgsFeature()
    feature.setGeometry(QgsGeometry.fromPointXY(QgsPointXY(1020, 4980)))
    points.dataProvider().addFeature(feature)
    mask = QgsVectorLayer("Polygon?crs=EPSG:32612", "mask", "memory")
    feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(999, 4930, 1080, 5001)))
    mask.dataProvider().addFeature(feature)
    QgsProject.instance().addMapLayers([points, mask])
    result = run(
        "exporttrainingdata",
        INPUT=[raster],
        LABELS=points,
        BUFFER_RADIUS=5,
        FORMAT="Classified_Tiles",
        TILE_SIZE_X=64,
        TILE_SIZE_Y=64,
        STRIDE_X=64,
        STRIDE_Y=64,
        OUTPUT_EMPTY_TILES=True,
        EXTENT="1000,1120,4900,5000 [EPSG:32612]",
        MASK=mask,
        OUTPUT=str(tmp_path / "chips"),
    )
    folder = open_folder(result["OUTPUT"])
    assert len(folder.chips) == 4  # 2 × 2 chips of 32 m lie inside the mask
    covered = sum((folder.read_label(chip).values == 1).sum() for chip in folder.chips)
    assert covered == pytest.approx(np.pi * 5**2 / 0.25, rel=0.05)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"CLASS_FIELD": "species"}, "no field 'species' in"),
        ({"INPUT": []}, "No input raster is given"),
        ({"INPUT_FOLDER": "/tmp"}, "Give one of the two"),
        ({"LABELS": "/no/where.gpkg"}, "/no/where.gpkg"),
        ({"IMAGE_FORMAT": "JPEG"}, "which JPEG cannot hold"),
        ({"STRIDE_X": 0, "STRIDE_Y": 0}, "A stride of 0"),
        ({"EXTENT": "0,10,0,10 [EPSG:32612]"}, "does not meet"),
    ],
)
def test_wrong_input_is_refused(run, raster, labels, tmp_path, changes, message):
    target = tmp_path / "chips"
    parameters = {"INPUT": [raster], "LABELS": labels, **changes}
    with pytest.raises(QgsProcessingException, match=message):
        run("exporttrainingdata", OUTPUT=str(target), **parameters)
    # QGIS itself may store statistics beside a raster that it opens.
    assert {each.name.split(".tif")[0] for each in tmp_path.iterdir()} == {"ortho"}
