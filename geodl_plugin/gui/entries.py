"""The entries of GeoDL in the QGIS window: menu, toolbar and the docks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QCoreApplication, Qt, QTimer
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction, QDockWidget

from .. import paths
from .label_dock import LabelDock
from .setup_dialog import SetupDialog
from .training_dock import TrainingDock

MENU = "GeoDL"
WIDTH = 420  # pixels, of a dock that was never shown before: all columns show
SETTLED = 400  # milliseconds


class DockEntry:
    """A button that shows a dock; the dock is made when it is first wanted.

    Args:
        iface: the window.
        name: of the button is ``geodl_NAME``.
        text: on the button.
        icon: on the button.
        make: returns the dock.
    """

    def __init__(
        self, iface: Any, name: str, text: str, icon: QIcon, make: Callable[[], Any]
    ) -> None:
        self._iface = iface
        self._make = make
        self._setting = f"geodl/{name}_dock/shown"
        self.dock: Any = None
        self.action = QAction(icon, text, iface.mainWindow())
        self.action.setObjectName(f"geodl_{name}")
        self.action.setCheckable(True)
        self.action.toggled.connect(self._show)

    def restore(self) -> None:
        """Show the dock if it was shown when the window was last closed."""
        if QgsSettings().value(self._setting, False, type=bool):
            self.action.setChecked(True)

    def remove(self) -> None:
        """End what the dock does and take it out of the window."""
        if self.dock is not None:
            self.dock.shut_down()
            self._iface.removeDockWidget(self.dock)
            self.dock.deleteLater()
            self.dock = None

    def _show(self, shown: bool) -> None:
        if self.dock is None:
            self.dock = self._place(self._make())
        self.dock.setUserVisible(shown)
        QgsSettings().setValue(self._setting, shown)

    def _place(self, dock: Any) -> Any:
        window = self._iface.mainWindow()
        is_new = not QgsSettings().contains(self._setting)
        siblings = self._siblings(dock) if is_new else []
        for each in siblings:
            each.hide()  # one dock above the other would make the window higher, to stay so
        dock.closed.connect(lambda: self.action.setChecked(False))
        self._iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
        # The dock is made when it is first wanted: after QGIS has restored its window.
        window.restoreDockWidget(dock)
        for each in siblings:
            window.tabifyDockWidget(each, dock)
            each.show()
        if is_new:
            # The window takes no width before it has moved the new dock in.
            sizes = ([dock], [WIDTH], Qt.Orientation.Horizontal)
            QTimer.singleShot(SETTLED, lambda: window.resizeDocks(*sizes))
        return dock

    def _siblings(self, dock: Any) -> list[QDockWidget]:
        """Return the other docks of GeoDL that are in the window."""
        return [
            each
            for each in self._iface.mainWindow().findChildren(QDockWidget)
            if each.objectName().startswith("geodl_")
            and not each.isHidden()
            and not each.isFloating()
            and each is not dock
        ]


class WindowEntries:
    """Adds GeoDL's menu, its buttons and its docks to the window, and removes them again."""

    def __init__(self, iface: Any) -> None:
        self._iface = iface
        window = iface.mainWindow()
        self._label = DockEntry(
            iface,
            "label",
            self.tr("Label objects"),
            QIcon(str(paths.LABEL_ICON)),
            self._new_labelling,
        )
        self._label.action.setToolTip(self.tr("Draw training samples on imagery"))
        self._train = DockEntry(
            iface, "train", self.tr("Train a model"), QIcon(str(paths.ICON)), self._new_training
        )
        self._train.action.setToolTip(self.tr("Train a model on exported training data"))
        self._setup = QAction(self.tr("Set up deep learning libraries…"), window)
        self._setup.setObjectName("geodl_setup")
        self._setup.triggered.connect(self.open_setup)
        for action in self._actions():
            iface.addPluginToMenu(MENU, action)
        for entry in self._docks():
            iface.addToolBarIcon(entry.action)
            entry.restore()

    def remove(self) -> None:
        """Take the entries out of the window; a training that still runs is ended."""
        for action in self._actions():
            self._iface.removePluginMenu(MENU, action)
            self._iface.removeToolBarIcon(action)
            action.deleteLater()
        SetupDialog.shut_down()
        for entry in self._docks():
            entry.remove()

    def open_setup(self) -> None:
        """Open the dialog that checks and installs the libraries."""
        SetupDialog.open_above(self._iface.mainWindow())

    def _docks(self) -> tuple[DockEntry, ...]:
        return self._label, self._train

    def _actions(self) -> tuple[QAction, ...]:
        return *(entry.action for entry in self._docks()), self._setup

    def _new_labelling(self) -> LabelDock:
        dock = LabelDock(self._iface)
        dock.training_wanted.connect(self._train_on)
        return dock

    def _train_on(self, folder: str) -> None:
        self._train.action.setChecked(True)
        self._train.dock.setUserVisible(True)
        self._train.dock.form.set_parameters({"INPUT": folder})

    def _new_training(self) -> TrainingDock:
        dock = TrainingDock(self._iface.mainWindow())
        dock.setup_wanted.connect(self.open_setup)
        return dock

    def tr(self, text: str) -> str:
        """Translate a literal of the window."""
        return QCoreApplication.translate("GeoDL", text)
