"""The row that leads through a folder of images."""

from __future__ import annotations

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QCoreApplication, Qt, pyqtSignal
from qgis.PyQt.QtGui import QKeySequence
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QShortcut,
    QSizePolicy,
    QToolButton,
    QWidget,
)

KEYS = {-1: "Alt+Left", 1: "Alt+Right"}


class ImageBar(QWidget):
    """Shows which image of a folder is labelled, and leads to the others."""

    folder_wanted = pyqtSignal()
    step_wanted = pyqtSignal(int)  # to the next image, 1, or the one before, -1
    image_wanted = pyqtSignal(int)  # counts from 0

    def __init__(self) -> None:
        super().__init__()
        self._names: list[str] = []
        self.folder_button = QPushButton(self.tr("Folder of images…"))
        self.folder_button.setToolTip(self.tr("Label the images of a folder one after the other."))
        self.folder_button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.folder_button.clicked.connect(self.folder_wanted)
        self.list = QComboBox()
        self.list.setObjectName("geodl_image_list")
        self.list.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.list.activated.connect(self.image_wanted)
        self.place = QLabel()
        self.buttons: dict[int, QToolButton] = {}
        self._shortcuts: list[QShortcut] = []
        for step, icon, text in (
            (-1, "mActionArrowLeft", self.tr("Previous image ({})")),
            (1, "mActionArrowRight", self.tr("Next image ({})")),
        ):
            self._add_step(step, icon, text.format(KEYS[step]))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        for widget in (self.place, self.buttons[-1], self.buttons[1]):
            row.addWidget(widget)
        row.insertWidget(0, self.list, 1)
        row.addStretch(0)
        row.addWidget(self.folder_button)
        self.show_images([])

    def _add_step(self, step: int, icon: str, text: str) -> None:
        button = QToolButton()
        button.setIcon(QgsApplication.getThemeIcon(f"/{icon}.svg"))
        button.setToolTip(text)
        button.setAutoRaise(True)
        button.clicked.connect(lambda: self.step_wanted.emit(step))
        self.buttons[step] = button
        # While the mouse draws, the keys go to the map and not to the dock.
        key = QShortcut(QKeySequence(KEYS[step]), self)
        key.setContext(Qt.ShortcutContext.ApplicationShortcut)
        key.activated.connect(lambda: self.isVisible() and self.step_wanted.emit(step))
        self._shortcuts.append(key)

    def show_images(self, names: list[str]) -> None:
        """List the images of a folder; none hides what only a folder needs."""
        self._names = names
        self.list.clear()
        self.list.addItems(names)
        for widget in (self.list, self.place, *self.buttons.values()):
            widget.setVisible(bool(names))
        for key in self._shortcuts:
            key.setEnabled(bool(names))

    def show_place(self, index: int) -> None:
        """Show which image it is."""
        self.list.setCurrentIndex(index)
        count = len(self._names)
        self.place.setText(self.tr("{} of {}").format(index + 1, count))
        self.buttons[-1].setEnabled(index > 0)
        self.buttons[1].setEnabled(index < count - 1)

    def show_count(self, index: int, count: int) -> None:
        """Show how many samples an image has."""
        name = self._names[index]
        samples = self.tr("1 sample") if count == 1 else self.tr("{} samples").format(count)
        self.list.setItemText(index, f"{name} – {samples}" if count else name)

    def tr(self, text: str) -> str:
        """Translate a literal."""
        return QCoreApplication.translate("GeoDL", text)
