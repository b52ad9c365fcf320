"""The entries of GeoDL in the QGIS window: menu, toolbar and the training dock."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QCoreApplication, Qt, QTimer
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction

from .. import paths
from .setup_dialog import SetupDialog
from .training_dock import TrainingDock

MENU = "GeoDL"
WIDTH = 420  # pixels, of a dock that was never shown before: all columns show
SETTLED = 400  # milliseconds
SHOWN_SETTING = "geodl/training_dock/shown"


class WindowEntries:
    """Adds GeoDL's menu, its button and its dock to the window, and removes them again."""

    def __init__(self, iface: Any) -> None:
        self._iface = iface
        self._dock: TrainingDock | None = None
        window = iface.mainWindow()
        self._train = QAction(QIcon(str(paths.ICON)), self.tr("Train a model"), window)
        self._train.setObjectName("geodl_train")
        self._train.setCheckable(True)
        self._train.setToolTip(self.tr("Train a model on exported training data"))
        self._train.toggled.connect(self._show_dock)
        self._setup = QAction(self.tr("Set up deep learning libraries…"), window)
        self._setup.setObjectName("geodl_setup")
        self._setup.triggered.connect(self.open_setup)
        for action in (self._train, self._setup):
            iface.addPluginToMenu(MENU, action)
        iface.addToolBarIcon(self._train)
        if QgsSettings().value(SHOWN_SETTING, False, type=bool):
            self._train.setChecked(True)

    def remove(self) -> None:
        """Take the entries out of the window; a training that still runs is ended."""
        for action in (self._train, self._setup):
            self._iface.removePluginMenu(MENU, action)
            self._iface.removeToolBarIcon(action)
            action.deleteLater()
        SetupDialog.shut_down()
        if self._dock is not None:
            self._dock.shut_down()
            self._iface.removeDockWidget(self._dock)
            self._dock.deleteLater()
            self._dock = None

    def open_setup(self) -> None:
        """Open the dialog that checks and installs the libraries."""
        SetupDialog.open_above(self._iface.mainWindow())

    def _show_dock(self, shown: bool) -> None:
        if self._dock is None:
            self._dock = self._new_dock()
        self._dock.setUserVisible(shown)
        QgsSettings().setValue(SHOWN_SETTING, shown)

    def _new_dock(self) -> TrainingDock:
        window = self._iface.mainWindow()
        dock = TrainingDock(window)
        dock.setup_wanted.connect(self.open_setup)
        dock.closed.connect(lambda: self._train.setChecked(False))
        self._iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
        # The dock is made when it is first wanted: after QGIS has restored its window.
        window.restoreDockWidget(dock)
        if not QgsSettings().contains(SHOWN_SETTING):
            # The window takes no width before it has moved the new dock in.
            sizes = ([dock], [WIDTH], Qt.Orientation.Horizontal)
            QTimer.singleShot(SETTLED, lambda: window.resizeDocks(*sizes))
        return dock

    def tr(self, text: str) -> str:
        """Translate a literal of the window."""
        return QCoreApplication.translate("GeoDL", text)
