"""The dock that trains a model: the settings, the course of the training, its results."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from qgis.core import QgsProject, QgsSettings
from qgis.gui import QgsDockWidget
from qgis.PyQt.QtCore import QCoreApplication, Qt, QTimer, QUrl, pyqtSignal
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from ..algorithms.base import PYTHON_SETTING
from ..core.errors import GeoDLError, InputError
from ..core.progress import duration
from .notice import Notice
from .result_layers import ModelApplication, open_dialog, open_tool
from .training_form import TrainingForm
from .training_monitor import TrainingMonitor
from .training_thread import TrainingThread

STEPS = 1000  # of the progress bar
LONGEST_LOG = 5000  # lines


class TrainingDock(QgsDockWidget):
    """Trains in a worker process while the window stays free, and shows how it goes."""

    setup_wanted = pyqtSignal()
    ended = pyqtSignal(bool)  # all is over; whether it went well

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("geodl_training_dock")
        self.setWindowTitle(self.tr("Train a model"))
        self.thread: TrainingThread | None = None
        self.application: ModelApplication | None = None
        self._target = ""  # id of the raster to apply the model to; it may leave the project
        self._parting: list[str] = []  # what is told after a cancel: how to go on
        self._warnings = 0  # of this training
        self._began = 0.0
        self._clock = QTimer(self)
        self._clock.setInterval(1000)
        self._clock.timeout.connect(self._show_time)
        self._make_widgets()
        self._arrange()
        self._set_busy(False)

    def _make_widgets(self) -> None:
        self.form = TrainingForm()
        self.form.tool_wanted.connect(self._open_tool)
        self.form.inspection_wanted.connect(self._open_inspection)
        self.monitor = TrainingMonitor()
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(LONGEST_LOG)
        self.notice = Notice()
        self.status = QLabel()
        self.status.setTextFormat(Qt.TextFormat.PlainText)  # names of files may look like tags
        self.status.setWordWrap(True)
        self.elapsed = QLabel()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(10)
        self.start_button = QPushButton(self.tr("Start training"))
        self.start_button.setDefault(True)
        self.start_button.clicked.connect(self.start)
        self.cancel_button = QPushButton(self.tr("Cancel"))
        self.cancel_button.clicked.connect(self.cancel)

    def _arrange(self) -> None:
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(self.form)
        bar = scroll.verticalScrollBar().sizeHint().width()
        scroll.setMinimumWidth(self.form.minimumSizeHint().width() + bar)
        self.tabs = QTabWidget()
        self.tabs.addTab(scroll, self.tr("Settings"))
        self.tabs.addTab(self.monitor, self.tr("Progress"))
        self.tabs.addTab(self.log, self.tr("Log"))
        told = QHBoxLayout()
        told.addWidget(self.status, 1)
        told.addWidget(self.elapsed, 0, Qt.AlignmentFlag.AlignTop)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.cancel_button)
        buttons.addWidget(self.start_button)
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self.notice)
        layout.addLayout(told)
        layout.addWidget(self.bar)
        layout.addLayout(buttons)
        self.setWidget(content)

    # Work

    def start(self) -> None:
        """Start a training with the values of the form."""
        if self.thread is not None or self.application is not None:
            return
        problem = self.form.problem()
        if problem:
            self._tell_start_problem(problem)
            return
        try:
            options = self.form.options()
        except GeoDLError as error:
            self._tell_start_problem(str(error))
            return
        self.form.remember()
        layer = self.form.apply_layer()
        self._target = "" if layer is None else layer.id()
        self.notice.clear()
        self.monitor.clear()
        self.tabs.setCurrentWidget(self.monitor)
        self._follow(TrainingThread(options, QgsSettings().value(PYTHON_SETTING) or None))

    def _follow(self, thread: TrainingThread) -> None:
        self.thread = thread
        thread.progress.connect(self._show_progress)
        thread.epoch.connect(self.monitor.add)
        self._parting.clear()
        self.log.clear()
        self._warnings = 0
        thread.info.connect(self._show_info)
        thread.warned.connect(self._show_warning)
        thread.succeeded.connect(self._finish)
        thread.failed.connect(self._fail)
        thread.cancelled.connect(self._tell_cancelled)
        # The dock may be deleted while it works: the worker must not outlive it.
        self.destroyed.connect(thread.cancel)
        self._set_busy(True)
        self.status.setText(self.tr("Starting the worker"))
        thread.start()

    def cancel(self) -> None:
        """End the training, or the run of the trained model."""
        self.cancel_button.setEnabled(False)
        self.status.setText(self.tr("Cancelling"))
        if self.thread is not None:
            self.thread.cancel()
        if self.application is not None:
            self.application.cancel()

    def shut_down(self) -> None:
        """End what runs, and wait for it: the dock is going away."""
        self._clock.stop()
        if self.application is not None:
            self.application.cancel()
        if self.thread is not None:
            self.thread.end()

    # What the thread tells

    def _show_progress(self, fraction: float, message: str) -> None:
        if self.bar.maximum() == 0:
            self.bar.setRange(0, STEPS)
        self.bar.setValue(round(STEPS * fraction))
        if message and self.cancel_button.isEnabled():
            self.status.setText(message)

    def _show_info(self, message: str) -> None:
        self.status.setText(message)
        self.log.appendPlainText(message)
        if self.thread is not None and self.thread.stopping:
            self._parting.append(message)

    def _show_warning(self, message: str) -> None:
        self._warnings += 1
        self._tell("warning", message, self._all_warnings())

    def _all_warnings(self) -> dict[str, Any]:
        if self._warnings < 2:
            return {}
        label = self.tr("All {} warnings").format(self._warnings)
        return {label: lambda: self.tabs.setCurrentWidget(self.log)}

    def _tell(self, level: str, message: str, links: dict[str, Any] | None = None) -> None:
        """Show a sentence about the training, and keep it in the log."""
        self.log.appendPlainText(
            self.tr("Warning: {}").format(message) if level == "warning" else message
        )
        self.notice.tell(level, message, links)

    def _show_time(self) -> None:
        self.elapsed.setText(duration(time.monotonic() - self._began))

    def _finish(self, result: dict[str, Any]) -> None:
        self.thread = None
        model, report = str(result["model"]), str(result.get("report") or "")
        links = {}
        if report:
            links[self.tr("Open the report")] = lambda: _open(report)
        links[self.tr("Use the model")] = lambda: self._use(model)
        links[self.tr("Open the folder")] = lambda: _open(str(Path(model).parent))
        if self._warnings:
            links[self.tr("Read the warnings")] = lambda: self.tabs.setCurrentWidget(self.log)
        self._tell("success", self._summary(result), links)
        if self._target:
            self._apply(model)
        else:
            self._end(True)

    def _summary(self, result: dict[str, Any]) -> str:
        name, epochs = Path(str(result["model"])).name, result.get("epochs", "")
        score, metric = result.get("best_score"), self.monitor.monitored
        if not isinstance(score, (int, float)) or not metric:
            return self.tr("{} was trained in {} epochs.").format(name, epochs)
        text = self.tr("{} was trained in {} epochs, {} {:.3f}.")
        return text.format(name, epochs, metric, score)

    def _fail(self, message: str) -> None:
        self.thread = None
        self._tell("error", message, self._help_for(message))
        self._end(False)

    def _tell_cancelled(self) -> None:
        self.thread = None
        cancelled = self.tr("The training was cancelled.")
        self.log.appendPlainText(cancelled)
        self.notice.tell("info", " ".join([cancelled, *self._parting]))
        self._end(False)

    def _tell_start_problem(self, problem: str) -> None:
        self.tabs.setCurrentIndex(0)
        self.notice.tell("error", problem, self._help_for(problem))

    def _help_for(self, message: str) -> dict[str, Any]:
        if "Set up deep learning libraries" not in message:
            return {}
        return {self.tr("Set up deep learning libraries"): self.setup_wanted.emit}

    # The trained model

    def _apply(self, model: str) -> None:
        layer = QgsProject.instance().mapLayer(self._target)
        try:
            if layer is None:
                raise InputError(
                    f"'{Path(model).name}' was trained but not applied: the raster has left the "
                    "project. Add it again and run the model's tool."
                )
            self.application = ModelApplication(
                model, layer, str(Path(model).parent), self._tell_applied
            )
        except GeoDLError as error:
            self._tell("warning", str(error))
            self._end(True)
            return
        feedback = self.application.feedback
        feedback.progressChanged.connect(lambda percent: self._show_progress(percent / 100, ""))
        self.status.setText(self.tr("Applying the model to '{}'").format(layer.name()))
        self.bar.setRange(0, 0)
        self.application.start()

    def _tell_applied(self, successful: bool, message: str) -> None:
        self.application = None
        if successful:
            self.status.setText(message)
            self.log.appendPlainText(message)
        else:
            self._tell("warning", message)
        self._end(successful)

    def _open_tool(self) -> None:
        try:
            values = self.form.parameters()
        except GeoDLError as error:
            self.notice.tell("error", str(error))
            return
        given = {name: value for name, value in values.items() if value != ""}
        open_dialog("geodl:trainmodel", given)

    def _open_inspection(self) -> None:
        try:
            open_dialog("geodl:inspecttrainingdata", self.form.inspection())
        except GeoDLError as error:
            self.notice.tell("error", str(error))

    def _use(self, model: str) -> None:
        try:
            open_tool(model)
        except GeoDLError as error:
            self.notice.tell("error", str(error))

    # State

    def _set_busy(self, busy: bool) -> None:
        self.form.setEnabled(not busy)
        self.start_button.setEnabled(not busy)
        self.cancel_button.setEnabled(busy)
        for widget in (self.bar, self.status, self.elapsed, self.cancel_button):
            widget.setVisible(busy)
        if busy:
            self._began = time.monotonic()
            self.bar.setRange(0, 0)
            self.elapsed.clear()
            self._clock.start()
        else:
            self._clock.stop()

    def _end(self, successful: bool) -> None:
        self._set_busy(False)
        self._target = ""
        self.ended.emit(successful)

    def tr(self, text: str) -> str:
        """Translate a literal of the dock."""
        return QCoreApplication.translate("GeoDL", text)


def _open(path: str) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(path))
