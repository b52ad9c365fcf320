"""The parent's end of the worker: starts it, follows it, ends it.

Nothing here needs torch, QGIS or Qt: the client runs in Processing's thread, in the
training thread of the window and in plain Python alike.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any

from ..core.errors import CancelledError, GeoDLError, WorkerError
from ..core.progress import Progress
from ..core.telemetry import NO_TELEMETRY
from .environment import find_python
from .interpreters import foreign_data
from .processes import LineReader, clean_environment, kill_tree, start_process
from .protocol import decode, deliver, encode, error_of, plain

MAIN = Path(__file__).resolve().parent / "__main__.py"

GRACE = 1.5  # seconds between the cancel line and the end by force
# Of Windows, which ends a program with the number of its exception.
FATAL = 0xC0000000
NO_MEMORY = (0xC0000017, 0xC000009A, 0xC000012D)
NO_LIBRARY = (0xC000007B, 0xC0000135, 0xC0000138, 0xC0000139, 0xC0000142)

STRAY_LINES = 200  # lines that are no events, before the program counts as no worker


def run_task(
    task: str,
    options: Any,
    progress: Progress | None = None,
    python: str | None = None,
) -> dict[str, Any]:
    """Run a task in a worker and return its result.

    Args:
        task: a name of :data:`~.tasks.TASKS`.
        options: a dataclass or a dict of what JSON knows.
        progress: receives what the worker tells; asked ten times a second whether to end.
        python: the Python that has torch; by default the first that :func:`find_python` finds.

    Raises:
        GeoDLError: the same that the task raised, or :class:`WorkerError` when the worker
            could not start or died, or :class:`CancelledError`.
    """
    progress = progress or Progress()
    progress.check()
    worker = WorkerProcess(task, options, python)
    worker.start()
    try:
        while not worker.ended:
            if progress.cancelled():
                worker.cancel()
            event = worker.poll(0.1)
            if event is not None:
                deliver(event, progress)
        return worker.result()
    finally:
        worker.close()


class WorkerProcess:
    """One worker that runs one task.

    ``start()``, then ``events()`` or ``poll()`` until ``ended``, then ``result()`` and
    ``close()``. ``cancel()`` may come from any thread at any time.
    """

    def __init__(self, task: str, options: Any, python: str | None = None) -> None:
        self.task = task
        self.python = python or find_python().path
        self.log = Path()
        self._options = plain(options)
        self._outcome: dict[str, Any] | None = None
        self._stray: list[str] = []
        self._spoke = False
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._cancelled = threading.Event()
        self._deadline = 0.0

    def start(self) -> None:
        """Start the process and hand it the task; raise :class:`WorkerError` when it cannot."""
        handle, name = tempfile.mkstemp(prefix="geodl-", suffix=".log")
        self.log = Path(name)
        with os.fdopen(handle, "wb") as log:
            try:
                self._process = start_process(
                    [self.python, str(MAIN)], _environment(self.python), stdin=PIPE, stderr=log
                )
            except (OSError, ValueError) as error:
                self._discard_log()
                raise WorkerError(_cannot_start(self.python, error)) from error
        self._reader = LineReader(self._process)
        threading.Thread(target=self._send, daemon=True).start()
        self._write({"task": self.task, "options": self._options})

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self._outcome is not None or self._reader.ended

    def poll(self, timeout: float) -> dict[str, Any] | None:
        """Return the next event, or ``None`` when none came within ``timeout`` seconds."""
        self._enforce_cancel()
        if self.ended:
            return None
        line = self._reader.read(timeout)
        if line is None:
            return None
        event = decode(line)
        if event is None:
            self._count_stray(line)
            return None
        self._spoke = True
        if event["event"] in ("result", "error"):
            self._outcome = event
            return None
        return event

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the events until the task ends; :meth:`result` then tells how it ended."""
        while not self.ended:
            event = self.poll(0.1)
            if event is not None:
                yield event

    def cancel(self) -> None:
        """Ask the worker to end; whoever polls ends it by force after the grace."""
        if self._cancelled.is_set():
            return
        self._deadline = time.monotonic() + GRACE
        self._cancelled.set()
        self._write({"cancel": True})

    def result(self) -> dict[str, Any]:
        """Return the result of the ended task, or raise how it failed."""
        if self._cancelled.is_set():
            raise CancelledError
        if self._outcome is None:
            raise self._death()
        if self._outcome["event"] == "result":
            return self._outcome.get("result") or {}
        raise self._failure(self._outcome)

    def close(self) -> None:
        """End the process, whatever it does, and forget the log of a task that went well."""
        if not self._cancelled.is_set() and self._outcome is not None:
            self._wait(2.0)
        kill_tree(self._process)
        self._reader.close()
        self._outbox.put(None)
        self._wait(2.0)
        failed = self._outcome is None or self._is_unexpected(self._outcome)
        if self._cancelled.is_set() or not failed:
            self._discard_log()

    def _enforce_cancel(self) -> None:
        if self._cancelled.is_set() and time.monotonic() > self._deadline:
            kill_tree(self._process)
            self._reader.close()

    def _count_stray(self, line: str) -> None:
        if line.strip():
            self._stray.append(line.strip())
        if len(self._stray) > STRAY_LINES and not self._spoke:
            kill_tree(self._process)
            self._reader.close()

    def _write(self, message: dict[str, Any]) -> None:
        self._outbox.put(encode(message))

    def _send(self) -> None:
        """Hand over what is written: a worker that does not read yet must not hold up a cancel."""
        # A worker that is already dead is noticed by its silence, not here.
        with contextlib.suppress(OSError, ValueError), self._process.stdin as stream:
            while (line := self._outbox.get()) is not None:
                stream.write(line)
                stream.flush()

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self._process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)

    def _death(self) -> WorkerError:
        """Return why the worker ended without a result."""
        self._wait(1.0)
        if self._stray and not self._spoke:
            return WorkerError(
                f"'{self.python}' did not start a worker but answered "
                f'"{self._stray[0][:100]}". Choose a Python 3.9 or newer that has PyTorch.'
            )
        reason = explain_exit(self._process.poll())
        if reason.hint:
            return WorkerError(f"The worker {reason.what}. {reason.hint}")
        tail = _tail(self.log)
        said = f": {tail}" if tail else ""
        return WorkerError(
            f"The worker {reason.what} without a result{said}. The log is {self.log}."
        )

    def _failure(self, event: dict[str, Any]) -> GeoDLError:
        error = error_of(event)
        if not self._is_unexpected(event):
            return error
        return type(error)(f"{error} The details are in {self.log}.")

    @staticmethod
    def _is_unexpected(event: dict[str, Any]) -> bool:
        return bool(event.get("unexpected"))

    def _discard_log(self) -> None:
        with contextlib.suppress(OSError):
            self.log.unlink()


class ExitReason:
    """What an exit status means, and what the user can do."""

    def __init__(self, what: str, hint: str = "") -> None:
        self.what = what
        self.hint = hint


def explain_exit(code: int | None) -> ExitReason:
    """Return what the exit status of a worker means."""
    if code in (-9, 137, *NO_MEMORY):
        return ExitReason(
            "was killed, probably because the machine ran out of memory",
            "Use a smaller batch size or a smaller tile or chip size, or close other programs.",
        )
    if code is None:
        return ExitReason("does not answer")
    if code < 0:
        with contextlib.suppress(ValueError):
            return ExitReason(f"crashed ({signal.Signals(-code).name})")
    if code in NO_LIBRARY:
        return ExitReason(
            f"could not load a library (0x{code:X})",
            "Run the tool 'Set up deep learning libraries' with the action REPAIR.",
        )
    if code >= FATAL:
        return ExitReason(f"crashed (0x{code:X})")
    return ExitReason(f"ended with status {code}")


def _environment(python: str) -> dict[str, str]:
    """Return a worker's environment: QGIS's own, cleaned, with every telemetry off."""
    additions = {
        **NO_TELEMETRY,
        "PYTHONUTF8": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "MPLBACKEND": "Agg",
    }
    if "OMP_NUM_THREADS" not in os.environ:
        # Libraries count the machine's processors, not those that this process may use.
        additions["OMP_NUM_THREADS"] = str(_processors())
    environment = clean_environment(additions)
    for name in foreign_data(python):
        environment.pop(name, None)
    return environment


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cannot_start(python: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError) or not Path(python).exists():
        return (
            f"There is no Python at '{python}'. Choose another Python, or run the tool 'Set up "
            "deep learning libraries'."
        )
    reason = getattr(error, "strerror", None) or str(error)
    return f"'{python}' cannot be started ({reason}). Choose the program of a Python."


def _tail(log: Path) -> str:
    """Return the last words of a log, as part of a sentence."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(log.stat().st_size - 4000, 0))
            text = stream.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".")[:300] if lines else ""
