"""Rasters classified one by one: what a kill and a cancel leave of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geodl_plugin.core.errors import CancelledError, InputError
from geodl_plugin.core.inference import pixels
from geodl_plugin.core.inference.journal import Journal
from geodl_plugin.core.inference.options import PixelOptions
from geodl_plugin.core.progress import Progress

from .support import write_model, write_raster


@pytest.fixture
def options(tmp_path: Path) -> PixelOptions:
    sources = []
    for number in range(3):
        place = (500000 + 50.0 * number, 0.5, 0, 4100000, 0, -0.5)
        values = np.full((1, 100, 100), 10 + number, np.uint8)
        sources.append(write_raster(tmp_path / f"{number} ü.tif", values, place))
    model = write_model(tmp_path / "m.dlpk", "TEST_PIXELS")
    (tmp_path / "out").mkdir()
    output = str(tmp_path / "out" / "all.vrt")
    return PixelOptions(sources, model, output, separate=True, tile_size=96, batch_size=1)


class AtTheLast(Progress):
    """Cancels, or dies, at the last raster."""

    def __init__(self, dies: bool) -> None:
        self.dies = dies
        self.message = ""

    def update(self, fraction: float, message: str = "") -> None:
        self.message = message
        if self.dies and "(3 of 3)" in message:
            raise KeyboardInterrupt

    def cancelled(self) -> bool:
        return "(3 of 3)" in self.message


def contents(folder: Path) -> dict[str, bytes]:
    files = (each for each in folder.rglob("*") if each.is_file())
    return {str(each.relative_to(folder)): each.read_bytes() for each in files}


def test_rasters_that_are_done_are_not_done_again(
    options: PixelOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(options.output).parent
    result = pixels.run(options, Progress())
    whole = contents(folder)
    with pytest.raises(KeyboardInterrupt):
        pixels.run(options, AtTheLast(dies=True))
    assert {name: content for name, content in contents(folder).items() if name in whole} == whole
    done, classify = [], pixels.classify
    monkeypatch.setattr(
        pixels, "classify", lambda job, *rest: done.append(job.raster.name) or classify(job, *rest)
    )
    assert pixels.run(options, Progress()) == result
    assert done == ["2 ü.tif"]
    assert contents(folder) == whole


def test_a_cancel_keeps_the_earlier_results_and_nothing_else(options: PixelOptions) -> None:
    folder = Path(options.output).parent
    with pytest.raises(CancelledError):
        pixels.run(options, AtTheLast(dies=False))
    assert contents(folder) == {}
    pixels.run(options, Progress())
    whole = contents(folder)
    with pytest.raises(CancelledError):
        pixels.run(options, AtTheLast(dies=False))
    assert contents(folder) == whole


def test_two_runs_do_not_write_the_same_results(options: PixelOptions) -> None:
    other = Journal(options.output, {})
    with pytest.raises(InputError, match=r"'all\.vrt' is being written by another run"):
        pixels.run(options, Progress())
    other.remove()
