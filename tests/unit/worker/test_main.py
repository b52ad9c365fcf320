"""How the worker's process ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MAIN = Path(__file__).resolve().parents[3] / "geodl_plugin" / "worker" / "__main__.py"

# Runs the worker with another task; what is never taken apart says nothing.
SCRIPT = """
import atexit, runpy, sys, threading, time
from geodl_plugin.worker import runner

class Library:
    def __del__(self):
        print("taken apart", file=sys.stderr)

def run(channel):
    atexit.register(print, "put in order", file=sys.stderr)
    threading.Thread(target=lambda: (time.sleep(0.2), print("written", file=sys.stderr))).start()
    {ending}

library = Library()
runner.run_request = run
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@pytest.mark.parametrize(
    ("ending", "status"), [("return 0", 0), ("return 3", 3), ("raise ValueError('odd')", 1)]
)
def test_it_ends_at_once_when_all_is_in_order(ending: str, status: int) -> None:
    command = [sys.executable, "-c", SCRIPT.format(ending=ending), str(MAIN)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stderr
    assert "taken apart" not in done.stderr
    assert done.stderr.index("written") < done.stderr.index("put in order")
    assert ("ValueError: odd" in done.stderr) == (status == 1)
