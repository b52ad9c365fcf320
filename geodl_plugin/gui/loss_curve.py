"""A chart that draws the losses of a training while it runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from qgis.PyQt.QtCore import QPointF, QRectF, QSize, Qt
from qgis.PyQt.QtGui import (
    QColor,
    QFontMetrics,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QPolygonF,
    QTextOption,
)
from qgis.PyQt.QtWidgets import QLabel, QSizePolicy, QWidget

from .ticks import Scale, count_scale, label, shown_epochs, value_scale

TRAINING = QColor("#2a7ab9")
VALIDATION = QColor("#e0561b")
GAP = 16  # pixels between the names in the legend
MARKERS_UP_TO = 40  # points; more of them would hide the line


@dataclass(frozen=True)
class Series:
    """One line of the chart: what it is, how it looks, its points ``(epoch, loss)``."""

    title: str
    color: QColor
    points: list[tuple[float, float]]


class LossCurve(QLabel):
    """Draws training and validation loss over the epochs, in the colours of the window.

    It is a label because QGIS's dark themes colour labels, and leave plain widgets black.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._records: list[dict[str, Any]] = []
        self.setMinimumSize(120, 120)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(self.tr("Loss curve"))

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(320, 220)

    def clear(self) -> None:
        """Forget all epochs."""
        self._records = []
        self.update()

    def add(self, record: dict[str, Any]) -> None:
        """Add a finished epoch."""
        self._records.append(record)
        self.update()

    def series(self) -> list[Series]:
        """Return the lines that have points."""
        named = (
            (self.tr("Training"), TRAINING, "train_loss"),
            (self.tr("Validation"), VALIDATION, "valid_loss"),
        )
        lines = [Series(title, color, self._points(key)) for title, color, key in named]
        return [line for line in lines if line.points]

    def _points(self, key: str) -> list[tuple[float, float]]:
        return [
            (float(record["epoch"]), float(record[key]))
            for record in self._records
            if isinstance(record.get(key), (int, float)) and math.isfinite(record[key])
        ]

    # Drawing

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self._ink(0.2), 1))
        painter.setBrush(self.palette().color(QPalette.ColorRole.Base))
        painter.drawRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5))
        lines = self.series()
        if not lines:
            painter.setPen(self._ink(0.6))
            hint = self.tr("The loss curve appears after the first epoch.")
            centred = QTextOption(Qt.AlignmentFlag.AlignCenter)
            painter.drawText(QRectF(self.rect()).adjusted(12, 12, -12, -12), hint, centred)
            return
        epochs, losses = self._scales(lines)
        area = self._area(losses)
        self._draw_legend(painter, lines)
        self._draw_axes(painter, area, epochs, losses)
        for line in lines:
            self._draw_line(painter, area, epochs, losses, line)

    def _scales(self, lines: list[Series]) -> tuple[Scale, Scale]:
        reached = max(point[0] for line in lines for point in line.points)
        planned = max(int(record.get("epochs") or 0) for record in self._records)
        room = max(int(self.width() / 55), 2)
        height = max(int(self.height() / 45), 2)
        epochs = count_scale(shown_epochs(int(reached), planned), min(room, 10))
        return epochs, value_scale([p[1] for line in lines for p in line.points], min(height, 6))

    def _area(self, losses: Scale) -> QRectF:
        """Return where the lines are drawn: the widget without labels and legend."""
        metrics = self.fontMetrics()
        left = max(metrics.horizontalAdvance(label(tick)) for tick in losses.ticks) + 14
        high = metrics.height()
        return QRectF(self.rect()).adjusted(left, high + 18, -14, -2 * high - 12)

    def _draw_legend(self, painter: QPainter, lines: list[Series]) -> None:
        metrics = self.fontMetrics()
        texts = [f"{line.title} {line.points[-1][1]:.4g}" for line in lines]
        if _legend_width(metrics, texts) > self.width() - 80:
            texts = [line.title for line in lines]
        left = self.width() - 12.0 - _legend_width(metrics, texts)
        middle = 9 + metrics.height() / 2
        for line, text in zip(lines, texts):
            painter.setPen(QPen(line.color, 3))
            painter.drawLine(QPointF(left, middle), QPointF(left + 14, middle))
            painter.setPen(self._ink(1.0))
            painter.drawText(QPointF(left + 20, 9 + metrics.ascent()), text)
            left += _legend_width(metrics, [text]) + GAP

    def _draw_axes(self, painter: QPainter, area: QRectF, epochs: Scale, losses: Scale) -> None:
        metrics = self.fontMetrics()
        for tick in losses.ticks:
            y = area.bottom() - losses.position(tick) * area.height()
            painter.setPen(QPen(self._ink(0.15), 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(self._ink(0.75))
            text = label(tick)
            x = area.left() - 6 - metrics.horizontalAdvance(text)
            painter.drawText(QPointF(x, y + metrics.ascent() / 2 - 1), text)
        for tick in epochs.ticks:
            x = area.left() + epochs.position(tick) * area.width()
            painter.setPen(QPen(self._ink(0.5), 1))
            painter.drawLine(QPointF(x, area.bottom()), QPointF(x, area.bottom() + 4))
            text = label(tick)
            wide = metrics.horizontalAdvance(text)
            place = QPointF(min(x - wide / 2, self.width() - wide - 3), area.bottom() + 6)
            painter.setPen(self._ink(0.75))
            painter.drawText(place + QPointF(0, metrics.ascent()), text)
        painter.setPen(QPen(self._ink(0.5), 1))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        self._draw_titles(painter, area, losses.logarithmic)

    def _draw_titles(self, painter: QPainter, area: QRectF, logarithmic: bool) -> None:
        metrics = self.fontMetrics()
        title = self.tr("Epoch")
        bottom = area.bottom() + metrics.height() + 6 + metrics.ascent()
        painter.setPen(self._ink(0.75))
        x = area.center().x() - metrics.horizontalAdvance(title) / 2
        painter.drawText(QPointF(x, bottom), title)
        title = self.tr("Loss (log)") if logarithmic else self.tr("Loss")
        painter.drawText(QPointF(8, 9 + metrics.ascent()), title)

    def _draw_line(
        self, painter: QPainter, area: QRectF, epochs: Scale, losses: Scale, line: Series
    ) -> None:
        places = [
            QPointF(
                area.left() + epochs.position(epoch) * area.width(),
                area.bottom() - losses.position(loss) * area.height(),
            )
            for epoch, loss in line.points
        ]
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(
            QPen(
                line.color,
                2,
                Qt.PenStyle.SolidLine,
                Qt.PenCapStyle.RoundCap,
                Qt.PenJoinStyle.RoundJoin,
            )
        )
        painter.drawPolyline(QPolygonF(places))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(line.color)
        for place in places if len(places) <= MARKERS_UP_TO else places[-1:]:
            painter.drawEllipse(place, 2.5, 2.5)
        if line.color == VALIDATION:
            lowest = min(range(len(places)), key=lambda index: line.points[index][1])
            painter.setBrush(self.palette().color(QPalette.ColorRole.Base))
            painter.setPen(QPen(line.color, 2))
            painter.drawEllipse(places[lowest], 4.5, 4.5)

    def _ink(self, strength: float) -> QColor:
        """Return the window's text colour, fainter the smaller ``strength`` is."""
        color = QColor(self.palette().color(QPalette.ColorRole.WindowText))
        color.setAlphaF(strength)
        return color


def _legend_width(metrics: QFontMetrics, texts: list[str]) -> int:
    """Return the width of the legend's entries: a line, a space and a text each."""
    return sum(metrics.horizontalAdvance(text) + 20 for text in texts) + GAP * (len(texts) - 1)
