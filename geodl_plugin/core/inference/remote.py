"""Tiles that the workers of a cluster answer. Each computes what this machine would.

What they find comes back in the order of the tiles, so the result is that of one machine.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch

from ..geo.grid import Tile, Window
from ..progress import Phase, Progress
from .answering import Answering
from .checks import open_change, open_detection, open_pixels
from .loading import open_engine
from .options import ChangeOptions, DetectionOptions, PixelOptions
from .pipeline import Sink, run_tiles, sorted_by_kind
from .station import Commission, Opened, respond
from .tiles import TileImage

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
    take = sorted_by_kind(consume, skipped, batch_done)
    plan, notes = work.tiles, work.engine.notes
    commission = Commission(work.options, notes, __name__, plan.size, len(plan))
    stream = commission.answers(lambda size: _groups(tiles, size), _packed, phase)
    with Sink(take) as sink, contextlib.closing(stream):
        for group, found in stream:
            for each in found:
                sink.put(each.opened() if isinstance(each, Answered) else each)
            sink.put(())
            phase.step(len(group))


def _groups(tiles: Iterable[Tile], size: int) -> Iterator[list[Tile]]:
    waiting = iter(tiles)
    while group := list(islice(waiting, size)):
        yield group


def _packed(tiles: list[Tile]) -> list[tuple[Any, ...]]:
    """Return the numbers of the tiles' inner and outer windows."""
    return [(*astuple(tile.inner), *astuple(tile.outer)) for tile in tiles]


def answer(order: str, settings: dict[str, Any], tiles: list[tuple[Any, ...]]) -> dict[str, Any]:
    """Answer tiles, on a worker of the cluster; else as :func:`.station.respond`."""
    return respond(order, settings, tiles, _open)


def _open(told: dict[str, Any], progress: Progress) -> Opened:
    """Open a task; its answers to tiles have those without data among them."""
    kind, check = _KINDS[told["kind"]]
    options = kind(**told["options"])
    job = check(options)
    if isinstance(options, DetectionOptions):
        from .detect import answering
    else:
        from .pixels import answering
    work: Answering = answering(job, open_engine(job.model, options, progress), options, progress)

    def find(tiles: list[tuple[Any, ...]]) -> list[Answered | Tile]:
        found: list[Answered | Tile] = []
        run_tiles(
            [Tile(Window(*each[:4]), Window(*each[4:])) for each in tiles],
            work.open_reader,
            work.engine,
            work.decode,
            lambda entry: found.append(Answered.of(*entry)),
            Phase(Progress(), "", len(tiles), ""),
            found.append,
        )
        return found

    return work.engine, find


@dataclass(frozen=True)
class Answered:
    """A tile's answer on its way: where all is valid, nobody needs to be told where.

    Attributes:
        tile, seen, valid, inside: as of :class:`.tiles.TileImage`.
        answer: of the network.
    """

    tile: Tile
    seen: Window
    valid: np.ndarray | None
    inside: np.ndarray | None
    answer: Any

    @classmethod
    def of(cls, image: TileImage, answer: Any) -> Answered:
        """Return what travels of a tile: its pixels stay behind."""
        if isinstance(answer, dict):
            answer = {name: _on_cpu(value) for name, value in answer.items()}
        valid = None if image.valid.all() else image.valid
        return cls(image.tile, image.seen, valid, image.inside, _on_cpu(answer))

    def opened(self) -> tuple[TileImage, Any]:
        """Return the tile without its pixels, and its answer."""
        size = (self.seen.height, self.seen.width)
        valid = np.ones(size, bool) if self.valid is None else self.valid
        nothing = np.zeros((0, *size), np.float32)
        return TileImage(self.tile, self.seen, nothing, valid, self.inside), self.answer


def _on_cpu(value: Any) -> Any:
    return value.cpu() if isinstance(value, torch.Tensor) else value
