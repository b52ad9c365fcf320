"""A run that is killed, or fails, while it finishes goes on without computing tiles again."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geodl_plugin.core.errors import CancelledError, RasterError
from geodl_plugin.core.geo import result_raster
from geodl_plugin.core.inference.engine import Engine
from geodl_plugin.core.inference.journal import Journal
from geodl_plugin.core.inference.options import PixelOptions
from geodl_plugin.core.inference.pixels import classify
from geodl_plugin.core.progress import Progress

from .support import SmallPixels, make_job, make_model, read_features, write_polygons, write_raster

ROWS, COLS = 560, 530  # more than 512: there are overviews
TILES = 72
ROAD = 6  # tiles that are computed and wait to be written, at most
FINISHING = "Writing overviews"
MOMENTS, ENOUGH = 60, 10  # moments that are tried, kills in the midst of a run that are wanted


class Counted(SmallPixels):
    """Writes a line to a file for every image that it sees, which survives a kill."""

    def __init__(self, log: Path) -> None:
        super().__init__(3, 2)
        self.log = log

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        with self.log.open("a") as file:
            file.write("x" * len(images))
        return super().forward(images)


class Places:
    """Where a run reads and writes."""

    def __init__(self, folder: Path) -> None:
        coarse = np.random.default_rng(0).normal(size=(3, 14, 14)).astype(np.float32)
        pixels = coarse.repeat(40, 1).repeat(40, 2)[:, :ROWS, :COLS]
        self.source = write_raster(folder / "Quelle ü.tif", pixels)
        self.out = folder / "out"
        self.log = folder / "computed"

    def run(self, progress: Progress | None = None, **more: Any) -> dict[str, Any]:
        """Classify with probabilities."""
        torch.manual_seed(0)
        torch.set_num_threads(1)
        network = Counted(self.log).eval()
        more = {"probabilities": str(self.out / "p.tif"), **more}
        with make_job(self.source, make_model("TEST_PIXELS", 3)) as job:
            options = PixelOptions(
                [self.source], "", str(self.out / "a.tif"), tile_size=96, padding=8, **more
            )
            engine = Engine(network, "cpu", "float32", 1)
            return classify(job, engine, options, progress or Progress())

    def computed(self) -> int:
        """Return how many tiles were computed since the last question."""
        count = self.log.stat().st_size if self.log.exists() else 0
        self.log.unlink(missing_ok=True)
        return count

    def finished(self) -> int:
        """Return how many tiles a killed run has finished."""
        journal = self.out / ".a.tif.unfinished.journal"
        lines = journal.read_bytes().split(b"\n")[:-1] if journal.exists() else []
        return sum(line.startswith(b'{"part"') for line in lines)

    def contents(self) -> dict[str, bytes]:
        """Return what lies where the result is."""
        return {each.name: each.read_bytes() for each in sorted(self.out.iterdir())}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


def forked(work: Callable[[], Any], seconds: float = 60.0) -> int | None:
    """Run a function in a process that is killed after a time; return its exit code."""

    def alone() -> None:
        # A process that is forked has none of the threads that GDAL has started before.
        result_raster.COG_OPTIONS.remove("NUM_THREADS=ALL_CPUS")
        work()

    process = multiprocessing.get_context("fork").Process(target=alone)
    process.start()
    process.join(seconds)
    if process.exitcode is None:
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
    return process.exitcode


class DiesAt(Progress):
    """Kills its process at a step of the finishing: a file changed, or a question asked.

    Args:
        step: the number of that step, from 1; 0 for none.
        log: where steps are counted.
    """

    def __init__(self, step: int, log: Path | None = None) -> None:
        self.left = step
        self.log = log
        self.asked = 0

    def update(self, fraction: float, message: str = "") -> None:
        if message == FINISHING:
            for owner, name in ((Path, "replace"), (Path, "unlink"), (Journal, "_append")):
                setattr(owner, name, self.before(getattr(owner, name)))

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.step()
            return function(*arguments, **options)

        return counted

    def cancelled(self) -> bool:
        self.asked += 1
        if self.asked % 40 == 0:  # GDAL asks often
            self.step()
        return False

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(".")


def test_a_kill_at_any_step_of_the_finishing_costs_no_tile(places: Places, tmp_path: Path) -> None:
    polygons = {"polygons": str(places.out / "r.gpkg"), "min_area": 1.0}

    class Stops(Progress):
        def update(self, fraction: float, message: str = "") -> None:
            if message == FINISHING:
                os.kill(os.getpid(), signal.SIGKILL)

    def result() -> tuple[Any, ...]:
        found = places.contents()
        shapes = [each["geometry"].ExportToWkt() for each in read_features(places.out / "r.gpkg")]
        return found.pop("r.gpkg") and sorted(found.items()), shapes

    assert forked(lambda: places.run(Stops(), **polygons)) == -signal.SIGKILL
    assert places.computed() == TILES
    computed = tmp_path / "all computed"
    shutil.copytree(places.out, computed)
    steps = tmp_path / "steps"
    assert forked(lambda: places.run(DiesAt(0, steps), **polygons)) == 0
    expected = result()
    assert {name for name, _ in expected[0]} == {"a.tif", "a.tif.aux.xml", "p.tif"}
    assert expected[1]
    count = steps.stat().st_size
    assert count > 30
    for step in range(1, count + 1, 5):
        shutil.rmtree(places.out, ignore_errors=True)
        shutil.copytree(computed, places.out)
        assert forked(partial(places.run, DiesAt(step), **polygons)) == -signal.SIGKILL
        if step < count:  # the last step removes the journal
            assert forked(lambda: places.run(**polygons)) == 0
            assert result() == expected, step
            assert places.computed() == 0, step


def test_kills_at_random_moments_of_the_whole_run(places: Places) -> None:
    begin = time.monotonic()
    assert forked(places.run) == 0
    seconds = time.monotonic() - begin
    expected = places.contents()
    assert places.computed() == TILES
    draw, kills = np.random.default_rng(11), 0
    for _ in range(MOMENTS):
        shutil.rmtree(places.out, ignore_errors=True)
        begin = time.monotonic()
        code = forked(places.run, seconds * draw.random())
        taken = time.monotonic() - begin
        before, kept = places.computed(), places.finished()
        if code == 0 or not kept:  # how fast the machine is changes all the time
            seconds = taken if code == 0 else 1.5 * seconds
            continue
        kills += 1
        assert before - kept <= ROAD
        assert forked(places.run) == 0
        assert places.computed() == TILES - kept
        assert places.contents() == expected
        if kills == ENOUGH:
            break
    assert kills > 1, kills


def test_a_disk_that_is_full_for_the_probabilities_costs_no_tile(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched, pytest.raises(RasterError, match=r"p\.tif' cannot be"):
        build = result_raster.build_overviews
        patched.setattr(
            result_raster,
            "build_overviews",
            lambda dataset, *rest: (
                "p.tif.un" not in dataset.GetDescription() and build(dataset, *rest)
            ),
        )
        places.run()
    assert not [each for each in places.out.iterdir() if not each.name.startswith(".a.tif.un")
                and not each.name.startswith(".p.tif.un")]  # fmt: skip
    assert places.computed() == TILES
    places.run()
    assert places.computed() == 0
    assert sorted(places.contents()) == ["a.tif", "a.tif.aux.xml", "p.tif"]


class CancelsAt(Progress):
    """Is cancelled as soon as some words are told."""

    def __init__(self, words: str) -> None:
        self.words = words
        self.told = False

    def update(self, fraction: float, message: str = "") -> None:
        self.told = self.told or self.words in message

    def cancelled(self) -> bool:
        return self.told


@pytest.mark.parametrize("words", [FINISHING, "Tracing polygons", "Writing polygons"])
def test_a_cancel_at_the_end_leaves_nothing_and_spoils_nothing(places: Places, words: str) -> None:
    polygons = {"polygons": str(places.out / "r.gpkg")}
    with pytest.raises(CancelledError):
        places.run(CancelsAt(words), **polygons)
    assert places.contents() == {}
    places.run()  # another call
    earlier = places.contents()
    with pytest.raises(CancelledError):
        places.run(CancelsAt(words), predict_background=False, **polygons)
    assert places.contents() == earlier


def test_another_call_finds_nothing_of_a_killed_one(places: Places, tmp_path: Path) -> None:
    def dies() -> None:
        add = Journal.add

        def add_or_die(self: Journal, *arguments: Any) -> None:
            if len(self) == 40:
                os.kill(os.getpid(), signal.SIGKILL)
            add(self, *arguments)

        Journal.add = add_or_die  # type: ignore[method-assign]
        places.run()

    # It covers all of the raster with two narrow strips: most tiles have nothing to do.
    strips = "MULTIPOLYGON (((500000 4099720, 500000 4100000, 500005 4100000, 500000 4099720)), \
((500265 4099720, 500265 4100000, 500260 4100000, 500265 4099720)))"
    mask = [write_polygons(tmp_path / "mask.gpkg", [strips], 32616), "mask"]
    assert forked(lambda: places.run(mask=mask)) == 0
    expected = places.contents()
    shutil.rmtree(places.out, ignore_errors=True)
    assert forked(dies) == -signal.SIGKILL
    places.run(mask=mask)
    assert places.contents() == expected
