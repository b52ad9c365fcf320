"""One review: which draft is looked at, and what has been decided."""

from __future__ import annotations

from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..core.samples.schema import ClassDefinition
from .drafts import Drafts, DraftSample


class ReviewSession(QObject):
    """Goes through the drafts of a layer, the least certain first.

    What is decided leaves the row, what is skipped comes again at its end. A decision that
    QGIS undoes brings its draft back, and the review returns to it.
    """

    moved = pyqtSignal()  # another draft, or another place of it in the row
    ended = pyqtSignal()  # none is left

    def __init__(self, drafts: Drafts) -> None:
        super().__init__()
        self.drafts = drafts
        self._accepted: set[int] = set()
        self._rejected: set[int] = set()
        self._row = drafts.listed()
        self._place = 0

    @property
    def current(self) -> DraftSample | None:
        """The draft that is looked at."""
        return self._row[self._place] if self._row else None

    def decided(self) -> tuple[int, int]:
        """Return how many drafts were accepted and how many rejected."""
        return len(self._accepted), len(self._rejected)

    def position(self) -> tuple[int, int]:
        """Return which draft it is, and of how many."""
        done = sum(self.decided())
        return done + self._place + 1, done + len(self._row)

    def accept(self, kind: ClassDefinition | None = None) -> None:
        """Make the draft a sample, of another class if one is given."""
        if self.current is not None:
            self._accept([self.current.feature], kind)

    def reject(self) -> None:
        """Delete the draft."""
        if self.current is not None:
            self._reject([self.current.feature])

    def accept_from(self, confidence: float) -> int:
        """Accept all drafts that are at least as certain, and return their number."""
        wanted = [each.feature for each in self._row if each.confidence >= confidence]
        self._accept(wanted, None)
        return len(wanted)

    def reject_below(self, confidence: float) -> int:
        """Delete all drafts that are less certain, and return their number."""
        wanted = [each.feature for each in self._row if each.confidence < confidence]
        self._reject(wanted)
        return len(wanted)

    def _accept(self, features: list[int], kind: ClassDefinition | None) -> None:
        if features:
            self.drafts.accept(features, kind)
            self._accepted.update(features)
            self._go_on()

    def _reject(self, features: list[int]) -> None:
        if features:
            self.drafts.reject(features)
            self._rejected.update(features)
            self._go_on()

    def move(self, step: int) -> None:
        """Look at the next (1) or the previous (-1) draft, around the ends."""
        if self._row:
            self._place = (self._place + step) % len(self._row)
            self.moved.emit()

    def refresh(self) -> None:
        """Take over what was edited, undone or redone elsewhere."""
        former, known = self.current, {each.feature for each in self._row}
        self._row = self.drafts.listed()
        places = {each.feature: place for place, each in enumerate(self._row)}
        back = [place for feature, place in places.items() if feature not in known]
        if back:
            self._accepted -= places.keys()
            self._rejected -= places.keys()
            self._place = back[0]
        elif former is not None and former.feature in places:
            self._place = places[former.feature]
        self._settle()

    def _go_on(self) -> None:
        self._row = self.drafts.listed()
        self._settle()

    def _settle(self) -> None:
        if self._place >= len(self._row):
            self._place = 0
        (self.moved if self._row else self.ended).emit()
