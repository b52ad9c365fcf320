"""The list of the samples in the dock 'Label objects'."""

from __future__ import annotations

import pytest

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
