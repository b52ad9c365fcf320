"""The road of the tiles: read ahead in threads, compute in batches, consume in order.

Every queue is bounded, so memory is a constant, whatever the raster.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..geo.grid import Tile
from ..geo.raster import Raster
from ..geo.raster_pool import RasterPool
from ..geo.raster_writer import limit_cache
from ..progress import Phase
from .tiles import TileImage, TileReader

if TYPE_CHECKING:
    from ..geo.pair import RasterPair
    from .engine import Decode, Engine

Item = TypeVar("Item")
Result = TypeVar("Result")

CACHE, LARGEST_CACHE = 24, 128  # megabytes of GDAL's blocks
READERS = 2  # threads; decompressing is done outside of Python's lock
MANY_CORES = 16


def open_pool(
    raster: Raster | RasterPair, device: str, tile_size: int, scattered: bool = False
) -> RasterPool:
    """Return the handles that feed a device, and hold GDAL's cache at what they need.

    A file stored in strips must keep a row of tiles, or each tile would read whole strips
    again; a file stored in blocks needs next to nothing. Where the tiles are scattered, each
    handle keeps as much of the raster as may be.

    Args:
        raster: to be read.
        device: its type. A few cores compute more slowly than one thread unpacks.
        tile_size: in pixels.
        scattered: whether the tiles do not follow each other.
    """
    slow = device == "cpu" and (os.cpu_count() or 1) < MANY_CORES
    handles = 1 if slow else READERS
    cols, rows = raster.block_size
    need, pixel = 0, raster.band_count * raster.dtype.itemsize
    if scattered:
        need = handles * raster.width * raster.height * pixel >> 20
    elif cols > 2 * tile_size:
        need = cols * (tile_size + rows) * pixel >> 20
    limit_cache(min(CACHE + need, LARGEST_CACHE))
    return RasterPool(raster, handles)


def run_tiles(
    tiles: Iterable[Tile],
    open_reader: Callable[[], TileReader],
    engine: Engine,
    decode: Decode,
    consume: Callable[[tuple[TileImage, Any]], None],
    phase: Phase,
    skipped: Callable[[Tile], None] | None = None,
    batch_done: Callable[[], None] | None = None,
) -> None:
    """Read tiles, compute them and have the answers consumed, all at the same time.

    Args:
        tiles: in the order in which they are consumed.
        open_reader: makes a reader for each thread.
        engine: computes batches.
        decode: makes answers of the network's output, one an image.
        consume: takes each image with its answer, in a thread of its own.
        phase: counts the tiles, those without data too.
        skipped: is told, in the thread of ``consume``, of each tile without data.
        batch_done: is told, in that thread, when all of a batch is consumed.

    Raises:
        CancelledError: when cancelled, after the batch that is being computed.
    """
    take = sorted_by_kind(consume, skipped, batch_done)

    def answer(entry: Tile | list[TileImage]) -> list[Any]:
        if isinstance(entry, Tile):
            return []
        return engine.infer([each.image for each in entry], decode)

    with contextlib.closing(read_ahead(tiles, open_reader)) as images, Sink(take) as sink:
        groups = batches(images, lambda: engine.batch_size)
        with contextlib.closing(answer_ahead(groups, answer, engine)) as answered:
            for entry, answers in answered:
                if isinstance(entry, Tile):
                    sink.put(entry)
                    phase.step()
                    continue
                for pair in zip(entry, answers):
                    sink.put(pair)
                sink.put(())
                phase.step(len(entry))


def sorted_by_kind(
    consume: Callable[[tuple[TileImage, Any]], None],
    skipped: Callable[[Tile], None] | None,
    batch_done: Callable[[], None] | None,
) -> Callable[[tuple[TileImage, Any] | tuple[()] | Tile], None]:
    """Return what takes an image with its answer, a tile without data, or ``()`` after a batch.

    Args:
        consume, skipped, batch_done: as of :func:`run_tiles`.
    """

    def take(entry: tuple[TileImage, Any] | tuple[()] | Tile) -> None:
        if isinstance(entry, Tile):
            if skipped is not None:
                skipped(entry)
        elif entry:
            consume(entry)
        elif batch_done is not None:
            batch_done()

    return take


def answer_ahead(
    groups: Iterable[Item], answer: Callable[[Item], Result], engine: Engine
) -> Generator[tuple[Item, Result], None, None]:
    """Yield groups with their answers, in order; several at a time where the engine gains by it.

    Args:
        groups: of images, say.
        answer: asks the engine for the answers to a group.
        engine: knows from its first answer on how many :attr:`~.engine.Engine.lanes` it has.
    """
    waiting = iter(groups)
    for group in waiting:
        if engine.lanes > 1:
            rest = itertools.chain([group], waiting)
            # Twice as many are under way: where one takes long, the other lanes go on.
            yield from read_ahead(rest, lambda: answer, engine.lanes, 2 * engine.lanes)
            return
        yield group, answer(group)


def read_ahead(
    items: Iterable[Item],
    open_reader: Callable[[], Callable[[Item], Result]],
    threads: int = READERS,
    depth: int = 8,
) -> Generator[tuple[Item, Result], None, None]:
    """Yield items with what a reader makes of them, in order; ``depth`` are under way.

    Args:
        items: to be read.
        open_reader: called once in each thread; what it returns reads one item.
        threads: that read.
        depth: how many items may be read before they are wanted.

    Raises:
        Exception: whatever a reader raises, when its item's turn comes.
    """
    local = threading.local()

    def read(item: Item) -> Result:
        if not hasattr(local, "reader"):
            local.reader = open_reader()
        return local.reader(item)

    pending: deque[tuple[Item, Future[Result]]] = deque()
    executor = ThreadPoolExecutor(threads, thread_name_prefix="geodl-read")
    try:
        for item in items:
            pending.append((item, executor.submit(read, item)))
            if len(pending) >= depth:
                first, future = pending.popleft()
                yield first, future.result()
        while pending:
            first, future = pending.popleft()
            yield first, future.result()
    finally:
        for _, future in pending:
            future.cancel()
        executor.shutdown(wait=True)


def batches(
    images: Iterable[tuple[Item, Result | None]], size: Callable[[], int]
) -> Iterator[Item | list[Result]]:
    """Yield groups of images, and as it comes each item whose image is ``None``.

    Args:
        images: items with their images.
        size: how many make a batch, asked for each: it may shrink on the way.
    """
    batch: list[Result] = []
    for item, image in images:
        if image is None:
            yield item
            continue
        batch.append(image)
        if len(batch) >= size():
            yield batch
            batch = []
    if batch:
        yield batch


class Sink(Generic[Item]):
    """Hands items to a consumer in a thread of its own, in order; few of them wait.

    An exception of the consumer is raised by the next :meth:`put`, or at the end. When the
    ``with`` block fails, what waits is dropped.
    """

    def __init__(self, consume: Callable[[Item], None], depth: int = 4) -> None:
        self._consume = consume
        self._queue: queue.Queue[Item | None] = queue.Queue(depth)
        self._error: BaseException | None = None
        self._dropped = False
        self._thread = threading.Thread(target=self._work, name="geodl-consume", daemon=True)

    def put(self, item: Item) -> None:
        """Hand over an item; wait while too many are waiting."""
        self._raise()
        self._queue.put(item)

    def __enter__(self) -> Sink[Item]:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._dropped = kind is not None
        self._queue.put(None)
        self._thread.join()
        if kind is None:
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while True:
            item = self._queue.get()
            if item is None:
                return
            if self._error is None and not self._dropped:
                try:
                    self._consume(item)
                except BaseException as error:  # raised again where the tiles come from
                    self._error = error
