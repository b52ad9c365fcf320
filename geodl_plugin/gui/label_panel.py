"""What the dock 'Label objects' shows: sources, classes, drawing tools, samples."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtCore import QCoreApplication, Qt
from qgis.PyQt.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from ..algorithms.detect_objects import DetectObjects
from .draw_bar import DrawBar
from .image_bar import ImageBar
from .label_sources import LabelSources
from .notice import Notice
from .review_panel import ReviewPanel
from .sample_list import SampleList
from .schema_editor import SchemaEditor
from .segment_settings import SegmentSettings

FAINT = "rgb(118, 118, 118)"  # legible in light and dark windows


class LabelPanel(QWidget):
    """Arranges the parts of the dock from above to below, in the order of the work."""

    def __init__(self, iface: Any) -> None:
        super().__init__()
        self.sources = LabelSources()
        self.images = ImageBar()
        self.editor = SchemaEditor()
        self.bar = DrawBar(iface, self.sources.raster)
        self.list = SampleList()
        self.hint = QLabel()
        self.hint.setWordWrap(True)
        self.hint.setStyleSheet(f"color: {FAINT}")
        self.review = ReviewPanel(DetectObjects.MODEL_TASK.value)
        self.notice = Notice()
        self.export_button = QPushButton(self.tr("Export training data…"))
        self.export_button.setToolTip(self.tr("Opens the tool with these samples and imagery."))
        self.inspect_button = QPushButton(self.tr("Inspect…"))
        self.inspect_button.setToolTip(self.tr("Opens the tool that checks training data."))
        self._arrange()

    def _arrange(self) -> None:
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.setChildrenCollapsible(False)
        parts.addWidget(self.editor)
        below = QWidget()
        column = QVBoxLayout(below)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.bar)
        column.addWidget(SegmentSettings(self.bar.tools["segment"]))
        column.addWidget(self.hint)
        column.addWidget(self.list, 1)
        parts.addWidget(below)
        parts.setStretchFactor(0, 3)
        parts.setStretchFactor(1, 4)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.export_button)
        buttons.addWidget(self.inspect_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.sources)
        layout.addWidget(self.images)
        layout.addWidget(parts, 1)
        layout.addWidget(self.review)
        layout.addWidget(self.notice)
        layout.addLayout(buttons)

    def show_state(self, has_samples: bool) -> None:
        """Say what to do next, and let people draw where they can.

        Args:
            has_samples: whether a layer of samples is chosen.
        """
        has_classes = bool(len(self.editor.document))
        self.bar.setEnabled(has_samples and has_classes)
        if not has_classes:
            text = self.tr("Add a class with the green plus, or open a schema.")
        elif not has_samples:
            text = self.tr("Choose a layer of samples, or make one with 'New…'.")
        else:
            text = self.tr(
                "Keys 1 to 9 choose the class. Esc cancels, Backspace takes a vertex back, Del "
                "deletes what is selected."
            )
        self.hint.setText(text)

    def tr(self, text: str) -> str:
        """Translate a literal of the panel."""
        return QCoreApplication.translate("GeoDL", text)
