"""Work on the machines of a Dask cluster: retried, cancelled, its results in order.

The workers need GeoDL's libraries, and see its folder and the data under the same paths.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import MissingLibraryError, WorkerError
from .progress import Phase

if TYPE_CHECKING:
    from distributed import Future

PACKAGE = Path(__file__).resolve().parent.parent
CONNECT = 10.0  # seconds that a scheduler may take to answer
WITHOUT_WORKERS = 60.0  # seconds without any worker, before it counts as a failure
POLL = 0.02  # seconds between two looks at a result and at the user's wish to cancel
LOOK = 1.0  # seconds between two looks at the workers
RETRIES = 2  # of a call that failed; one whose worker died is moved by Dask itself
WAITING = 3  # calls for each thread of the cluster, so that none is idle

Item = TypeVar("Item")


class Cluster:
    """A Dask cluster that calls functions of GeoDL.

    Args:
        address: of the scheduler.
        phase: of the work: is asked for cancelling and told that time passes.

    Raises:
        WorkerError: when no scheduler answers there.
    """

    def __init__(self, address: str, phase: Phase) -> None:
        from distributed import Client

        self.address = address
        self._phase = phase
        self._looked = self._seen = time.monotonic()
        self._call = entrance(str(PACKAGE))
        try:
            self._client = Client(address, timeout=CONNECT, set_as_default=False)
        except (OSError, ValueError, TypeError, asyncio.TimeoutError) as error:
            raise WorkerError(
                f"No Dask scheduler answers at '{address}'. Start one with 'dask scheduler', or "
                "leave SCHEDULER empty to use this machine."
            ) from error

    @property
    def threads(self) -> int:
        """How many calls the cluster can do at a time, at this moment."""
        return sum(self._client.nthreads().values())

    def wait(self) -> int:
        """Wait until there are workers and return how many threads they have."""
        while not self.threads:
            self._watch()
            time.sleep(POLL)
        return self.threads

    def stream(
        self,
        items: Iterable[Item],
        call: Callable[[Item], tuple[Any, ...]],
        ready: Callable[[], bool] = lambda: True,
    ) -> Generator[tuple[Item, Any], None, None]:
        """Yield items with their results, in order; few are under way at a time.

        Who does not want all of them closes the generator before the cluster.

        Args:
            items: of the work.
            call: returns module and name of a function, and its arguments, of plain values.
            ready: until it is true, each call waits for the one before it.

        Raises:
            GeoDLError: whatever the function raises on a worker, which it names.
        """
        pending: deque[tuple[Item, Future]] = deque()
        try:
            for item in items:
                future = self._client.submit(self._call, *call(item), pure=False, retries=RETRIES)
                pending.append((item, future))
                while pending and len(pending) >= (WAITING * self.threads if ready() else 1):
                    first, future = pending.popleft()
                    yield first, self._result(future)
            while pending:
                first, future = pending.popleft()
                yield first, self._result(future)
        finally:
            self._client.cancel([future for _, future in pending], force=True)

    def _result(self, future: Future) -> Any:
        # What a dead worker had computed is no longer done, until another one has.
        while not future.done():
            time.sleep(POLL)
            self._watch()
        if future.status == "finished":
            return _opened(future.result())
        if future.status == "error":
            raise _failure(future.exception())
        raise WorkerError(
            f"The Dask scheduler at '{self.address}' has gone. Start it again, then run the same "
            "call again."
        )

    def _watch(self) -> None:
        """Let time pass: the user may cancel, the last worker may be gone."""
        self._phase.step(0)
        now = time.monotonic()
        if now - self._looked < LOOK:
            return
        self._looked = now
        if self._client.nthreads():
            self._seen = now
        elif now - self._seen > WITHOUT_WORKERS:
            raise WorkerError(
                f"The Dask scheduler at '{self.address}' has no workers. Start some with 'dask "
                f"worker {self.address}'."
            )

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *exception: object) -> None:
        self._client.close(timeout=2)


def entrance(folder: str) -> Callable[..., dict[str, Any]]:
    """Return what calls a function of GeoDL in a process that does not know GeoDL.

    Made inside a function, it travels as it is and not by its name. It knows nothing but
    itself.

    Args:
        folder: of GeoDL's package; where it is absent, the package may be installed.
    """

    def enter(module: str, function: str, *arguments: Any) -> dict[str, Any]:
        import importlib.util
        import os
        import sys

        from distributed import get_worker

        package, start = module.split(".")[0], os.path.join(folder, "__init__.py")  # noqa: PTH118
        if package not in sys.modules and os.path.exists(start):  # noqa: PTH110
            spec = importlib.util.spec_from_file_location(
                package, start, submodule_search_locations=[folder]
            )
            found = importlib.util.module_from_spec(spec)
            sys.modules[package] = found
            spec.loader.exec_module(found)
        told = {"worker": get_worker().address, "folder": folder}
        try:
            work = getattr(importlib.import_module(module), function)
        except ImportError as error:
            return {**told, "missing": error.name or str(error)}
        return {**told, "value": work(*arguments)}

    return enter


def _opened(told: dict[str, Any]) -> Any:
    """Return what a function returned; raise when it could not be called."""
    if "missing" not in told:
        return told["value"]
    worker, missing = told["worker"], told["missing"]
    if missing.split(".")[0] == PACKAGE.name:
        raise WorkerError(
            f"The Dask worker {worker} cannot open '{told['folder']}'. Put GeoDL where all "
            "machines see it under this path, or install it there."
        )
    raise MissingLibraryError(
        f"'{missing}' is not installed for the Dask worker {worker}. Start it with a Python that "
        "has GeoDL's libraries."
    )


def _failure(error: BaseException) -> WorkerError:
    """Return why a call failed in all its trials."""
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return WorkerError(
            "Several Dask workers died at the same work, probably because their machines ran out "
            "of memory. Use a smaller batch size or a smaller tile size, or give them more memory."
        )
    lines = str(error).strip().splitlines() or [""]
    return WorkerError(
        f"A Dask worker failed ({type(error).__name__}: {lines[0][:300].rstrip('.')}). Its log "
        "tells more."
    )
