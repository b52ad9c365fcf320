"""What the scripts that run inside a QGIS window share: waiting, clicking, photographing."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QEventLoop, Qt, QTimer
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QWidget
from qgis.utils import iface, plugins

BUSY = float(os.environ["GEODL_TEST_BUSY"])
FOLDER = Path(os.environ["GEODL_TEST_FOLDER"])


class Heartbeat:
    """Watches how often the window could answer, and the longest time in which it could not.

    No seconds, for the machine may be busy: while a window is blocked it cannot answer at all.
    """

    def __init__(self) -> None:
        self.count, self.longest = 0, 0.0
        self._began = self._last = time.monotonic()
        self._timer = QTimer()
        self._timer.setInterval(20)
        self._timer.timeout.connect(self._beat)
        self._timer.start()

    def _beat(self) -> None:
        now = time.monotonic()
        self.count, self.longest = self.count + 1, max(self.longest, now - self._last)
        self._last = now

    def stop(self) -> tuple[int, float]:
        """Return the number of times, and the longest gap as a share of the time watched."""
        self._timer.stop()
        self._beat()
        return self.count, self.longest / (self._last - self._began)


def wait_until(condition: Callable[[], Any], seconds: float = 30.0) -> bool:
    """Let the window work until ``condition`` holds; return whether it did in time.

    Args:
        condition: asked again and again.
        seconds: that it may take on a machine with nothing else to do.
    """
    end = time.monotonic() + BUSY * seconds
    while not condition():
        if time.monotonic() > end:
            return False
        pause(0.03)
    return True


def pause(seconds: float) -> None:
    """Let the window work for a while."""
    loop = QEventLoop()
    QTimer.singleShot(int(1000 * seconds), loop.quit)
    loop.exec()


def click(widget: QWidget) -> None:
    """Click a widget with the left button."""
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)


def photograph(widget: QWidget, name: str) -> str:
    """Save a picture of a widget and return its path."""
    path = FOLDER / f"{name}.png"
    widget.grab().save(str(path))
    return str(path)


def photograph_screen(name: str) -> str:
    """Save a picture of the whole screen and return its path."""
    path = FOLDER / f"{name}.png"
    QApplication.primaryScreen().grabWindow(0).save(str(path))
    return str(path)


def alive(pid_file: Path) -> bool:
    """Return whether the process whose number is in a file still runs."""
    try:
        state = Path(f"/proc/{pid_file.read_text()}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def plugin() -> Any:
    """Return the plugin as QGIS loaded it."""
    return plugins["geodl_plugin"]


def training_dock() -> Any:
    """Open the training dock by its button and return it."""
    button = iface.mainWindow().findChild(object, "geodl_train")
    if not button.isChecked():
        button.trigger()
    pause(0.3)
    # A dock that was removed lies about until QGIS comes round to deleting it.
    return iface.mainWindow().findChildren(QWidget, "geodl_training_dock")[-1]


def finish(found: dict[str, Any]) -> None:
    """Write what was found."""
    (FOLDER / "result.json").write_text(json.dumps(found, indent=2), encoding="utf-8")


def drive(steps: Callable[[dict[str, Any]], None]) -> None:
    """Run ``steps`` once the window stands, write what they found, and quit QGIS."""

    def work() -> None:
        found: dict[str, Any] = {}

        def note(kind: Any, error: Any, trace: Any) -> None:
            # QGIS would open a dialog, which nobody closes, for what goes wrong in a slot.
            text = "".join(traceback.format_exception(kind, error, trace))
            found["error"] = found.get("error", "") + text

        sys.excepthook = note
        try:
            # There is no window manager that would place the window.
            iface.mainWindow().setGeometry(0, 0, 1600, 1000)
            pause(0.5)
            steps(found)
        except Exception:
            found["error"] = found.get("error", "") + traceback.format_exc()
            photograph_screen("error")
        finish(found)
        # QGIS would ask what becomes of layers in a temporary folder.
        QgsProject.instance().clear()
        QgsProject.instance().setDirty(False)
        for widget in QApplication.topLevelWidgets():
            if widget is not iface.mainWindow() and widget.isVisible():
                widget.close()
        QTimer.singleShot(0, iface.actionExit().trigger)

    QTimer.singleShot(1000, work)
