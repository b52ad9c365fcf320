"""A Python whose worker knows tasks that go wrong."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from geodl_plugin.core.progress import Progress


class Recorder(Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.updates: list[tuple[float, str]] = []
        self.epochs: list[dict] = []
        self.said: list[str] = []
        self.warned: list[str] = []
        self.stop = lambda: False

    def update(self, fraction: float, message: str = "") -> None:
        self.updates.append((fraction, message))

    def epoch(self, record: dict) -> None:
        self.epochs.append(record)

    def info(self, message: str) -> None:
        self.said.append(message)

    def warn(self, message: str) -> None:
        self.warned.append(message)

    def cancelled(self) -> bool:
        return self.stop()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def make_program(tmp_path):
    """Return a function that writes an executable shell script and returns its path."""

    def make(body: str, name: str = "Python mit Ümlaut") -> str:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    return make


@pytest.fixture
def python(make_program) -> str:
    """The path of a Python whose worker knows the tasks of misbehaving.py."""
    script = Path(__file__).with_name("misbehaving.py")
    return make_program(f'exec {shlex.quote(sys.executable)} {shlex.quote(str(script))} "$@"')
