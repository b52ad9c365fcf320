"""What becomes of freed memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Two blocks freed and taken again ten times, as the steps of a training do; prints how many
# megabytes of new pages that took.
STEPS = """
import ctypes, resource, sys
sys.path.insert(0, {root!r})
from geodl_plugin.core.memory import keep_freed_memory
kept = keep_freed_memory() if {keep} else True
c = ctypes.CDLL(None)
c.malloc.restype, c.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
c.free.argtypes = [ctypes.c_void_p]
def step():
    blocks = [(c.malloc(size << 20), size << 20) for size in (24, 60)]
    for place, size in blocks:
        ctypes.memset(place, 1, size)
    for place, _ in blocks:
        c.free(place)
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(int(kept), faults * resource.getpagesize() >> 20)
"""


def new_pages(keep: bool) -> tuple[bool, int]:
    """Return whether memory is kept, and the megabytes of new pages."""
    script = STEPS.format(root=str(ROOT), keep=keep)
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    kept, megabytes = map(int, done.stdout.split())
    return bool(kept), megabytes


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks glibc")
def test_freed_memory_serves_the_next_step() -> None:
    _, without = new_pages(False)
    kept, with_it = new_pages(True)
    assert kept
    assert without > 400  # else there is nothing to gain here any more
    assert with_it < 20
