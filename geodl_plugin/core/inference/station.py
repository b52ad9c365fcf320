"""What tiles and objects share when the workers of a cluster answer them.

A worker opens a task once, in a station, and answers group after group of its items. The first
answers decide how all workers compute.
"""

from __future__ import annotations

import contextlib
import json
import math
import threading
import uuid
from collections.abc import Callable, Generator, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .. import errors
from ..cluster import Cluster
from ..errors import GeoDLError, RasterError
from ..packages.store import locate
from ..progress import Phase, Progress
from .journal import Journal, Notes
from .options import ChangeOptions, InferenceOptions

if TYPE_CHECKING:
    from .engine import Engine

PIXELS = 4_000_000  # of the images of one call, so that a lost one costs little
SHARE = 4  # calls for each thread at least, so that none is idle at the end
SETTINGS = ("precision", "batch_size", "engine")  # decided once, for all workers

Item = TypeVar("Item")
Opened = tuple["Engine", Callable[[list[Any]], Any]]
Open = Callable[[dict[str, Any], Progress], Opened]


@dataclass(frozen=True)
class Commission:
    """A task that the workers of a cluster are asked to do.

    Attributes:
        options: of the task, which name the cluster.
        notes: keep what is decided once.
        module: whose function ``answer`` is called there; it hands on to :func:`respond`.
        side: of an image, in pixels.
        count: of all images.
    """

    options: InferenceOptions
    notes: Journal | Notes
    module: str
    side: int
    count: int

    def answers(
        self,
        groups: Callable[[int], Iterable[list[Item]]],
        packed: Callable[[list[Item]], list[tuple[Any, ...]]],
        phase: Phase,
    ) -> Generator[tuple[list[Item], Any], None, None]:
        """Yield groups of items with what a worker found, in order.

        Args:
            groups: makes groups of at most so many items.
            packed: returns plain values, which travel to the worker instead of a group.
            phase: of the work.

        Raises:
            GeoDLError: when a worker fails, which is named.
        """
        order, warned = self._order(), set[str]()
        with Cluster(self.options.scheduler, phase) as cluster:
            threads = cluster.wait()
            phase.progress.info(
                f"Computing on the Dask cluster {cluster.address}, {threads} threads."
            )
            most = max(PIXELS // self.side**2, 1)
            size = min(most, math.ceil(self.count / (SHARE * threads)))
            stream = cluster.stream(
                groups(size),
                lambda group: (self.module, "answer", order, self._settings(), packed(group)),
                lambda: self.notes.noted("engine") is not None,
            )
            with contextlib.closing(stream):
                for group, told in stream:
                    if told["error"]:
                        raise getattr(errors, told["error"], RasterError)(told["message"])
                    for name, value in told["settings"].items():
                        self.notes.note(name, value)
                    _relay(told, warned, phase.progress)
                    yield group, told["found"]

    def _settings(self) -> dict[str, Any]:
        return {name: self.notes.noted(name) for name in SETTINGS}

    def _order(self) -> str:
        """Return the task as JSON: the options, and the files that every machine must see.

        No two are alike: files may be others in the next run, and damage is told again.
        """
        options = self.options
        model = options.model.strip()
        changes: dict[str, Any] = {
            "scheduler": "",
            "sources": [absolute(each) for each in options.sources],
            "model": model if model.startswith("{") else str(locate(model).absolute()),
        }
        if options.mask:
            changes["mask"] = [absolute(options.mask[0]), *options.mask[1:]]
        if isinstance(options, ChangeOptions):
            changes["second"] = [absolute(each) for each in options.second]
        told = asdict(replace(options, **changes))
        named = [*told["sources"], told["model"], *(told["mask"] or [])[:1]]
        files = [each for each in [*named, *told.get("second", [])] if is_file(each)]
        kind = type(options).__name__
        order = {"run": uuid.uuid4().hex, "kind": kind, "options": told, "files": files}
        return json.dumps({**order, "count": self.count})


def _relay(told: dict[str, Any], warned: set[str], progress: Progress) -> None:
    """Pass on what a worker tells; several find the same damage."""
    for each in told["infos"]:
        progress.info(f"{told['worker']}: {each}")
    for each in told["warnings"]:
        if each not in warned:
            warned.add(each)
            progress.warn(each)


def absolute(source: str) -> str:
    """Return the whole path of a raster that is a file; other sources as they are."""
    return str(Path(source).absolute()) if is_file(source) else source


def is_file(source: str) -> bool:
    """Return whether a source is the path of something on this machine."""
    try:
        return Path(source).exists()
    except (OSError, ValueError):  # a text that is no path, or too long for one
        return False


def respond(
    order: str, settings: dict[str, Any], items: list[tuple[Any, ...]], open_work: Open
) -> dict[str, Any]:
    """Answer items, on a worker of the cluster.

    Args:
        order: the task, as JSON.
        settings: of the engine, where another worker has decided them.
        items: as they travel.
        open_work: opens the task; returns its engine and what answers items.
    """
    from distributed import get_worker

    worker = str(get_worker().address)
    told: dict[str, Any] = {"worker": worker, "error": "", "settings": {}}
    try:
        station = _station(order, open_work)
        with station.turn:
            return {**told, **station.answer(settings, items)}
    except GeoDLError as error:
        message = f"The Dask worker {worker} cannot go on: {error}"
        return {**told, "error": type(error).__name__, "message": message}


def require(paths: Iterable[str]) -> None:
    """Raise :class:`RasterError` unless this machine sees files too."""
    for path in paths:
        if not Path(path).exists():
            raise RasterError(
                f"'{path}' is not there. Put it where all machines see it under this path."
            )


class _Station:
    """A task that is open in this process: its files, and its network in memory."""

    def __init__(self, order: str, open_work: Open) -> None:
        told = json.loads(order)
        require(told["files"])
        self.turn = threading.Lock()
        self._progress = _Heard()
        self._engine, self._find = open_work(told, self._progress)
        self._settled = False

    def answer(self, settings: dict[str, Any], items: list[tuple[Any, ...]]) -> dict[str, Any]:
        """Return what is found for items, how it was computed, and what there is to tell."""
        if settings["engine"] is not None and not self._settled:
            self._engine.go_on(Notes(settings))
            self._settled = True
        found = self._find(items)
        noted = {name: self._engine.notes.noted(name) for name in SETTINGS}
        decided = {name: value for name, value in noted.items() if value is not None}
        return {"found": found, "settings": decided, **self._progress.heard()}


_STATIONS: dict[str, _Station] = {}
_OPENING = threading.Lock()


def _station(order: str, open_work: Open) -> _Station:
    """Return the station of an order; those of earlier orders give their memory back."""
    with _OPENING:
        if order not in _STATIONS:
            _STATIONS.clear()
            _STATIONS[order] = _Station(order, open_work)
        return _STATIONS[order]


class _Heard(Progress):
    """Keeps what is told, until it can travel."""

    def __init__(self) -> None:
        self._infos: list[str] = []
        self._warnings: list[str] = []

    def info(self, message: str) -> None:
        self._infos.append(message)

    def warn(self, message: str) -> None:
        self._warnings.append(message)

    def heard(self) -> dict[str, list[str]]:
        """Return what was told since the last time."""
        told = {"infos": self._infos, "warnings": self._warnings}
        self._infos, self._warnings = [], []
        return told
