"""The keys of a review, which act on the map and on the review's own buttons only."""

from __future__ import annotations

from collections.abc import Callable

from qgis.PyQt.QtCore import QEvent, QObject, Qt
from qgis.PyQt.QtWidgets import QWidget

KEYS = {
    Qt.Key.Key_A: "accept",
    Qt.Key.Key_Return: "accept",
    Qt.Key.Key_Enter: "accept",
    Qt.Key.Key_R: "reject",
    Qt.Key.Key_Delete: "reject",
    Qt.Key.Key_F: "fix",
    Qt.Key.Key_S: "skip",
    Qt.Key.Key_Right: "skip",
    Qt.Key.Key_Left: "back",
    Qt.Key.Key_Escape: "leave",
    **{getattr(Qt.Key, f"Key_{number}"): f"class {number}" for number in range(1, 10)},
}
# While a draft is fixed, the other keys are those of QGIS's vertex tool.
WHILE_FIXING = (Qt.Key.Key_A, Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape)
# What tools that draw or edit leave to others.
WHILE_DRAWING = (Qt.Key.Key_A, Qt.Key.Key_R, Qt.Key.Key_F, Qt.Key.Key_S)
# A key on the number pad is the same key; one with Ctrl is a command of QGIS.
PLAIN = (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)


class ReviewKeys(QObject):
    """Turns keys into decisions while some widgets have the focus.

    Args:
        widgets: whose keys are taken.
        wanted: returns whether a key is the review's, and not that of the map's tool.
        act: does what a key stands for.
    """

    def __init__(
        self,
        widgets: list[QWidget],
        wanted: Callable[[int], bool],
        act: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._widgets, self._wanted, self._act = widgets, wanted, act
        for widget in widgets:
            widget.installEventFilter(self)

    def release(self) -> None:
        """Leave the keys to others again."""
        for widget in self._widgets:
            widget.removeEventFilter(self)
        self._widgets = []

    def eventFilter(self, _widget: QObject, event: QEvent) -> bool:  # noqa: N802
        """Take the keys of the review, before shortcuts of QGIS do."""
        kind = event.type()
        if kind not in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress):
            return False
        name = KEYS.get(event.key())
        if name is None or event.modifiers() not in PLAIN or not self._wanted(event.key()):
            return False
        event.accept()
        if kind == QEvent.Type.KeyPress:
            self._act(name)
        return True
