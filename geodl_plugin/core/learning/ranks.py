"""Several devices: one process each that trains the same network on its share of the chips.

The first process is the worker itself; it starts one more worker for each further device with
the same request. They hear nothing from the user and write nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from torch import distributed

from .options import TrainingOptions

_WORKER = Path(__file__).resolve().parents[2] / "worker" / "__main__.py"
_RANK = "LOCAL_RANK"  # Lightning's name: where it is set, Lightning starts no processes
_HOST = "127.0.0.1"
_GRACE = 20.0  # seconds in which a lost process is noticed by the others


def own_rank() -> int:
    """Return which of the processes this one is; 0 leads."""
    return int(os.environ.get(_RANK) or 0)


@contextlib.contextmanager
def companions(
    options: TrainingOptions, batch_size: int, rates: tuple[float, float]
) -> Iterator[None]:
    """Have the processes of the further devices train along inside the block.

    Args:
        options: of the training.
        batch_size: of each device.
        rates: of encoder and head.
    """
    if options.devices < 2 or own_rank():
        yield
        return
    request = dataclasses.replace(
        options,
        batch_size=batch_size,
        learning_rate=",".join(repr(rate) for rate in rates),
    )
    meeting = {"MASTER_ADDR": _HOST, "MASTER_PORT": str(_free_port())}
    line = json.dumps({"task": "train", "options": dataclasses.asdict(request)}) + "\n"
    over = threading.Event()
    processes = [_start(rank, meeting, line) for rank in range(1, options.devices)]
    threading.Thread(target=_watch, args=(processes, over), daemon=True).start()
    before = {name: os.environ.get(name) for name in (*meeting, _RANK)}
    os.environ.update({**meeting, _RANK: "0"})
    try:
        yield
    finally:
        over.set()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        for process in processes:
            process.kill()
            process.wait()
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _start(rank: int, meeting: dict[str, str], line: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, str(_WORKER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, **meeting, _RANK: str(rank)},
    )
    if process.stdin is not None:
        # It stays open: a worker whose input ends has lost its parent and ends itself.
        process.stdin.write(line.encode("utf-8"))
        process.stdin.flush()
    return process


def _watch(processes: list[subprocess.Popen[bytes]], over: threading.Event) -> None:
    """End this process when another one was lost: it would wait for its gradients for ever."""
    while not over.wait(1.0):
        if any(process.poll() not in (None, 0) for process in processes):
            if not over.wait(_GRACE):
                sys.stderr.write("A process of another device has ended before its time.\n")
                sys.stderr.flush()
                os._exit(1)
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
