"""The tool 'Assess pixels' in QGIS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import processing
import pytest
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsProcessingException,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)


@pytest.fixture
def classes(tmp_path: Path) -> str:
    """A raster of 20 × 20 pixels, trees in the right half."""
    path = str(tmp_path / "classes.tif")
    dataset = gdal.GetDriverByName("GTiff").Create(path, 20, 20, 1)
    dataset.SetGeoTransform((528000, 1, 0, 4978020, 0, -1))
    dataset.SetProjection(QgsCoordinateReferenceSystem("EPSG:32612").toWkt())
    values = np.zeros((20, 20), np.uint8)
    values[:, 10:] = 1
    dataset.GetRasterBand(1).WriteArray(values)
    dataset.GetRasterBand(1).SetCategoryNames(["Ground", "Tree"])
    return path


def polygons() -> QgsVectorLayer:
    """All ground, and on it a crown over half of the trees."""
    made = QgsVectorLayer("Polygon?crs=EPSG:32612&field=kind:string", "truth", "memory")
    for box, kind in (
        (QgsRectangle(528000, 4978000, 528020, 4978020), "ground"),
        (QgsRectangle(528010, 4978010, 528020, 4978020), "tree"),
    ):
        feature = QgsFeature(made.fields())
        feature.setGeometry(QgsGeometry.fromRect(box))
        feature.setAttributes([kind])
        made.dataProvider().addFeature(feature)
    return made


def run(**parameters: Any) -> dict[str, Any]:
    return processing.run("geodl:assesspixels", parameters)


def test_polygons_with_the_names_of_the_raster(provider: Any, classes: str, tmp_path: Path) -> None:
    result = run(
        INPUT=classes,
        REFERENCE=polygons(),
        CLASS_FIELD="kind",
        OUTPUT=str(tmp_path / "matrix.csv"),
        REPORT=str(tmp_path / "report.html"),
    )
    assert result["OVERALL_ACCURACY"] == pytest.approx(0.75)
    assert result["MIOU"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert result["KAPPA"] == pytest.approx((0.75 - 0.5) / 0.5)
    assert "75.0% of 400 compared pixels" in Path(result["REPORT"]).read_text(encoding="utf-8")
    lines = Path(result["OUTPUT"]).read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("Class,Value,C_0,C_1,Total")
    assert lines[1].startswith("Ground,0,200,0,200")


def test_a_raster_layer_as_reference(provider: Any, classes: str) -> None:
    result = run(INPUT=QgsRasterLayer(classes, "a"), REFERENCE=QgsRasterLayer(classes, "b"))
    assert result["OVERALL_ACCURACY"] == 1.0


def test_wrong_input_is_one_sentence(provider: Any, classes: str) -> None:
    with pytest.raises(QgsProcessingException, match="no field 'Klasse'"):
        run(INPUT=classes, REFERENCE=polygons(), CLASS_FIELD="Klasse")
    with pytest.raises(QgsProcessingException, match="no field 'Classvalue'"):
        run(INPUT=classes, REFERENCE=polygons())


def test_a_table_of_no_known_kind_is_told_before_the_work(provider: Any, tmp_path: Path) -> None:
    pixels = str(tmp_path / "noise.tif")  # of which nothing can be assessed
    gdal.GetDriverByName("GTiff").Create(pixels, 20, 20, 1, gdal.GDT_Float32)
    with pytest.raises(QgsProcessingException, match=r"'matrix\.html' is no known vector file"):
        run(INPUT=pixels, REFERENCE=polygons(), OUTPUT=str(tmp_path / "matrix.html"))
