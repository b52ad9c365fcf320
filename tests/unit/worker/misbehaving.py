"""Stands in for the worker's Python: the real worker, with tasks that go wrong added.

Run as ``python misbehaving.py …/worker/__main__.py``, the way that the client starts a Python.
"""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path


def describe(options, progress):
    """Report what the worker sees of its surroundings."""
    return {
        "options": options,
        "path": sys.path,
        "modules": sorted(sys.modules),
        "environment": dict(os.environ),
        "pid": os.getpid(),
    }


def tell(options, progress):
    progress.info("hello")
    progress.warn("careful")
    progress.epoch({"epoch": 1, "epochs": 2, "train_loss": float("nan"), "seconds": 0.5})
    for step in range(5001):
        progress.update(step / 5000, f"Step {step}")
    return {"steps": 5001}


def chatter(options, progress):
    """Print to standard output in every way there is."""
    print("print")  # noqa: T201
    os.system("echo a child")
    os.write(1, b"the descriptor\n")
    sys.__stdout__.write('{"event": "result", "result": {"forged": true}}\n')
    sys.__stdout__.flush()
    return {"honest": True}


def fail(options, progress):
    from geodl_plugin.core import errors

    kind = getattr(errors, options["kind"])
    raise kind(options["message"])


def stumble(options, progress):
    raise KeyError("a key that no user knows")


def exhaust(options, progress):
    raise MemoryError


def need_library(options, progress):
    import a_library_that_nobody_has  # noqa: F401


def die(options, progress):
    sys.stderr.write("the last words\n")
    sys.stderr.flush()
    if options["signal"]:
        os.kill(os.getpid(), options["signal"])
        time.sleep(10)
    os._exit(options["status"])


def sleep_politely(options, progress):
    while True:
        progress.check()
        time.sleep(0.01)


def sleep_deeply(options, progress):
    """Hold out against everything but force, with a child that would outlive it."""
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(options["pids"]).write_text(f"{os.getpid()} {child.pid}")
    progress.info("asleep")
    time.sleep(600)


def compute(options, progress):
    """Be in the middle of work of torch's for as long as it takes."""
    import torch

    matrix = torch.rand(1500, 1500)
    progress.info("computing")
    while True:
        matrix = (matrix @ matrix).softmax(0)


def install_tasks():
    from geodl_plugin.worker.tasks import TASKS, Task

    for name, value in list(globals().items()):
        if callable(value) and getattr(value, "__module__", "") == __name__:
            TASKS[name] = Task(__name__, name)


if __name__ == "__main__":
    sys.modules["misbehaving"] = sys.modules[__name__]
    __name__ = "misbehaving"
    for each in [install_tasks, *list(globals().values())]:
        if callable(each) and getattr(each, "__module__", "") == "__main__":
            each.__module__ = __name__
    main_file = sys.argv[1]
    # As if the worker had been started itself: its folder comes first on the path.
    sys.path[0] = str(Path(main_file).parent)
    program = runpy.run_path(main_file, run_name="worker")
    install_tasks()
    sys.exit(program["main"]())
