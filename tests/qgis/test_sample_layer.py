"""A layer of samples that is labelled while QGIS does other things with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal, ogr
from qgis.core import (
    QgsDefaultValue,
    QgsFeature,
    QgsField,
    QgsGeometry,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QVariant

from geodl_plugin.core.errors import VectorError
from geodl_plugin.core.geo.crs import spatial_reference
from geodl_plugin.core.samples.document import SchemaDocument
from geodl_plugin.core.samples.layer import empty_samples
from geodl_plugin.core.samples.schema import Schema
from geodl_plugin.gui.sample_layer import SampleLayer, is_sample_layer, read_document
from tests.unit.inference.support import write_polygons, write_raster

UTM = spatial_reference("EPSG:32612").ExportToWkt()
CLASSES = SchemaDocument.of_schema(Schema.from_text("1:Tree:#22aa44;2:Car:#cc2200"))
TREE, CAR = (node.definition for node in CLASSES.walk())


@pytest.fixture
def samples(qgis_new_project: None, tmp_path: Path) -> Iterator[SampleLayer]:
    layer = QgsVectorLayer(str(empty_samples(tmp_path / "samples.gpkg", UTM)), "samples", "ogr")
    QgsProject.instance().addMapLayer(layer)
    made = SampleLayer(layer)
    made.adopt(CLASSES, {})
    yield made
    made.release()


def square(x: float) -> QgsGeometry:
    return QgsGeometry.fromRect(QgsRectangle(x, 0, x + 10, 10))


def rows(samples: SampleLayer) -> list[dict[str, Any]]:
    """Return what the file holds."""
    dataset = ogr.Open(samples.layer.source())
    return [feature.items() for feature in dataset.GetLayer(0)]


def test_a_layer_that_is_read_only_is_left_alone(samples: SampleLayer) -> None:
    samples.draw(square(0), TREE)
    samples.rest()
    samples.layer.setReadOnly(True)
    with pytest.raises(VectorError, match=r"'samples' is read-only\. Choose another layer"):
        samples.draw(square(20), TREE)
    with pytest.raises(VectorError, match="is read-only"):
        samples.reassign([1], CAR)
    renamed = SchemaDocument.of_schema(Schema.from_text("1:Oak:#22aa44"))
    with pytest.raises(VectorError, match="is read-only"):
        samples.adopt(renamed, {})
    assert [each["Classname"] for each in rows(samples)] == ["Tree"]


def test_a_sample_takes_the_default_values_of_the_layer(samples: SampleLayer) -> None:
    """QGIS's own tools give them, ours left the fields empty."""
    provider = samples.layer.dataProvider()
    kinds = {"who": QVariant.String, "size": QVariant.Int, "note": QVariant.String}  # noqa: QGS402
    provider.addAttributes([QgsField(name, kind) for name, kind in kinds.items()])
    samples.layer.updateFields()
    fields = samples.layer.fields()
    samples.layer.setDefaultValueDefinition(
        fields.lookupField("who"), QgsDefaultValue("'Ann, ' || \"Classname\"")
    )
    samples.layer.setDefaultValueDefinition(
        fields.lookupField("size"), QgsDefaultValue("area($geometry)")
    )
    samples.layer.setDefaultValueDefinition(fields.lookupField("Classvalue"), QgsDefaultValue("99"))
    samples.draw(square(0), CAR)
    (row,) = rows(samples)
    assert (row["who"], row["size"], row["note"]) == ("Ann, Car", 100, None)
    assert row["Classvalue"] == CAR.value


def test_nothing_is_drawn_in_a_transaction(samples: SampleLayer) -> None:
    """QGIS would undo it where the editing ends without a change that it knows of."""
    samples.rest()
    QgsProject.instance().setAutoTransaction(True)
    try:
        with pytest.raises(VectorError, match=r"Turn those of 'samples' off in the project's"):
            samples.draw(square(0), TREE)
    finally:
        QgsProject.instance().setAutoTransaction(False)
    samples.draw(square(0), TREE)
    samples.layer.rollBack()
    assert len(rows(samples)) == 1


@pytest.mark.parametrize("suffix", [".fgb", ".kml"])
def test_samples_are_not_drawn_where_features_have_no_number_for_good(
    qgis_new_project: None, tmp_path: Path, suffix: str
) -> None:
    """A FlatGeobuf sorts them anew with each edit: undo deleted another sample."""
    shapes = [f"POLYGON (({x} 0, {x + 1} 0, {x + 1} 1, {x} 0))" for x in (5, 1, 9, 3)]
    source = tmp_path / "source.gpkg"
    write_polygons(source, shapes, 32612, Classname=["Tree"] * 4, Classvalue=[1] * 4)
    path = tmp_path / f"samples{suffix}"
    gdal.VectorTranslate(str(path), str(source), geometryType="POLYGON")
    layer = QgsVectorLayer(str(path), "samples", "ogr")
    QgsProject.instance().addMapLayer(layer)
    made = SampleLayer(layer)
    editable = layer.supportsEditing()  # not a KML on newer QGIS
    told = "a file of a format in which single" if editable else "read-only"
    with pytest.raises(VectorError, match=f"'samples' is {told}"):
        made.draw(square(20), TREE)
    if not editable:
        return
    # QGIS's own tools go on as ever.
    layer.startEditing()
    feature = QgsFeature(layer.fields())
    feature.setGeometry(square(2))
    layer.addFeature(feature)
    made.history.save()
    assert layer.isModified()
    made.release()
    assert QgsVectorLayer(str(path), "again", "ogr").featureCount() == 5


def test_nothing_is_undone_into_other_fields(samples: SampleLayer) -> None:
    """After a field is deleted the values of former steps belong elsewhere."""
    layer = samples.layer
    samples.reassign([samples.draw(square(0), TREE)], CAR)
    assert layer.deleteAttribute(layer.fields().lookupField("RED"))
    assert layer.commitChanges(False)
    layer.changeGeometry(1, square(5))
    samples.history.save()
    before = rows(samples)
    while layer.undoStack().canUndo():
        layer.undoStack().undo()
    assert rows(samples) == before


def test_a_step_that_is_saved_with_a_new_field_is_no_step(samples: SampleLayer) -> None:
    layer = samples.layer
    samples.draw(square(0), TREE)
    layer.addAttribute(QgsField("note", QVariant.String))  # noqa: QGS402
    layer.changeGeometry(1, square(5))
    samples.history.save()
    assert "note" in rows(samples)[0]
    assert not layer.undoStack().canUndo()


def test_more_steps_than_are_kept_are_undone(
    samples: SampleLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geodl_plugin.gui.sample_history.LIMIT", 3)
    failed: list[str] = []
    samples.failed.connect(failed.append)
    stack = samples.layer.undoStack()
    for place in range(5):
        samples.draw(square(20.0 * place), TREE)
    while stack.canUndo():
        stack.undo()
    samples.draw(square(0), CAR)
    feature = next(samples.layer.getFeatures()).id()
    samples.layer.changeGeometry(feature, square(5))  # QGIS's own tool
    samples.history.save()
    while stack.canUndo():
        stack.undo()
    assert (rows(samples), failed) == ([], [])


def test_qgis_asks_whether_to_save_a_new_field(samples: SampleLayer) -> None:
    """It drops, without a question, what is said to be saved."""
    samples.draw(square(0), TREE)
    samples.layer.addAttribute(QgsField("note", QVariant.String))  # noqa: QGS402
    samples.history.save()
    assert samples.layer.isModified()


def test_the_field_of_the_class_may_go(samples: SampleLayer) -> None:
    layer = samples.layer
    samples.current = TREE
    samples.edit()
    layer.deleteAttribute(layer.fields().lookupField("Classvalue"))
    assert layer.commitChanges(False)
    feature = QgsFeature(layer.fields())
    feature.setGeometry(square(0))
    layer.addFeature(feature)
    samples.history.save()
    assert len(rows(samples)) == 1


@pytest.mark.parametrize("suffix", [".gpkg", ".shp"])
def test_classes_change_for_samples_too_that_a_filter_hides(
    qgis_new_project: None, tmp_path: Path, suffix: str
) -> None:
    path = empty_samples(tmp_path / f"samples{suffix}", UTM)
    layer = QgsVectorLayer(str(path), "samples", "ogr")
    QgsProject.instance().addMapLayer(layer)
    samples = SampleLayer(layer)
    samples.adopt(CLASSES, {})
    samples.draw(square(0), TREE)
    samples.draw(square(20), CAR)
    samples.rest()
    assert layer.setSubsetString("\"Classname\" = 'Car'")
    samples.adopt(SchemaDocument.of_schema(Schema.from_text("5:Oak:#22aa44;2:Car:#cc2200")), {1: 5})
    assert [each.value for each in samples.samples()] == [2]
    samples.release()
    dataset = ogr.Open(str(path))
    found = [(each["Classname"], each["Classvalue"]) for each in dataset.GetLayer(0)]
    assert found == [("Oak", 5), ("Car", 2)]


def test_classes_are_numbers(qgis_new_project: None, tmp_path: Path) -> None:
    shape = "POLYGON((0 0,1 0,1 1,0 0))"
    for value, good in (("A1", False), (1, True), (1.0, True)):
        path = tmp_path / f"{value}.gpkg"
        write_polygons(path, [shape], 32612, Classname=["Tree"], Classvalue=[value])
        layer = QgsVectorLayer(f"{path}|geometrytype=Polygon", "a", "ogr")
        assert is_sample_layer(layer) == good


def test_far_off_there_are_no_pixels(samples: SampleLayer, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "image.tif", np.zeros((1, 10, 10), np.uint8))
    samples.raster = QgsRasterLayer(path, "image", "gdal")
    far = QgsGeometry.fromRect(QgsRectangle(1e12, 1e12, 2e12, 2e12))
    assert samples.pixels(far) is None


@pytest.mark.parametrize("suffix", [".shp", ".geojson", ".fgb", ".gpkg"])
def test_classes_are_kept_with_the_file(
    qgis_new_project: None, tmp_path: Path, suffix: str
) -> None:
    """Those without a sample too, and nothing is left that belongs to no layer."""
    (tmp_path / "other").mkdir()
    shape = ["POLYGON ((0 0, 9 0, 9 9, 0 0))"]
    other = tmp_path / "other" / "samples.gpkg"
    write_polygons(other, shape, 32612, Classname=["Oak"], Classvalue=[1])
    path = tmp_path / f"samples{suffix}"
    gdal.VectorTranslate(str(path), str(other), geometryType="POLYGON")
    made = SampleLayer(QgsVectorLayer(str(path), "samples", "ogr"))
    made.adopt(CLASSES, {})
    made.release()
    again = QgsVectorLayer(str(path), "samples", "ogr")
    assert read_document(again) == CLASSES
    assert len(again.renderer().categories()) == 2
    assert not (tmp_path / "layer_styles.dbf").exists()
