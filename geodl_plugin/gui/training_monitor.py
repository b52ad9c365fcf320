"""Shows how a training goes: the loss curve, and every epoch's figures."""

from __future__ import annotations

import math
from typing import Any

from qgis.PyQt.QtCore import QCoreApplication, Qt
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QSplitter,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ..core.learning.ranking import LOSS, NO_RANK, rank
from ..core.progress import duration
from .loss_curve import LossCurve

# Names that are not read as they are written.
METRICS = {"miou": "mean IoU", "f1_score": "F1 score", "dice": "Dice score"}
VALIDATION_COLUMN, SCORE_COLUMN = 2, 3


class TrainingMonitor(QWidget):
    """The curve above, the table of epochs below; the border between them can be moved."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.curve = LossCurve()
        self.table = QTableWidget(0, 5)
        self.table.setAlternatingRowColors(True)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setShowGrid(False)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 6)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(SCORE_COLUMN, QHeaderView.ResizeMode.Stretch)
        # In a narrow dock the name of the score may be cut, its figures may not.
        header.setMinimumSectionSize(self.fontMetrics().horizontalAdvance("0.0000") + 14)
        header.setTextElideMode(Qt.TextElideMode.ElideRight)
        header.setHighlightSections(False)
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.addWidget(self.curve)
        splitter.addWidget(self.table)
        splitter.setStretchFactor(0, 3)
        splitter.setStretchFactor(1, 2)
        splitter.setChildrenCollapsible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(splitter)
        self.clear()

    def clear(self) -> None:
        """Forget the last training."""
        self.monitored = ""
        self._best = NO_RANK
        self.curve.clear()
        self.table.setRowCount(0)
        self._set_headers(self.tr("Score"))

    def add(self, record: dict[str, Any]) -> None:
        """Add a finished epoch."""
        self.curve.add(record)
        metric = str(record.get("metric") or "")
        self.monitored = METRICS.get(metric, metric.replace("_", " "))
        if self.monitored:
            self._set_headers(self.monitored[0].upper() + self.monitored[1:])
        row = self.table.rowCount()
        self.table.insertRow(row)
        seconds = record.get("seconds")
        texts = (
            str(record.get("epoch", "")),
            _figure(record.get("train_loss")),
            _figure(record.get("valid_loss")),
            _figure(record.get("score")),
            duration(seconds) if isinstance(seconds, (int, float)) else "",
        )
        for column, text in enumerate(texts):
            item = QTableWidgetItem(text)
            item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.table.setItem(row, column, item)
        self._mark_best(row, record)
        self.table.scrollToBottom()

    def _mark_best(self, row: int, record: dict[str, Any]) -> None:
        """Write the best figure in bold by which the epoch is chosen that is kept."""
        monitor, loss = record.get("monitor", LOSS), record.get(LOSS)
        by_loss = monitor == LOSS
        value = loss if by_loss else record.get("score")
        # Without a loss that is a number no epoch is kept, whatever its score.
        if not _is_figure(loss) or not _is_figure(value):
            return
        new = rank(monitor, value, loss)
        if new <= self._best:
            return
        self._best = new
        best = self.tr("The lowest so far") if by_loss else self.tr("The best so far")
        for index in range(row + 1):
            item = self.table.item(index, VALIDATION_COLUMN if by_loss else SCORE_COLUMN)
            font = item.font()
            font.setBold(index == row)
            item.setFont(font)
            item.setToolTip(best if index == row else "")

    def _set_headers(self, score: str) -> None:
        titles = (
            self.tr("Epoch"),
            self.tr("Training"),
            self.tr("Validation"),
            score,
            self.tr("Time"),
        )
        tips = (
            "",
            self.tr("Loss on the data that the model learns from"),
            self.tr("Loss on the data that the model has not seen"),
            self.tr("Score on the data that the model has not seen"),
            self.tr("Duration of the epoch"),
        )
        for column, (title, tip) in enumerate(zip(titles, tips)):
            item = QTableWidgetItem(title)
            item.setToolTip(tip)
            item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.table.setHorizontalHeaderItem(column, item)

    def tr(self, text: str) -> str:
        """Translate a literal of the monitor."""
        return QCoreApplication.translate("GeoDL", text)


def _is_figure(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _figure(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, (int, float)) else ""
