"""The thread behind the window: it follows one worker and tells of it by signals."""

from __future__ import annotations

import threading
from typing import Any

from qgis.PyQt.QtCore import QCoreApplication, QObject, QThread, pyqtSignal

from ..core.errors import CancelledError, GeoDLError
from ..core.progress import Progress
from ..worker.client import run_task


class TrainingThread(QThread):
    """Runs one task in a worker process while the window stays free.

    The thread touches no widget: whoever wants to know connects to its signals, and gets
    exactly one of ``succeeded``, ``failed`` and ``cancelled`` in the end. It lives until its
    worker has ended, whatever becomes of the widget that started it.

    Args:
        options: the options of the task, a dataclass or a dict.
        python: the Python that has torch; by default the first that is found.
        task: a task of the worker.
    """

    progress = pyqtSignal(float, str)  # fraction 0 to 1, phase with rate and time left
    epoch = pyqtSignal(dict)  # the record of a finished epoch
    info = pyqtSignal(str)
    warned = pyqtSignal(str)
    succeeded = pyqtSignal(dict)
    failed = pyqtSignal(str)
    cancelled = pyqtSignal()

    def __init__(
        self,
        options: Any,
        python: str | None = None,
        task: str = "train",
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._task = task
        self._options = options
        self._python = python
        self._stopping = threading.Event()
        self.finished.connect(self._forget)
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.end)

    def start(self) -> None:
        """Start the worker."""
        # A running QThread that is collected takes QGIS with it.
        _RUNNING.add(self)
        super().start()

    def run(self) -> None:
        """Follow the worker to its end; runs in the thread."""
        try:
            result = self.work(_SignalProgress(self))
        except CancelledError:
            self.cancelled.emit()
        except GeoDLError as error:
            self.failed.emit(str(error))
        except Exception as error:  # an exception that leaves a QThread ends QGIS
            self.failed.emit(f"The work failed unexpectedly: {type(error).__name__}: {error}.")
        else:
            self.succeeded.emit(result)

    def work(self, progress: Progress) -> dict[str, Any]:
        """Do the work of the thread and return its result."""
        return run_task(self._task, self._options, progress, self._python)

    def cancel(self) -> None:
        """Ask the worker to end; it does within two seconds."""
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        """Whether the worker was asked to end."""
        return self._stopping.is_set()

    def end(self) -> None:
        """End the worker and wait for it: QGIS quits, or the plugin is unloaded."""
        self.cancel()
        self.wait(5000)

    def _forget(self) -> None:
        _RUNNING.discard(self)


class _SignalProgress(Progress):
    """Passes what the worker tells on to the thread's signals."""

    def __init__(self, thread: TrainingThread) -> None:
        self._thread = thread

    def update(self, fraction: float, message: str = "") -> None:
        self._thread.progress.emit(fraction, message)

    def epoch(self, record: dict[str, Any]) -> None:
        self._thread.epoch.emit(record)

    def info(self, message: str) -> None:
        self._thread.info.emit(message)

    def warn(self, message: str) -> None:
        self._thread.warned.emit(message)

    def cancelled(self) -> bool:
        return self._thread.stopping


_RUNNING: set[TrainingThread] = set()
