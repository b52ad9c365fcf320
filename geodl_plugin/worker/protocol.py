"""The language of the worker: one JSON line in, JSON lines out, a cancel line in.

In:  ``{"task": …, "options": {…}}``, later ``{"cancel": true}``; the end of the stream
means that the parent has gone.
Out: the events ``progress``, ``epoch``, ``info``, ``warn``, and at last ``result`` or ``error``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import sys
import threading
import time
from typing import IO, Any

from ..core import errors
from ..core.errors import GeoDLError, WorkerError
from ..core.progress import Progress

EVENTS = ("progress", "epoch", "info", "warn", "result", "error")


def plain(value: Any) -> Any:
    """Return a dataclass as the dict that travels; a dict as it is."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value


def encode(message: dict[str, Any]) -> bytes:
    """Return a message as one line of ASCII, so that no console encoding can spoil it."""
    return json.dumps(message, default=_encode_value).encode("ascii") + b"\n"


def decode(line: str) -> dict[str, Any] | None:
    """Return the event of a line, or ``None`` when the line is something else."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if isinstance(message, dict) and message.get("event") in EVENTS:
        return message
    return None


def error_event(error: GeoDLError, unexpected: bool = False) -> dict[str, Any]:
    """Return the event that carries an error to the parent.

    ``unexpected`` asks the parent to keep the log, in which the traceback is.
    """
    return {
        "event": "error",
        "message": str(error),
        "kind": type(error).__name__,
        "unexpected": unexpected,
    }


def error_of(event: dict[str, Any]) -> GeoDLError:
    """Return the error that an event carries, of the class that it had in the worker."""
    kind = getattr(errors, str(event.get("kind")), None)
    if not (isinstance(kind, type) and issubclass(kind, GeoDLError)):
        kind = WorkerError
    return kind(str(event.get("message") or "The task failed."))


class Channel:
    """The worker's end of the two pipes."""

    def __init__(self, incoming: IO[bytes], outgoing: IO[bytes]) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._finished = False

    @classmethod
    def take_over(cls) -> Channel:
        """Keep standard input and output for the protocol, away from everybody else.

        Descriptor 1 becomes standard error: what libraries print, in Python or in C, lands
        in the log and not between the events. Child processes inherit neither pipe.
        """
        incoming = os.fdopen(os.dup(0), "rb", buffering=0)
        outgoing = os.fdopen(os.dup(1), "wb", buffering=0)
        silence = os.open(os.devnull, os.O_RDONLY)
        os.dup2(silence, 0)
        os.close(silence)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        return cls(incoming, outgoing)

    def request(self) -> tuple[str, dict[str, Any]]:
        """Read the task and its options, then watch for the cancel line in a thread."""
        line = _read_line(self._incoming)
        try:
            message = json.loads(line)
            task, options = str(message["task"]), dict(message["options"])
        except (ValueError, KeyError, TypeError):
            raise WorkerError(
                "The worker was started without a task. It is started by GeoDL, not by hand."
            ) from None
        threading.Thread(target=self._watch, daemon=True).start()
        return task, options

    def send(self, message: dict[str, Any]) -> None:
        """Send an event; end the process when nobody listens any more."""
        if message["event"] in ("result", "error"):
            self._finished = True
        data = encode(message)
        with self._lock:
            try:
                while data:
                    data = data[self._outgoing.write(data) or 0 :]
            except OSError:
                end_with_children()

    def cancelled(self) -> bool:
        """Return whether the parent asked to end the task."""
        return self._cancelled.is_set()

    def _watch(self) -> None:
        while True:
            line = _read_line(self._incoming)
            if not line:
                break
            with contextlib.suppress(ValueError, AttributeError):
                if json.loads(line).get("cancel"):
                    self._cancelled.set()
        if not self._finished:
            end_with_children()


def end_with_children() -> None:
    """End this process and its children at once: the parent has gone."""
    if os.name != "nt" and os.getpgrp() == os.getpid():
        with contextlib.suppress(OSError):
            os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


class WorkerProgress(Progress):
    """Sends the progress of a task to the parent, at most ten times a second."""

    interval = 0.1  # seconds

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._sent = 0.0

    def update(self, fraction: float, message: str = "") -> None:
        now = time.monotonic()
        if now - self._sent < self.interval and fraction < 1:
            return
        self._sent = now
        self._channel.send({"event": "progress", "fraction": float(fraction), "message": message})

    def epoch(self, record: dict[str, Any]) -> None:
        self._channel.send({"event": "epoch", "record": record})

    def info(self, message: str) -> None:
        self._channel.send({"event": "info", "message": message})

    def warn(self, message: str) -> None:
        self._channel.send({"event": "warn", "message": message})

    def cancelled(self) -> bool:
        return self._channel.cancelled()


def deliver(event: dict[str, Any], progress: Progress) -> None:
    """Hand an event of the worker to the parent's progress."""
    kind = event["event"]
    if kind == "progress":
        progress.update(float(event.get("fraction") or 0.0), str(event.get("message") or ""))
    elif kind == "epoch":
        progress.epoch(event.get("record") or {})
    elif kind == "info":
        progress.info(str(event.get("message") or ""))
    elif kind == "warn":
        progress.warn(str(event.get("message") or ""))


def _read_line(stream: IO[bytes]) -> bytes:
    try:
        return stream.readline()
    except (OSError, ValueError):
        return b""


def _encode_value(value: Any) -> Any:
    """Return what JSON does not know as what it knows: NumPy's numbers, paths, tuples."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)
