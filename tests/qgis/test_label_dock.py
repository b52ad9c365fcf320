"""The dock 'Label objects' while QGIS does other things with its samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsLayerTreeRegistryBridge,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QEventLoop, QTimer

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.samples.document import SchemaDocument
from geodl_plugin.core.samples.schema import Schema
from geodl_plugin.gui.drafts import Drafts
from geodl_plugin.gui.label_dock import LabelDock
from geodl_plugin.gui.sample_layer import SETTLED
from tests.unit.inference.support import write_polygons

CLASSES = SchemaDocument.of_schema(Schema.from_text("1:Tree:#22aa44;2:Car:#cc2200"))
SQUARE = QgsGeometry.fromRect(QgsRectangle(0, 0, 10, 10))


@pytest.fixture
def dock(qgis_new_project: None, qgis_iface: Any, tmp_path: Path) -> Iterator[LabelDock]:
    """Return the dock with two classes and a layer for samples."""
    made = LabelDock(qgis_iface)
    made.editor.apply(CLASSES, "two classes")
    made.take_file(str(tmp_path / "samples.gpkg"))
    yield made
    made.shut_down()
    sip.delete(made)  # or it hears of the layers that go when Python itself ends


def classes(dock: LabelDock) -> tuple[list[str], list[str]]:
    """Return the classes of the tree, and those that the map shows."""
    shown = [each.label() for each in dock.samples.layer.renderer().categories()]
    return [node.name for node in dock.editor.document.walk()], shown


def paste(dock: LabelDock, name: str, value: int) -> None:
    """Add a sample as QGIS's own tools do."""
    layer = dock.samples.layer
    feature = QgsFeature(layer.fields())
    feature.setGeometry(SQUARE)
    feature["Classname"], feature["Classvalue"] = name, value
    dock.samples.edit()
    layer.addFeature(feature)
    dock.samples.history.save()
    dock._count()


def test_classes_of_samples_that_are_pasted_are_taken_over(dock: LabelDock) -> None:
    paste(dock, "Boat", 7)
    assert classes(dock) == (["Tree", "Car", "Boat"], ["Tree", "Car", "Boat"])
    dock.samples.layer.undoStack().undo()
    assert dock.samples.layer.featureCount() == 0
    paste(dock, "Tree", 9)  # no class of its own can be had of it
    assert classes(dock)[0] == ["Tree", "Car", "Boat"]


def test_undoing_a_merge_brings_the_class_back(dock: LabelDock) -> None:
    tree, car = (node.definition for node in CLASSES.walk())
    dock.samples.draw(SQUARE, tree)
    dock._count()
    dock._merge(tree, car)
    assert classes(dock) == (["Car"], ["Car"])
    dock.samples.layer.undoStack().undo()
    dock._count()
    assert classes(dock) == (["Car", "Tree"], ["Car", "Tree"])
    assert dock.samples.layer.undoStack().canRedo()


def test_drawing_ends_with_the_layer(dock: LabelDock, qgis_iface: Any) -> None:
    """Or what people draw is lost without a word."""
    canvas = qgis_iface.mapCanvas()
    dock.bar.draw("rectangle")
    assert canvas.mapTool() is dock.bar.tools["rectangle"]
    QgsProject.instance().removeMapLayer(dock.samples.layer.id())
    assert dock.samples is None
    assert canvas.mapTool() is not dock.bar.tools["rectangle"]


def test_nothing_is_drawn_where_the_layers_system_ends(dock: LabelDock, qgis_iface: Any) -> None:
    """Places without coordinates would spoil the extent of the layer."""
    qgis_iface.mapCanvas().setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:4326"))
    dock.samples.layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32633"))
    dock._draw(QgsGeometry.fromRect(QgsRectangle(0, 80, 10, 95)))
    assert list(dock.samples.samples()) == []
    assert dock.notice.text.endswith("'samples' does not reach that far.")
    dock._draw(QgsGeometry.fromRect(QgsRectangle(12, 48, 13, 49)))
    assert len(list(dock.samples.samples())) == 1


def test_new_samples_lie_on_top(dock: LabelDock, tmp_path: Path) -> None:
    """QGIS itself would add them above the active layer, which may be a basemap."""
    project = QgsProject.instance()
    bridge, root = project.layerTreeRegistryBridge(), project.layerTreeRoot()
    bridge.setLayerInsertionPoint(QgsLayerTreeRegistryBridge.InsertionPoint(root, 1))
    dock.take_file(str(tmp_path / "more.gpkg"))
    bridge.setLayerInsertionPoint(QgsLayerTreeRegistryBridge.InsertionPoint(root, 0))
    assert [each.name() for each in root.children()] == ["more", "samples"]


def test_a_new_layer_knows_how_many_samples_it_has(dock: LabelDock) -> None:
    """It is opened after its style is written, or its file cannot be read until it is edited."""
    assert dock.samples.layer.featureCount() == 0
    assert classes(dock) == (["Tree", "Car"], ["Tree", "Car"])


def test_samples_stay_when_classes_change_while_nothing_is_edited(dock: LabelDock) -> None:
    """QGIS writes the style past the open layer, which then read no feature of its file."""
    dock.samples.draw(SQUARE, next(CLASSES.walk()).definition)
    path = dock.samples.layer.source()
    QgsProject.instance().removeMapLayer(dock.samples.layer.id())
    dock.take_file(path)
    document = dock.editor.document
    dock.editor.apply(document.added(document.new_class("Boat")), "a class more")
    wait = QEventLoop()
    QTimer.singleShot(3 * SETTLED, wait.quit)
    wait.exec()
    assert not dock.samples.layer.isEditable()
    assert len(list(dock.samples.samples())) == 1


def test_fields_of_words_tell_neither_drafts_nor_pixels(dock: LabelDock, tmp_path: Path) -> None:
    """As layers have them that were made elsewhere."""
    path = tmp_path / "own.gpkg"
    words = {"Confidence": ["high", None], "Count": ["many", "few"]}
    shapes = ["POLYGON ((0 0, 9 0, 9 9, 0 0))", "POLYGON ((20 0, 29 0, 29 9, 20 0))"]
    write_polygons(path, shapes, 32612, Classname=["Tree"] * 2, Classvalue=[1, 1], **words)
    layer = QgsVectorLayer(str(path), "own", "ogr")
    QgsProject.instance().addMapLayer(layer)
    dock.sources.choose(layer)
    assert [(each.pixels, each.confidence) for each in dock.list.model.samples] == [(0, None)] * 2
    assert Drafts(dock.samples).listed() == []
    with pytest.raises(InputError, match="has no field Confidence of numbers"):
        Drafts(dock.samples).require()
    tree = next(CLASSES.walk()).definition
    dock.samples.draw(SQUARE, tree)
    dock.editor.apply(CLASSES.replaced(1, dataclasses.replace(tree, name="Oak")), "rename")
    assert layer.labeling() is None
    assert [each["Count"] for each in layer.getFeatures()][:2] == ["many", "few"]
    assert {each["Classname"] for each in layer.getFeatures()} == {"Oak"}
