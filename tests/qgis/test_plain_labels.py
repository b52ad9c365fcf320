"""Names that look like tags are shown as they are."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtCore import QSize, Qt
from qgis.PyQt.QtWidgets import QLabel

from geodl_plugin.core.samples.document import SchemaNode
from geodl_plugin.gui.model_widget import ModelField
from geodl_plugin.gui.review_panel import ReviewCard, ReviewPanel
from geodl_plugin.gui.setup_dialog import SetupDialog
from geodl_plugin.gui.training_dock import TrainingDock

TAG = "<b>"


def size_of(label: QLabel, text: str) -> QSize:
    label.setWordWrap(False)
    label.setText(text)
    return label.sizeHint()


def test_labels_obey_no_tags(qgis_app: Any) -> None:
    """A tag that is obeyed takes no room."""
    panel, field, dock, dialog = ReviewPanel(""), ModelField(), TrainingDock(), SetupDialog()
    for label in (panel.status, panel.card.name, field.note, dock.status, dialog.status):
        assert size_of(label, f"a {TAG} b").width() > size_of(label, "a b").width() + 8


def test_a_draft_is_called_as_its_class(qgis_app: Any) -> None:
    card = ReviewCard()
    card.show_draft(SchemaNode(1, TAG, (9, 9, 9)), 50.0, (1, 2), False)
    assert card.name.text() == "<b>, 50 % sure"
    assert card.name.textFormat() == Qt.TextFormat.PlainText
