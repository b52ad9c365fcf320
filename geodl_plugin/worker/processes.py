"""Child processes: started without a shell, followed line by line, ended with their children."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

WINDOWS = os.name == "nt"

# QGIS has no console: a program that wants one would open a black window before the user's eyes.
NO_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)

# Variables by which QGIS steers its own Python; another Python must not see them.
FOREIGN_VARIABLES = (
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONEXECUTABLE",
    "PYTHONSTARTUP",
    "__PYVENV_LAUNCHER__",
)

# Tell what every child is to know besides: QGIS's proxy, for example.
VARIABLE_SOURCES: list[Callable[[], Mapping[str, str]]] = []

PATIENCE = 20.0  # seconds that the end of a process may take

LONGEST_LINE = 64 * 1024 * 1024  # bytes; what is longer is no answer but a flood


def clean_environment(additions: dict[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without what belongs to QGIS's Python alone."""
    environment = {
        name: value for name, value in os.environ.items() if name not in FOREIGN_VARIABLES
    }
    for source in VARIABLE_SOURCES:
        environment.update(source())
    environment.update(additions or {})
    return environment


def start_process(
    command: Sequence[str],
    environment: dict[str, str],
    stdin: int | None = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.STDOUT,
) -> subprocess.Popen[bytes]:
    """Start ``command`` in a process group of its own; raise ``OSError`` when it cannot."""
    options: dict[str, Any] = {"start_new_session": True}
    if WINDOWS:
        options = {"creationflags": NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
    return subprocess.Popen(
        list(command),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=environment,
        **options,
    )


def run_quietly(
    command: Sequence[str], timeout: float, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a short command to its end and return what it has said.

    Raises:
        OSError: when it cannot be started.
        subprocess.TimeoutExpired: when it takes longer than that many seconds.
    """
    return subprocess.run(
        list(command),
        stdin=subprocess.DEVNULL,  # that of a program without a console may be no file at all
        capture_output=True,
        env=environment,
        timeout=timeout,
        creationflags=NO_WINDOW,
    )


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """End ``process`` and the children it started, at once."""
    if WINDOWS:
        if process.poll() is None:
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                run_quietly(["taskkill", "/T", "/F", "/PID", str(process.pid)], PATIENCE)
    else:
        # The group outlives its leader as long as a child does.
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        process.kill()


class LineReader:
    """Reads the lines of a child's output in a thread, so that waiting has a limit."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._lines: queue.Queue[bytes | None] = queue.Queue(maxsize=10_000)
        self._ended = False
        self._closed = threading.Event()
        self._exit_seen = False
        threading.Thread(target=self._follow, daemon=True).start()

    def read(self, timeout: float) -> str | None:
        """Return the next line, or ``None`` when none came within ``timeout`` seconds."""
        if self._ended:
            return None
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            # A grandchild may keep the pipe open after the process itself has gone.
            if self._exit_seen:
                self._ended = True
            self._exit_seen = self._process.poll() is not None
            return None
        if line is None:
            self._ended = True
            return None
        return line.decode("utf-8", errors="replace").rstrip("\r\n")

    @property
    def ended(self) -> bool:
        """Whether all output has been read."""
        return self._ended

    def close(self) -> None:
        """Stop reading."""
        self._ended = True
        self._closed.set()

    def _follow(self) -> None:
        stream = self._process.stdout
        if stream is None:
            return
        with contextlib.suppress(OSError, ValueError):
            while not self._closed.is_set():
                line = stream.readline(LONGEST_LINE)
                if not line:
                    break
                self._put(line)
        self._put(None)
        with contextlib.suppress(OSError):
            stream.close()

    def _put(self, line: bytes | None) -> None:
        while not self._closed.is_set():
            try:
                self._lines.put(line, timeout=0.5)
                return
            except queue.Full:
                continue
