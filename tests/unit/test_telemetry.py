"""No library tells its makers anything."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import socket, sys
def refuse(*arguments, **options):
    raise SystemExit("a connection was tried")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
from geodl_plugin.core.telemetry import silence
silence()
import openvino.tools.ovc
assert "stub" in sys.modules["openvino.tools.ovc"].telemetry.__class__.__module__
print("silent")
"""


def test_openvino_sends_nothing() -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed here")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "silent", done.stderr
