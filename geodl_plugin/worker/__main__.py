"""The worker process: reads one task, runs it, tells how it goes.

Started by path, ``python …/geodl_plugin/worker/__main__.py``, so that the plugin need not be
installed in the Python that has the libraries.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent


def make_importable() -> None:
    """Make the plugin's package importable, and nothing that lies beside it.

    Python put this folder on the path, where ``tasks`` or ``protocol`` could shadow a
    library. The folder above the package may hold other plugins: it stays off the path too.
    """
    sys.path[:] = [entry for entry in sys.path if not _is_here(entry)]
    if PACKAGE.name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(
        PACKAGE.name, PACKAGE / "__init__.py", submodule_search_locations=[str(PACKAGE)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"There is no package in {PACKAGE}.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE.name] = module
    spec.loader.exec_module(module)


def _is_here(entry: str) -> bool:
    return bool(entry) and Path(entry).resolve() == HERE


# Not under the guard below: children that are spawned and not forked, as the readers of
# training data are on Windows and macOS, import this file to find the package.
make_importable()


def main() -> int:
    """Run one task and return the exit code."""
    from geodl_plugin.worker.protocol import Channel
    from geodl_plugin.worker.runner import run_request

    return run_request(Channel.take_over())


def leave() -> None:
    """End the process at once: to take the libraries apart takes a second, and QGIS waits."""
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    status = 1
    atexit.register(leave)  # the first one that is registered runs last
    status = main()
