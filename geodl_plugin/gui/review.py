"""Pre-labelling and reviewing in the dock 'Label objects'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qgis.core import QgsWkbTypes
from qgis.gui import QgsMapTool, QgsRubberBand
from qgis.PyQt.QtCore import QCoreApplication, QObject
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import QAction

from ..core.errors import GeoDLError
from .drafts import Drafts
from .prelabel import Prelabelling
from .review_keys import WHILE_DRAWING, WHILE_FIXING, ReviewKeys
from .review_panel import ReviewPanel
from .review_session import ReviewSession

if TYPE_CHECKING:
    from .label_dock import LabelDock

CONTEXT = 6.0  # times its own size around a draft
HALO = QColor(255, 221, 0)
VERTEX_TOOL = "mActionVertexToolActiveLayer"


class Review(QObject):
    """Shows draft after draft on the map and lets keys decide.

    Args:
        iface: the window.
        dock: has the samples, the classes and the place for sentences.
        panel: what the section shows.
    """

    def __init__(self, iface: Any, dock: LabelDock, panel: ReviewPanel) -> None:
        super().__init__(dock)
        self._iface = iface
        self._canvas = iface.mapCanvas()
        self._dock = dock
        self.panel = panel
        self.prelabelling = Prelabelling(iface, dock, panel, self.begin)
        self.session: ReviewSession | None = None
        self.fixing = False
        self._shown: int | None = None
        self._keys: ReviewKeys | None = None
        self._halo = QgsRubberBand(self._canvas, QgsWkbTypes.GeometryType.PolygonGeometry)
        self._halo.setStrokeColor(HALO)
        self._halo.setFillColor(QColor(0, 0, 0, 0))
        self._halo.setWidth(3)
        panel.review_button.clicked.connect(lambda on: self.begin() if on else self.end())
        panel.accept_all.clicked.connect(lambda: self._decide_many(accept=True))
        panel.reject_all.clicked.connect(lambda: self._decide_many(accept=False))
        for name, button in panel.card.buttons.items():
            button.clicked.connect(lambda _=False, name=name: self.act(name))

    # What the dock tells

    def refresh(self) -> None:
        """Show how many drafts there are, after any edit of the samples."""
        samples = self._dock.samples
        self.panel.show_count(0 if samples is None else len(Drafts(samples).listed()))
        self.panel.find_button.setEnabled(samples is not None)
        if self.session is not None:
            self.session.refresh()

    def leave(self) -> None:
        """End the review: the layer goes, or the dock is closed."""
        self._stop()
        self._halo.reset(QgsWkbTypes.GeometryType.PolygonGeometry)

    def dispose(self) -> None:
        """End all and take everything off the map."""
        self.leave()
        self.prelabelling.shut_down()
        self._canvas.scene().removeItem(self._halo)

    # The review

    def begin(self) -> None:
        """Go through the drafts."""
        samples = self._dock.samples
        if samples is None or self.session is not None:
            return
        session = ReviewSession(Drafts(samples))
        if session.current is None:
            self.panel.show_reviewing(False)
            return
        try:
            samples.edit()
        except GeoDLError as error:
            self.panel.show_reviewing(False)
            self._dock.notice.tell("error", str(error))
            return
        self._dock.notice.clear()
        self.panel.setCollapsed(False)
        self.session = session
        session.moved.connect(self._show)
        session.ended.connect(self.end)
        # Undo in QGIS's own menu is that of the active layer.
        self._iface.setActiveLayer(samples.layer)
        self._iface.actionPan().trigger()
        widgets = [self._canvas, *self.panel.card.widgets()]
        self._keys = ReviewKeys(widgets, self._wants, self.act)
        self.panel.show_reviewing(True)
        self._canvas.setFocus()
        self._show()

    def end(self) -> None:
        """End the review and tell what was decided."""
        if self.session is None:
            return
        accepted, rejected = self.session.decided()
        left = self.session.position()[1] - accepted - rejected
        self._stop()
        self._halo.reset(QgsWkbTypes.GeometryType.PolygonGeometry)
        text = self.tr("Accepted: {}. Rejected: {}. Left: {}.")
        self._dock.notice.tell("info" if left else "success", text.format(accepted, rejected, left))

    def _stop(self) -> None:
        self._fix(False)
        if self._keys is not None:
            self._keys.release()
            self._keys = None
        if self.session is not None:
            self.session.blockSignals(True)
            self.session = self._shown = None
        self.panel.show_reviewing(False)

    def act(self, name: str) -> None:
        """Do what a key or a button stands for."""
        session = self.session
        if session is None:
            return
        try:
            if name == "fix":
                self._fix(not self.fixing)
                self._show_card()
            elif name == "leave" and self.fixing:
                self._fix(False)
                self._show()
            elif name == "leave":
                self.end()
            else:
                self._fix(False)
                self._decide(session, name)
        except GeoDLError as error:
            self._dock.notice.tell("error", str(error))

    def _decide(self, session: ReviewSession, name: str) -> None:
        if name == "accept":
            session.accept()
        elif name == "reject":
            session.reject()
        elif name in ("skip", "back"):
            session.move(1 if name == "skip" else -1)
        elif name.startswith("class "):
            nodes = list(self._dock.editor.document.walk())
            place = int(name.split()[1]) - 1
            if place < len(nodes):
                session.accept(nodes[place].definition)

    def _decide_many(self, accept: bool) -> None:
        samples = self._dock.samples
        if samples is None:
            return
        reviewing = self.session is not None
        session = self.session or ReviewSession(Drafts(samples))
        limit = self.panel.limit.value()
        try:
            count = session.accept_from(limit) if accept else session.reject_below(limit)
        except GeoDLError as error:
            self._dock.notice.tell("error", str(error))
            return
        if reviewing:
            return  # the review shows what is left, or has told so in the end
        text = self.tr("Accepted: {}. QGIS's undo takes that back.")
        if not accept:
            text = self.tr("Rejected: {}. QGIS's undo brings them back.")
        self._dock.notice.tell("info", text.format(count))

    def _fix(self, on: bool) -> None:
        """Hand the draft to QGIS's vertex tool, or take the tool away again."""
        if on == self.fixing:
            return
        self.fixing = on
        action = self._iface.mainWindow().findChild(QAction, VERTEX_TOOL)
        if on and action is not None:
            self._halo.hide()
            action.trigger()
            self._canvas.setFocus()
        else:
            self._iface.actionPan().trigger()

    def _wants(self, key: int) -> bool:
        """Return whether a key is the review's, and not that of the tool on the map."""
        if self.fixing:
            return key in WHILE_FIXING
        tool = self._canvas.mapTool()
        edits = tool is not None and bool(tool.flags() & QgsMapTool.Flag.EditTool)
        if edits or tool in self._dock.bar.tools.values():
            return key in WHILE_DRAWING
        return True

    def _show(self) -> None:
        """Show the draft on the map and on the card."""
        draft = None if self.session is None else self.session.current
        if draft is None:
            return
        self._show_card()
        samples = self._dock.samples
        stored = samples.history.stored([draft.feature])
        if draft.feature in stored and not self.fixing:
            self._halo.setToGeometry(stored[draft.feature].geometry(), samples.layer)
            self._halo.show()
        if draft.feature != self._shown:
            self._shown = draft.feature
            self._dock.list.choose({draft.feature})
            self._dock.visit(draft.feature, CONTEXT)

    def _show_card(self) -> None:
        draft = self.session.current
        node = None if draft.value is None else self._dock.editor.document.find(draft.value)
        position = self.session.position()
        self.panel.card.show_draft(node, draft.confidence, position, self.fixing)

    def tr(self, text: str) -> str:
        """Translate a literal."""
        return QCoreApplication.translate("GeoDL", text)
