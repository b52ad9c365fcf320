"""Tiles and their answers: how a task has them made, here or by the workers of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..geo.grid import Tile
from ..progress import Phase
from .options import DetectionOptions, PixelOptions
from .pipeline import run_tiles
from .tiles import TileImage, TilePlan, TileReader

if TYPE_CHECKING:
    from .engine import Decode, Engine


@dataclass(frozen=True)
class Answering:
    """What makes the answers of a task's tiles, on any machine that can open its files.

    Attributes:
        options: of the task.
        tiles: the plan of all of them.
        engine: computes batches.
        open_reader: makes a reader for each thread.
        decode: makes answers of the network's output, one a tile.
    """

    options: DetectionOptions | PixelOptions
    tiles: TilePlan
    engine: Engine
    open_reader: Callable[[], TileReader]
    decode: Decode

    def run(
        self,
        tiles: Iterable[Tile],
        consume: Callable[[tuple[TileImage, Any]], None],
        phase: Phase,
        skipped: Callable[[Tile], None] | None = None,
        batch_done: Callable[[], None] | None = None,
    ) -> None:
        """Have tiles answered and the answers consumed, in the order of the tiles.

        Args:
            tiles: all of the plan, or those that are left.
            consume, phase, skipped, batch_done: as of :func:`.pipeline.run_tiles`.
        """
        if self.options.scheduler:
            from .remote import run_tiles_elsewhere

            run_tiles_elsewhere(self, tiles, consume, phase, skipped, batch_done)
            return
        run_tiles(
            tiles, self.open_reader, self.engine, self.decode, consume, phase, skipped, batch_done
        )
