"""The row of drafts under review, on a real layer that QGIS edits."""

from __future__ import annotations

from pathlib import Path

import pytest
from qgis.core import NULL, QgsProject, QgsVectorLayer

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.geo.crs import spatial_reference
from geodl_plugin.core.geo.shapes import rectangle
from geodl_plugin.core.geo.vector_writer import VectorWriter
from geodl_plugin.core.samples.document import SchemaDocument
from geodl_plugin.core.samples.layer import empty_samples
from geodl_plugin.core.samples.prelabel import Draft
from geodl_plugin.core.samples.schema import Schema
from geodl_plugin.gui.drafts import Drafts
from geodl_plugin.gui.review_session import ReviewSession
from geodl_plugin.gui.sample_layer import SampleLayer

UTM = spatial_reference("EPSG:32612").ExportToWkt()
CLASSES = SchemaDocument.of_schema(Schema.from_text("1:Tree:#22aa44;2:Car:#cc2200"))


@pytest.fixture
def drafts(qgis_new_project, tmp_path: Path) -> Drafts:
    """Four drafts with the confidences 90, 60, 70 and 50."""
    layer = QgsVectorLayer(str(empty_samples(tmp_path / "samples.gpkg", UTM)), "samples", "ogr")
    QgsProject.instance().addMapLayer(layer)
    samples = SampleLayer(layer)
    samples.adopt(CLASSES, {})
    made = Drafts(samples)
    shapes = [rectangle(10.0 * place, 0, 10.0 * place + 5, 5) for place in range(4)]
    found = [Draft(1, each, shape) for each, shape in zip((90.0, 60.0, 70.0, 50.0), shapes)]
    assert made.add(found, CLASSES, "trees.dlpk") == 4
    yield made
    samples.release()


def confidences(drafts: Drafts) -> list[float]:
    return [each.confidence for each in drafts.listed()]


def test_the_least_certain_comes_first(drafts: Drafts) -> None:
    assert confidences(drafts) == [50, 60, 70, 90]
    assert [each.confidence for each in drafts.samples.samples()] == [90, 60, 70, 50]


def test_skipped_drafts_come_again_at_the_end(drafts: Drafts) -> None:
    session = ReviewSession(drafts)
    session.move(1)
    for _ in range(3):
        session.accept()
    assert (session.current.confidence, session.position()) == (50, (4, 4))
    ended = []
    session.ended.connect(lambda: ended.append(True))
    session.reject()
    assert (ended, session.current, session.decided()) == ([True], None, (3, 1))


def test_back_goes_around_the_beginning(drafts: Drafts) -> None:
    session = ReviewSession(drafts)
    session.move(-1)
    assert session.current.confidence == 90


def test_undone_decisions_are_looked_at_again(drafts: Drafts) -> None:
    session = ReviewSession(drafts)
    stack = drafts.samples.layer.undoStack()
    session.accept(CLASSES.find(2).definition)
    session.reject()
    assert session.decided() == (1, 1)
    stack.undo()
    session.refresh()
    assert (session.current.confidence, session.decided()) == (60, (1, 0))
    stack.undo()
    session.refresh()
    assert (session.current.confidence, session.decided()) == (50, (0, 0))
    assert session.current.value == 1
    # Redone from the menu of QGIS, it is simply no draft any more.
    stack.redo()
    session.refresh()
    assert confidences(drafts) == [60, 70, 90]


def test_what_is_deleted_elsewhere_leaves_the_row(drafts: Drafts) -> None:
    session = ReviewSession(drafts)
    session.move(1)
    drafts.samples.remove([session.current.feature])
    session.refresh()
    assert session.current.confidence == 70


def test_many_decisions_are_one_step(drafts: Drafts) -> None:
    session = ReviewSession(drafts)
    assert session.accept_from(70) == 2
    assert session.reject_below(60) == 1
    assert session.accept_from(99) == 0
    assert confidences(drafts) == [60]
    stack = drafts.samples.layer.undoStack()
    assert stack.undoText() == "Reject a draft"
    stack.undo()
    assert stack.undoText() == "Accept 2 drafts"
    stack.undo()
    assert confidences(drafts) == [50, 60, 70, 90]


def test_an_edit_that_waits_to_be_saved_is_kept(drafts: Drafts) -> None:
    """As when a vertex was moved just before the key."""
    session, layer = ReviewSession(drafts), drafts.samples.layer
    feature = session.current.feature
    geometry = layer.getFeature(feature).geometry()
    geometry.translate(1.0, 0.0)
    layer.changeGeometry(feature, geometry)
    session.accept()
    stored = drafts.samples.history.stored([feature])[feature]
    assert stored["Confidence"] in (None, NULL)
    assert stored.geometry().boundingBox().xMinimum() == 31.0
    assert not drafts.samples.history.pending()


def test_a_layer_without_confidence_cannot_hold_drafts(qgis_new_project, tmp_path: Path) -> None:
    with VectorWriter(tmp_path / "old.gpkg", UTM, {"Classname": str, "Classvalue": int}):
        pass
    layer = QgsVectorLayer(str(tmp_path / "old.gpkg"), "old", "ogr")
    QgsProject.instance().addMapLayer(layer)
    samples = SampleLayer(layer)
    assert Drafts(samples).listed() == []
    with pytest.raises(InputError, match="'old' has no field Confidence"):
        Drafts(samples).require()
    samples.release()
