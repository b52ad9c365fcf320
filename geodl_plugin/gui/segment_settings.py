"""The one setting of the tool that takes segments, shown while it is in use."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QSpinBox, QWidget

from ..core.segments.options import LARGEST, SMALLEST
from .segment_tool import SegmentTool


class SegmentSettings(QWidget):
    """Asks how large the circle is that holds the object.

    Args:
        tool: whose circle it is.
    """

    def __init__(self, tool: SegmentTool) -> None:
        super().__init__()
        self.reach_field = QSpinBox()
        self.reach_field.setObjectName("geodl_segment_reach")
        self.reach_field.setRange(SMALLEST, LARGEST)
        self.reach_field.setSuffix(self.tr(" pixels"))
        self.reach_field.setValue(tool.reach)
        self.reach_field.setToolTip(
            self.tr(
                "The circle at the mouse must hold the whole object and little more. The keys + "
                "and - change it. With Shift, segments that touch gather to one sample until a "
                "right click."
            )
        )
        self.reach_field.valueChanged.connect(tool.set_reach)
        tool.resized.connect(self.reach_field.setValue)
        tool.in_use.connect(self.setVisible)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(QLabel(self.tr("Circle around the object")))
        row.addWidget(self.reach_field)
        row.addStretch(1)
        self.hide()

    def tr(self, text: str) -> str:
        """Translate a literal."""
        return QCoreApplication.translate("GeoDL", text)
