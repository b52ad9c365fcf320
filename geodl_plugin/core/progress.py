"""How a task tells where it is, without knowing where it runs."""

from __future__ import annotations

import time
from typing import Any

from .errors import CancelledError


class Progress:
    """Receives the progress of a task; this one keeps silent.

    Subclasses show it: Processing's feedback, the worker's event stream.
    """

    def update(self, fraction: float, message: str = "") -> None:
        """Tell that ``fraction`` (0 to 1) of the task is done."""

    def epoch(self, record: dict[str, Any]) -> None:
        """Tell the figures of a finished training epoch."""

    def info(self, message: str) -> None:
        """Tell something worth knowing."""

    def warn(self, message: str) -> None:
        """Tell something that may spoil the result."""

    def cancelled(self) -> bool:
        """Return whether the user wants the task to end."""
        return False

    def check(self) -> None:
        """Raise :class:`CancelledError` when the user wants the task to end."""
        if self.cancelled():
            raise CancelledError


class Share(Progress):
    """Shows the progress of a part of a task as that of the whole.

    Args:
        progress: of the whole task.
        start, stop: the share of the whole, 0 to 1, that the part covers.
    """

    def __init__(self, progress: Progress, start: float, stop: float) -> None:
        self._progress = progress
        self._start = start
        self._length = stop - start

    def update(self, fraction: float, message: str = "") -> None:
        self._progress.update(self._start + self._length * fraction, message)

    def info(self, message: str) -> None:
        self._progress.info(message)

    def warn(self, message: str) -> None:
        self._progress.warn(message)

    def cancelled(self) -> bool:
        return self._progress.cancelled()


class Part(Share):
    """Shows the progress of one of several equal parts of a task as that of the whole.

    Args:
        progress: of the whole task.
        number, count: which part it is, from 0, and how many there are.
        name: of the part.
    """

    def __init__(self, progress: Progress, number: int, count: int, name: str) -> None:
        count = max(count, 1)
        super().__init__(progress, number / count, (number + 1) / count)
        self._head = f"{name} ({number + 1} of {count})"

    def update(self, fraction: float, message: str = "") -> None:
        super().update(fraction, f"{self._head}: {message}" if message else self._head)


class Phase:
    """A countable part of a task, reported with its rate and the time left.

    Args:
        progress: where the reports go.
        name: what is being done, as a gerund: "Detecting".
        total: how many steps there are.
        unit: what a step is, in the plural: "tiles".
        start, stop: the share of the whole task that this phase covers.
    """

    interval = 0.5  # seconds between two reports

    def __init__(
        self,
        progress: Progress,
        name: str,
        total: int,
        unit: str,
        start: float = 0.0,
        stop: float = 1.0,
    ) -> None:
        self.progress = progress
        self.name = name
        self.total = max(total, 1)
        self.unit = unit
        self.start = start
        self.stop = stop
        self.done = 0
        self._began = time.monotonic()
        self._reported = 0.0

    def step(self, count: int = 1) -> None:
        """Count ``count`` steps as done; raise :class:`CancelledError` when cancelled."""
        self.done += count
        self.progress.check()
        now = time.monotonic()
        if now - self._reported >= self.interval or self.done >= self.total:
            self._reported = now
            self.progress.update(self._fraction(), self.message(now - self._began))

    def message(self, seconds: float) -> str:
        """Return the report after ``seconds`` of work."""
        text = f"{self.name}: {self.done} of {self.total} {self.unit}"
        if seconds <= 0 or not self.done:
            return text
        rate = self.done / seconds
        left = max(self.total - self.done, 0) / rate
        return f"{text}, {rate:.3g} {self.unit}/s, {duration(left)} left"

    def _fraction(self) -> float:
        share = min(self.done / self.total, 1.0)
        return self.start + (self.stop - self.start) * share


def duration(seconds: float) -> str:
    """Return ``seconds`` as people say it: "45 s", "3 min 20 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
