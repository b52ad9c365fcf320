"""A sentence that tells how something went, with links to what can be done about it."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

# Faint enough for the text of a light and of a dark window.
COLORS = {
    "info": "42, 122, 185",
    "success": "63, 143, 107",
    "warning": "214, 158, 0",
    "error": "200, 50, 40",
}

Actions = dict[str, Callable[[], None]]


class Notice(QFrame):
    """Shows one sentence, wrapped to the width there is; hidden while there is none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("geodl_notice")
        self.text = ""
        self.level = ""
        self._actions: Actions = {}
        self._label = QLabel()
        self._label.setWordWrap(True)
        self._label.setTextFormat(Qt.TextFormat.RichText)
        self._label.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
        self._label.linkActivated.connect(self._follow)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.addWidget(self._label)
        self.clear()

    @property
    def links(self) -> list[str]:
        """Labels of the links."""
        return list(self._actions)

    def clear(self) -> None:
        """Hide the notice."""
        self.text = self.level = ""
        self._actions = {}
        self.hide()

    def tell(self, level: str, text: str, actions: Actions | None = None) -> None:
        """Show a sentence.

        Args:
            level: ``info``, ``success``, ``warning`` or ``error``.
            text: the sentence.
            actions: what the links below it do, by their label.
        """
        self.text, self.level = text, level
        self._actions = actions or {}
        color = COLORS[level]
        self.setStyleSheet(
            f"QFrame#geodl_notice {{ background: rgba({color}, 40); "
            f"border: none; border-left: 3px solid rgb({color}); }}"
        )
        links = " &nbsp;·&nbsp; ".join(
            f'<a href="{index}">{escape(label)}</a>' for index, label in enumerate(self._actions)
        )
        # Zero-width spaces let long paths break at their slashes.
        body = escape(text).replace("/", "/&#8203;").replace("\\", "\\&#8203;")
        self._label.setText(f"{body}<br>{links}" if links else body)
        self.show()

    def _follow(self, link: str) -> None:
        list(self._actions.values())[int(link)]()
