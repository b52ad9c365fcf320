"""The list of the samples in the dock 'Label objects'."""

from __future__ import annotations

import pytest
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest

from geodl_plugin.core.samples.document import SchemaDocument
from geodl_plugin.core.samples.schema import Schema
from geodl_plugin.gui.sample_layer import Sample
from geodl_plugin.gui.sample_list import SampleList

CLASSES = SchemaDocument.of_schema(Schema.from_text("1:Tree:#22aa44;2:Trees & shrubs:#cc2200"))


@pytest.fixture
def shown(qgis_app: object) -> SampleList:
    """Return a list of twenty samples, from 100 to 119."""
    made = SampleList()
    made.show_samples([Sample(100 + row, 1, 9) for row in range(20)], CLASSES)
    return made


def test_what_the_map_has_chosen_is_chosen(shown: SampleList) -> None:
    """Neighbours are one range, or Qt takes minutes for the samples of a large layer."""
    wanted = {100, 103, 104, 105, 110, 118, 119}
    shown.choose(wanted)
    assert set(shown.chosen()) == wanted
    assert len(shown.table.selectionModel().selection()) == 4
    shown.choose(set(range(100, 120)))
    assert len(shown.chosen()) == 20
    assert len(shown.table.selectionModel().selection()) == 1
    shown.choose(set())
    assert shown.chosen() == []


def test_the_menu_names_classes_as_they_are(shown: SampleList) -> None:
    """A single ampersand would be left out of what the menu shows."""
    assert [each.text() for each in shown.class_menu.actions()] == ["Tree", "Trees && shrubs"]


def test_the_key_delete_deletes_what_is_chosen(shown: SampleList) -> None:
    removed = []
    shown.removed.connect(removed.append)
    QTest.keyClick(shown.table, Qt.Key.Key_Delete)
    shown.choose({103, 104})
    QTest.keyClick(shown.table, Qt.Key.Key_Delete)
    assert removed == [[103, 104]]
