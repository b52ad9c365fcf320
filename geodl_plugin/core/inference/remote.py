"""Tiles that the workers of a cluster answer. Each computes what this machine would.

What they find comes back in the order of the tiles, so the result is that of one machine.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, astuple, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import errors
from ..cluster import Cluster
from ..errors import GeoDLError, RasterError
from ..geo.grid import Tile, Window
from ..packages.store import locate
from ..progress import Phase, Progress
from .answering import Answering
from .checks import open_change, open_detection, open_pixels
from .engine import open_engine
from .journal import Notes
from .options import ChangeOptions, DetectionOptions, InferenceOptions, PixelOptions
from .pipeline import Sink, run_tiles
from .tiles import TileImage

PIXELS = 4_000_000  # of the tiles of one call, so that a lost one costs little
SHARE = 4  # calls for each thread at least, so that none is idle at the end
SETTINGS = ("precision", "batch_size", "engine")  # decided once, for all workers

_KINDS = {
    "DetectionOptions": (DetectionOptions, open_detection),
    "PixelOptions": (PixelOptions, open_pixels),
    "ChangeOptions": (ChangeOptions, open_change),
}


def run_tiles_elsewhere(
    work: Answering,
    tiles: Iterable[Tile],
    consume: Callable[[tuple[TileImage, Any]], None],
    phase: Phase,
    skipped: Callable[[Tile], None] | None = None,
    batch_done: Callable[[], None] | None = None,
) -> None:
    """Have tiles answered by the workers of a cluster; else as :func:`.pipeline.run_tiles`.

    Raises:
        GeoDLError: when a worker fails, which is named.
    """

    def take(entry: tuple[TileImage, Any] | tuple[()] | Tile) -> None:
        if isinstance(entry, Tile):
            if skipped is not None:
                skipped(entry)
        elif entry:
            consume(entry)
        elif batch_done is not None:
            batch_done()

    order, notes, warned = _order(work.options), work.engine.notes, set[str]()
    with Cluster(work.options.scheduler, phase) as cluster, Sink(take) as sink:
        threads = cluster.wait()
        phase.progress.info(f"Computing on the Dask cluster {cluster.address}, {threads} threads.")
        most = max(PIXELS // work.tiles.size**2, 1)
        size = min(most, math.ceil(len(work.tiles) / (SHARE * threads)))
        answers = cluster.stream(
            _groups(tiles, size),
            lambda group: (
                __name__,
                "answer",
                order,
                {name: notes.noted(name) for name in SETTINGS},
                [(*astuple(tile.inner), *astuple(tile.outer)) for tile in group],
            ),
            lambda: notes.noted("engine") is not None,
        )
        for group, told in answers:
            if told["error"]:
                raise getattr(errors, told["error"], RasterError)(told["message"])
            for name, value in told["settings"].items():
                notes.note(name, value)
            _relay(told, warned, phase.progress)
            for each in told["found"]:
                sink.put(each.opened() if isinstance(each, Answered) else each)
            sink.put(())
            phase.step(len(group))


def _relay(told: dict[str, Any], warned: set[str], progress: Progress) -> None:
    """Pass on what a worker tells; several find the same damage."""
    for each in told["infos"]:
        progress.info(f"{told['worker']}: {each}")
    for each in told["warnings"]:
        if each not in warned:
            warned.add(each)
            progress.warn(each)


def answer(order: str, settings: dict[str, Any], tiles: list[tuple[int, ...]]) -> dict[str, Any]:
    """Answer tiles, on a worker of the cluster.

    Args:
        order: the task, as JSON.
        settings: of the engine, where another worker has decided them.
        tiles: the numbers of their inner and outer windows.
    """
    from distributed import get_worker

    worker = str(get_worker().address)
    told: dict[str, Any] = {"worker": worker, "error": "", "settings": {}}
    try:
        station = _station(order)
        with station.turn:
            windows = [Tile(Window(*each[:4]), Window(*each[4:])) for each in tiles]
            return {**told, **station.answer(settings, windows)}
    except GeoDLError as error:
        message = f"The Dask worker {worker} cannot go on: {error}"
        return {**told, "error": type(error).__name__, "message": message}


@dataclass(frozen=True)
class Answered:
    """A tile's answer on its way: where all is valid, nobody needs to be told where.

    Attributes:
        tile, valid, inside: as of :class:`.tiles.TileImage`.
        answer: of the network.
    """

    tile: Tile
    valid: np.ndarray | None
    inside: np.ndarray | None
    answer: Any

    @classmethod
    def of(cls, image: TileImage, answer: Any) -> Answered:
        """Return what travels of a tile: its pixels stay behind."""
        if isinstance(answer, dict):
            answer = {name: _on_cpu(value) for name, value in answer.items()}
        valid = None if image.valid.all() else image.valid
        return cls(image.tile, valid, image.inside, _on_cpu(answer))

    def opened(self) -> tuple[TileImage, Any]:
        """Return the tile without its pixels, and its answer."""
        outer = self.tile.outer
        valid = np.ones((outer.height, outer.width), bool) if self.valid is None else self.valid
        nothing = np.zeros((0, outer.height, outer.width), np.float32)
        return TileImage(self.tile, nothing, valid, self.inside), self.answer


class _Station:
    """A task that is open in this process: its files, and its network in memory."""

    def __init__(self, order: str) -> None:
        told = json.loads(order)
        for path in told["files"]:
            if not Path(path).exists():
                raise RasterError(
                    f"'{path}' is not there. Put it where all machines see it under this path."
                )
        kind, check = _KINDS[told["kind"]]
        self.turn = threading.Lock()
        self._progress = _Heard()
        options = kind(**told["options"])
        self._job = check(options)
        engine = open_engine(self._job.model, options, self._progress)
        if isinstance(options, DetectionOptions):
            from .detect import answering
        else:
            from .pixels import answering
        self._work: Answering = answering(self._job, engine, options, self._progress)
        self._settled = False

    def answer(self, settings: dict[str, Any], tiles: list[Tile]) -> dict[str, Any]:
        """Return the answers to tiles, and among them those tiles that have no data."""
        work = self._work
        if settings["engine"] is not None and not self._settled:
            work.engine.go_on(Notes(settings))
            self._settled = True
        found: list[Answered | Tile] = []
        run_tiles(
            tiles,
            work.open_reader,
            work.engine,
            work.decode,
            lambda entry: found.append(Answered.of(*entry)),
            Phase(Progress(), "", len(tiles), ""),
            found.append,
        )
        return {"found": found, "settings": _settings(work), **self._progress.heard()}


_STATIONS: dict[str, _Station] = {}
_OPENING = threading.Lock()


def _station(order: str) -> _Station:
    """Return the station of an order; those of earlier orders give their memory back."""
    with _OPENING:
        if order not in _STATIONS:
            _STATIONS.clear()
            _STATIONS[order] = _Station(order)
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


def _order(options: InferenceOptions) -> str:
    """Return a task as JSON: the options, and the files that every machine must see."""
    model = options.model.strip()
    changes: dict[str, Any] = {
        "scheduler": "",
        "sources": [_absolute(each) for each in options.sources],
        "model": model if model.startswith("{") else str(locate(model).absolute()),
    }
    if options.mask:
        changes["mask"] = [_absolute(options.mask[0]), *options.mask[1:]]
    if isinstance(options, ChangeOptions):
        changes["second"] = [_absolute(each) for each in options.second]
    told = asdict(replace(options, **changes))
    named = [*told["sources"], told["model"], *(told["mask"] or [])[:1], *told.get("second", [])]
    files = [each for each in named if _is_file(each)]
    return json.dumps({"kind": type(options).__name__, "options": told, "files": files})


def _absolute(source: str) -> str:
    return str(Path(source).absolute()) if _is_file(source) else source


def _is_file(source: str) -> bool:
    try:
        return Path(source).exists()
    except (OSError, ValueError):  # a text that is no path, or too long for one
        return False


def _groups(tiles: Iterable[Tile], size: int) -> Iterator[list[Tile]]:
    waiting = iter(tiles)
    while group := list(islice(waiting, size)):
        yield group


def _settings(work: Answering) -> dict[str, Any]:
    told = {name: work.engine.notes.noted(name) for name in SETTINGS}
    return {name: value for name, value in told.items() if value is not None}


def _on_cpu(value: Any) -> Any:
    return value.cpu() if isinstance(value, torch.Tensor) else value
