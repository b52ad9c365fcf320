"""A killed run goes on and gives the same bytes."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geodl_plugin.core.errors import CancelledError, InputError
from geodl_plugin.core.inference.engine import Engine
from geodl_plugin.core.inference.journal import Journal
from geodl_plugin.core.inference.kept_tiles import KeptTiles
from geodl_plugin.core.inference.options import PixelOptions
from geodl_plugin.core.inference.pixels import classify
from geodl_plugin.core.leftovers import remove_unfinished
from geodl_plugin.core.progress import Progress

from .support import SmallPixels, make_job, make_model, write_raster

TILES = 36  # of the raster below
WAITING = 6  # tiles that are computed and not yet written, at most


class Counted(SmallPixels):
    """Counts the images that it has seen."""

    seen = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen += len(images)
        return super().forward(images)


def network() -> Counted:
    torch.manual_seed(0)
    return Counted(3, 2).eval()


@pytest.fixture
def source(tmp_path: Path) -> str:
    pixels = np.random.default_rng(0).normal(size=(3, 400, 380)).astype(np.float32)
    return write_raster(tmp_path / "Quelle ü.tif", pixels)


def classified(source: str, output: Path, progress: Progress | None = None, **more: Any) -> Counted:
    """Classify and return the network, which knows what it has seen."""
    used = network()
    with make_job(source, make_model("TEST_PIXELS", 3)) as job:
        options = PixelOptions([source], "", str(output), tile_size=96, padding=8, **more)
        classify(job, Engine(used, "cpu", "float32", 1), options, progress or Progress())
    return used


def killed(
    source: str, output: Path, after: int, at: tuple[type, str] = (Journal, "add"), **more: Any
) -> int:
    """Classify in a process that kills itself at a call of a method, after so many of them.

    Returns:
        How many tiles it had computed.
    """
    seen = multiprocessing.get_context("fork").Value("i", 0)
    kind, name = at

    def work() -> None:
        forward, method, calls = Counted.forward, getattr(kind, name), []

        def counted(self: Counted, images: torch.Tensor) -> torch.Tensor:
            seen.value += len(images)
            return forward(self, images)

        def call_or_die(self: Any, *arguments: Any) -> Any:
            if len(calls) == after:
                os.kill(os.getpid(), signal.SIGKILL)
            calls.append(arguments)
            return method(self, *arguments)

        Counted.forward = counted  # type: ignore[method-assign]
        setattr(kind, name, call_or_die)
        torch.set_num_threads(1)
        classified(source, output, **more)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    return int(seen.value)


def contents(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in sorted(folder.iterdir())}


@pytest.mark.parametrize("blend", ["crop", "gaussian"])
@pytest.mark.parametrize("after", np.random.default_rng(4).integers(0, TILES, 5).tolist())
def test_a_killed_run_goes_on(tmp_path: Path, source: str, blend: str, after: int) -> None:
    more: dict[str, Any] = {"blend": blend}
    folders = [tmp_path / "whole", tmp_path / "killed"]
    before = 0
    for folder in folders:
        folder.mkdir()
    for number, folder in enumerate(folders):
        more["probabilities"] = str(folder / "p.tif")
        if number:
            before = killed(source, folder / "a.tif", after, **more)
            assert not (folder / "a.tif").exists()
        used = classified(source, folder / "a.tif", **more)
    assert contents(folders[0]) == contents(folders[1])
    if blend == "crop":
        assert used.seen == TILES - after  # what was being written when it died counts too
    assert before + used.seen - TILES <= WAITING  # computed twice


@pytest.mark.parametrize("method", ["add", "drop"])
@pytest.mark.parametrize("after", [0, 7, 13, 22])
def test_blended_tiles_are_not_computed_again(
    tmp_path: Path, source: str, method: str, after: int
) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole, output = tmp_path / "whole" / "a.tif", tmp_path / "killed" / "a.tif"
    classified(source, whole, blend="gaussian")
    before = killed(source, output, after, (KeptTiles, method), blend="gaussian")
    again = killed(source, output, 2, (KeptTiles, method), blend="gaussian")
    used = classified(source, output, blend="gaussian")
    assert contents(whole.parent) == contents(output.parent)
    assert before + again + used.seen - TILES <= 2 * WAITING


def test_without_room_for_kept_tiles_all_goes_well(
    tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "out").mkdir()
    classified(source, tmp_path / "out" / "a.tif", blend="gaussian")
    expected = contents(tmp_path / "out")
    monkeypatch.setattr("numpy.save", full)
    assert classified(source, tmp_path / "out" / "a.tif", blend="gaussian").seen == TILES
    assert contents(tmp_path / "out") == expected


@pytest.mark.parametrize("blend", ["crop", "gaussian"])
def test_a_kill_leaves_nothing_to_another_call(tmp_path: Path, source: str, blend: str) -> None:
    killed(source, tmp_path / "a.tif", 10, blend=blend)
    used = classified(source, tmp_path / "a.tif", blend=blend, predict_background=False)
    assert used.seen == TILES
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_a_kill_while_the_file_is_written_costs_no_tile(tmp_path: Path, source: str) -> None:
    class Dies(Progress):
        def update(self, fraction: float, message: str = "") -> None:
            if message == "Writing overviews":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        classified(source, tmp_path / "a.tif", Dies())
    assert classified(source, tmp_path / "a.tif").seen == 0
    assert (tmp_path / "a.tif").exists()


@pytest.mark.parametrize("blend", ["crop", "gaussian"])
def test_a_lost_scratch_file_starts_anew(tmp_path: Path, source: str, blend: str) -> None:
    killed(source, tmp_path / "a.tif", 10, blend=blend)
    (tmp_path / ".a.tif.unfinished.pixels").unlink()
    assert classified(source, tmp_path / "a.tif", blend=blend).seen == TILES


def test_probabilities_that_another_call_has_begun_are_not_gone_on_with(
    tmp_path: Path, source: str
) -> None:
    """They were taken for this call's own by their size: two thirds of the pixels were wrong."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "out").mkdir()
    whole, out = tmp_path / "whole", tmp_path / "out"
    classified(source, whole / "a.tif", probabilities=str(whole / "p.tif"))
    chances = str(out / "p.tif")
    killed(source, out / "a.tif", 15, probabilities=chances)
    killed(source, out / "b.tif", 5, probabilities=chances, predict_background=False)
    used = classified(source, out / "a.tif", probabilities=chances)
    assert used.seen == TILES
    (whole / "b.tif").touch()
    remove_unfinished(out / "b.tif")
    assert contents(whole).items() >= contents(out).items()


def test_two_runs_do_not_write_the_same_probabilities(tmp_path: Path, source: str) -> None:
    (tmp_path / "out").mkdir()
    output, chances = tmp_path / "out" / "a.tif", str(tmp_path / "out" / "p.tif")
    other = Journal(chances, {"options": "of another run"})
    with pytest.raises(InputError, match=r"'p\.tif' is being written by another run"):
        classified(source, output, probabilities=chances)
    other.remove()
    assert contents(output.parent) == {}
    assert classified(source, output, probabilities=chances).seen == TILES
    assert sorted(contents(output.parent)) == ["a.tif", "a.tif.aux.xml", "p.tif"]


@pytest.mark.parametrize("blend", ["crop", "gaussian"])
def test_a_cancelled_run_leaves_nothing(tmp_path: Path, source: str, blend: str) -> None:
    out = tmp_path / "out"

    class Cancels(Progress):
        asked = 0

        def cancelled(self) -> bool:
            self.asked += 1
            kept = list(out.glob(".a.tif.unfinished.tiles/*.npy"))
            return self.asked > 12 and (bool(kept) or blend == "crop")

    out.mkdir()
    with pytest.raises(CancelledError):
        classified(source, out / "a.tif", Cancels(), blend=blend)
    assert list(out.iterdir()) == []
