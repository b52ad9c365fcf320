"""Reading ahead, batches and the sink: order, bounds, errors, cancelling."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from geodl_plugin.core.inference import pipeline
from geodl_plugin.core.inference.pipeline import (
    CACHE,
    LARGEST_CACHE,
    Sink,
    answer_ahead,
    batches,
    open_pool,
    read_ahead,
)


def test_results_come_in_order_and_few_are_under_way() -> None:
    started: list[int] = []

    def open_reader() -> Any:
        def read(item: int) -> int:
            started.append(item)
            time.sleep(0.002 * (item % 3))
            return item * item

        return read

    taken = []
    for item, result in read_ahead(range(50), open_reader, threads=3, depth=5):
        assert result == item * item
        assert len(started) <= len(taken) + 6
        taken.append(item)
    assert taken == list(range(50))


def test_each_thread_has_its_own_reader() -> None:
    threads: list[int] = []

    def open_reader() -> Any:
        threads.append(threading.get_ident())
        return lambda item: time.sleep(0.001)

    list(read_ahead(range(30), open_reader, threads=2))
    assert len(threads) == len(set(threads)) <= 2


def test_an_error_of_a_reader_surfaces() -> None:
    def read(item: int) -> int:
        if item == 3:
            raise OSError("damaged")
        return item

    seen = []
    with pytest.raises(OSError, match="damaged"):
        for item, _ in read_ahead(range(10), lambda: read, depth=4):
            seen.append(item)
    assert seen == [0, 1, 2]


def test_reading_stops_when_nobody_wants_more() -> None:
    started = []
    road = read_ahead(range(1000), lambda: started.append, depth=4)
    next(road)
    road.close()
    assert len(started) <= 5


class Settling:
    """An engine that knows after so many answers that several threads help it."""

    def __init__(self, after: int) -> None:
        self.after, self.answered, self.threads = after, 0, set[str]()

    @property
    def lanes(self) -> int:
        return 3 if self.answered >= self.after else 1

    def answer(self, group: int) -> int:
        self.answered += 1
        self.threads.add(threading.current_thread().name)
        return group * 10


@pytest.mark.parametrize("after", [0, 1, 7, 99])
def test_several_threads_answer_as_soon_as_that_helps(after: int) -> None:
    engine = Settling(after)
    found = list(answer_ahead(range(20), engine.answer, engine))
    assert found == [(group, group * 10) for group in range(20)]
    here = threading.current_thread().name
    assert (here in engine.threads) == (after > 0)
    assert (len(engine.threads - {here}) > 0) == (after < 20)


def test_a_slow_answer_does_not_keep_the_others_waiting() -> None:
    engine = SimpleNamespace(lanes=2)
    others = threading.Semaphore(0)

    def answer(group: int) -> bool:
        if group:
            others.release()
            return True
        return all(others.acquire(timeout=60) for _ in range(3))

    assert all(found for _, found in answer_ahead(range(8), answer, engine))


def test_batches_shrink_on_the_way_and_skip_what_is_empty() -> None:
    sizes = iter([3, 3, 3, 2, 2, 2, 2, 2])
    images = ((i, None if i == 4 else i) for i in range(9))
    made = list(batches(images, lambda: next(sizes)))
    assert made == [[0, 1, 2], 4, [3, 5], [6, 7], [8]]


def test_a_sink_consumes_in_order() -> None:
    seen: list[int] = []
    with Sink(seen.append) as sink:
        for item in range(100):
            sink.put(item)
    assert seen == list(range(100))


def test_an_error_of_the_consumer_surfaces() -> None:
    def consume(item: int) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), Sink(consume) as sink:
        for item in range(100):
            sink.put(item)


def test_a_failure_of_the_producer_is_not_hidden() -> None:
    with pytest.raises(KeyError), Sink(lambda item: time.sleep(0.01)) as sink:
        sink.put(1)
        raise KeyError("x")


class Handles:
    """A raster of 10,000 × 10,000 bytes that counts its handles."""

    width = height = 10_000
    band_count, dtype = 1, np.dtype(np.uint8)
    name, crs, window, geotransform = "a.tif", "", None, None

    def __init__(self, block_size: tuple[int, int]) -> None:
        self.block_size, self.count = block_size, 0

    def reopen(self) -> SimpleNamespace:
        self.count += 1
        return SimpleNamespace()


@pytest.mark.parametrize(
    ("device", "cores", "handles"), [("cpu", 2, 1), ("cpu", 64, 2), ("cuda", 2, 2)]
)
def test_a_few_cores_share_one_handle(
    monkeypatch: pytest.MonkeyPatch, device: str, cores: int, handles: int
) -> None:
    monkeypatch.setattr(pipeline, "limit_cache", lambda _: None)
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    raster = Handles((256, 256))
    open_pool(raster, device, 1024)
    assert raster.count == handles


@pytest.mark.parametrize(
    ("device", "block_size", "scattered", "megabytes"),
    [
        ("cpu", (256, 256), False, CACHE),
        ("cpu", (10_000, 16), False, CACHE + 9),  # a row of tiles
        ("cpu", (256, 256), True, CACHE + 95),  # the whole
        ("cuda", (256, 256), True, LARGEST_CACHE),
    ],
)
def test_the_cache_holds_what_the_tiles_need(
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    block_size: tuple[int, int],
    scattered: bool,
    megabytes: int,
) -> None:
    found: list[int] = []
    monkeypatch.setattr(pipeline, "limit_cache", found.append)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    open_pool(Handles(block_size), device, 1024, scattered)
    assert found == [megabytes]
