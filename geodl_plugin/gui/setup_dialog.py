"""The dialog that shows whether the deep learning libraries are there, and installs them."""

from __future__ import annotations

import dataclasses
from typing import Any

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QCoreApplication, Qt
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ..algorithms.base import PYTHON_SETTING
from ..algorithms.setup_environment import remember_python
from ..core.progress import Progress
from ..worker.environment import DEVICES, EnvironmentOptions, manage
from .notice import Notice
from .training_thread import TrainingThread

STEPS = 1000  # of the progress bar


class SetupThread(TrainingThread):
    """Checks or installs the environment of the worker while the window stays free."""

    def work(self, progress: Progress) -> dict[str, Any]:
        """Do what the options say and return the status that was found."""
        return dataclasses.asdict(manage(self._options, progress, self._python))


class SetupDialog(QDialog):
    """Tells the state of the environment; one button installs it."""

    _open: SetupDialog | None = None

    @classmethod
    def open_above(cls, window: QWidget) -> SetupDialog:
        """Show the dialog, once."""
        if cls._open is None:
            cls._open = cls(window)
            cls._open.check()
        cls._open.show()
        cls._open.raise_()
        return cls._open

    @classmethod
    def shut_down(cls) -> None:
        """Close the dialog and end what it does: the plugin is unloaded."""
        if cls._open is not None:
            if cls._open.thread is not None:
                cls._open.thread.end()
                cls._open.thread = None
            cls._open.reject()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("geodl_setup_dialog")
        self.setWindowTitle(self.tr("Set up deep learning libraries"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(560, 420)
        self.thread: SetupThread | None = None
        self._make_widgets()
        self._arrange()
        self._set_busy(False)

    def _make_widgets(self) -> None:
        self.notice = Notice()
        self.device = QComboBox()
        self.device.addItems(DEVICES)
        self.device.setToolTip(
            self.tr("auto installs for the GPU where there is one; cpu is the smallest download.")
        )
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(5000)
        self.status = QLabel()
        self.status.setTextFormat(Qt.TextFormat.PlainText)
        self.status.setWordWrap(True)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(10)
        self.install_button = QPushButton(self.tr("Install"))
        self.install_button.clicked.connect(self.install)
        self.check_button = QPushButton(self.tr("Check again"))
        self.check_button.clicked.connect(self.check)
        self.check_button.setAutoDefault(False)
        self.close_button = QPushButton(self.tr("Close"))
        self.close_button.clicked.connect(self.reject)

    def _arrange(self) -> None:
        about = QLabel(
            self.tr(
                "Training and inference need PyTorch and a few libraries more. GeoDL keeps them "
                "in an environment of its own: QGIS itself stays as it is."
            )
        )
        about.setWordWrap(True)
        form = QFormLayout()
        form.addRow(self.tr("Device"), self.device)
        buttons = QHBoxLayout()
        buttons.addWidget(self.check_button)
        buttons.addStretch(1)
        buttons.addWidget(self.close_button)
        buttons.addWidget(self.install_button)
        layout = QVBoxLayout(self)
        layout.addWidget(about)
        layout.addWidget(self.notice)
        layout.addLayout(form)
        layout.addWidget(self.log, 1)
        layout.addWidget(self.status)
        layout.addWidget(self.bar)
        layout.addLayout(buttons)

    def check(self) -> None:
        """Look for the libraries and prove them; install nothing."""
        self.notice.tell("info", self.tr("Looking for the libraries."))
        self._follow(EnvironmentOptions(action="CHECK"))

    def install(self) -> None:
        """Install the environment, or mend it."""
        self.notice.tell(
            "info",
            self.tr("Installing: this downloads hundreds of megabytes, gigabytes with CUDA."),
        )
        self._follow(EnvironmentOptions(action="INSTALL", device=self.device.currentText()))

    def _follow(self, options: EnvironmentOptions) -> None:
        if self.thread is not None:
            return
        self.log.clear()
        thread = SetupThread(options, QgsSettings().value(PYTHON_SETTING) or None)
        self.thread = thread
        thread.progress.connect(self._show_progress)
        thread.info.connect(self.log.appendPlainText)
        thread.warned.connect(self.log.appendPlainText)
        thread.succeeded.connect(lambda _: remember_python(options))
        thread.succeeded.connect(self._show_state)
        thread.failed.connect(lambda message: self._end("error", message))
        thread.cancelled.connect(lambda: self._end("info", self.tr("Cancelled.")))
        self.destroyed.connect(thread.cancel)
        self._set_busy(True)
        thread.start()

    def _show_progress(self, fraction: float, message: str) -> None:
        self.bar.setRange(0, STEPS)
        self.bar.setValue(round(STEPS * fraction))
        self.status.setText(message)

    def _show_state(self, state: dict[str, Any]) -> None:
        for name, version in state["versions"].items():
            self.log.appendPlainText(f"{name} {version}")
        for device in state["devices"]:
            self.log.appendPlainText(f"{device['name']}: {device['label']}")
        self.install_button.setDefault(not state["ready"])
        self.close_button.setDefault(state["ready"])
        self._end("success" if state["ready"] else "warning", state["message"])

    def _end(self, level: str, message: str) -> None:
        self.thread = None
        self.notice.tell(level, message)
        self._set_busy(False)

    def _set_busy(self, busy: bool) -> None:
        for widget in (self.install_button, self.check_button, self.device):
            widget.setEnabled(not busy)
        self.close_button.setText(self.tr("Cancel") if busy else self.tr("Close"))
        self.bar.setVisible(busy)
        self.status.setVisible(busy)
        if busy:
            self.bar.setRange(0, 0)
            self.status.clear()

    def reject(self) -> None:
        """Close the dialog, or end what it does and stay: Cancel, Escape and the cross call it."""
        if self.thread is not None:
            self.thread.cancel()
            return
        SetupDialog._open = None
        super().reject()

    def tr(self, text: str) -> str:
        """Translate a literal of the dialog."""
        return QCoreApplication.translate("GeoDL", text)
