"""Tiles computed by the workers of a Dask cluster give what this machine gives."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import Client, LocalCluster
from osgeo import gdal

from geodl_plugin.core.cluster import Cluster
from geodl_plugin.core.errors import CancelledError, RasterError, WorkerError
from geodl_plugin.core.inference import detect, pixels
from geodl_plugin.core.inference.options import DetectionOptions, PixelOptions
from geodl_plugin.core.progress import Phase, Progress

from .support import read_features, write_model, write_raster


class Listens(Progress):
    """Keeps what is told, and may kill a worker or cancel on the way."""

    def __init__(self, killed: int = 0, cancel: bool = False) -> None:
        self.told: list[str] = []
        self._killed = killed
        self._cancel = cancel
        self._computing = False

    def info(self, message: str) -> None:
        self.told.append(message)
        if message.startswith("Computing") and self._killed:
            os.kill(self._killed, signal.SIGKILL)  # with nearly all of the work before it
        self._computing = True

    def warn(self, message: str) -> None:
        self.told.append(message)

    def cancelled(self) -> bool:
        return self._cancel and self._computing


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, int]:
    """A raster of squares with numbers, some of them across the borders of tiles."""
    image = np.zeros((1, 300, 420), np.int32)
    starts = [(row, col) for row in range(5, 280, 37) for col in range(3, 400, 41)]
    for number, (row, col) in enumerate(starts, 1):
        image[0, row : row + 15, col : col + 13] = number + 10_000 * (number % 2)
    image[:, :, 250:330] = -1
    path = tmp_path_factory.mktemp("numbers") / "Bäume.tif"
    return write_raster(path, image, nodata=-1), len(np.unique(image)) - 2


def classified(folder: Path, source: str, model: str, progress: Progress, **more: Any) -> bytes:
    """Classify pixels and return the bytes of the result and of the probabilities."""
    folder.mkdir()
    output, chances = folder / "a.tif", folder / "p.tif"
    options = PixelOptions(
        [source], model, str(output), tile_size=64, padding=8, probabilities=str(chances), **more
    )
    pixels.run(options, progress)
    return output.read_bytes() + chances.read_bytes()


def test_detections_are_those_of_one_machine(
    tmp_path: Path, scheduler: str, numbers: tuple[str, int]
) -> None:
    source, count = numbers
    model = write_model(tmp_path / "trees.dlpk", "TEST_NUMBERS")
    found = []
    for name, address in (("here", ""), ("there", scheduler)):
        listens = Listens()
        options = DetectionOptions(
            [source], model, str(tmp_path / f"{name}.gpkg"), tile_size=64, scheduler=address
        )
        detect.run(options, listens)
        boxes = read_features(options.output)
        found.append({(each["geometry"].ExportToWkt(), each["Class"]) for each in boxes})
        assert len(boxes) == len(found[-1]) == count  # nothing doubled, nothing lost
    assert found[0] == found[1]
    assert any(address in each for each in listens.told for address in [scheduler])
    assert any("tcp://" in each and "Computing on " in each for each in listens.told[1:])


@pytest.mark.parametrize("blend", ["crop", "gaussian"])
def test_a_killed_worker_changes_no_byte(tmp_path: Path, scheduler: str, blend: str) -> None:
    image = np.random.default_rng(0).normal(size=(3, 500, 480)).astype(np.float32)
    image[:, :120, :200] = np.nan
    source = write_raster(tmp_path / "a.tif", image)
    model = write_model(tmp_path / "small.dlpk", "TEST_SMALL", 3)
    more: dict[str, Any] = {"blend": blend, "precision": "float32", "batch_size": 1}
    here = classified(tmp_path / "here", source, model, Progress(), **more)
    with Client(scheduler, set_as_default=False) as client:
        worker, *_ = client.run(os.getpid).values()
    there = classified(
        tmp_path / "there", source, model, Listens(killed=worker), scheduler=scheduler, **more
    )
    assert here == there
    with Client(scheduler, set_as_default=False) as client:
        deadline, processes = time.monotonic() + 300, [worker]
        # A worker that has just died may still be asked.
        while worker in processes or len(processes) < 2:
            assert time.monotonic() < deadline
            processes = list(client.run(os.getpid, on_error="ignore").values())


def test_cancelling_leaves_nothing_and_the_cluster_free(
    tmp_path: Path, scheduler: str, numbers: tuple[str, int]
) -> None:
    model = write_model(tmp_path / "trees.dlpk", "TEST_NUMBERS")
    output = tmp_path / "out" / "a.gpkg"
    options = DetectionOptions([numbers[0]], model, str(output), tile_size=32, scheduler=scheduler)
    with pytest.raises(CancelledError):
        detect.run(options, Listens(cancel=True))
    assert not output.parent.exists() or not list(output.parent.iterdir())
    with Client(scheduler, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=300)
        assert client.submit(sum, [1, 2], pure=False).result(timeout=120) == 3


def test_a_file_that_a_worker_cannot_see_is_named(
    tmp_path: Path, scheduler: str, numbers: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_model(tmp_path / "trees.dlpk", "TEST_NUMBERS")
    options = DetectionOptions(
        [numbers[0]], model, str(tmp_path / "a.gpkg"), tile_size=64, scheduler=scheduler
    )
    # A path that there is on this machine alone.
    monkeypatch.setattr(
        "geodl_plugin.core.inference.station.absolute", lambda each: "/only/here/a.tif"
    )
    monkeypatch.setattr("geodl_plugin.core.inference.station.is_file", lambda each: True)
    with pytest.raises(RasterError, match=r"worker tcp://.* '/only/here/a\.tif' is not there"):
        detect.run(options, Progress())
    assert not (tmp_path / "a.gpkg").exists()


def test_damage_is_left_out_and_told_once(tmp_path: Path, scheduler: str) -> None:
    image = np.full((1, 256, 256), 10, np.float32)
    source = write_raster(tmp_path / "a.tif", image, options=("TILED=YES", "BLOCKYSIZE=64"))
    with Path(source).open("r+b") as file:
        file.truncate(Path(source).stat().st_size - 1000)
    model = write_model(tmp_path / "pixels.dlpk", "TEST_PIXELS")
    listens = Listens()
    options = PixelOptions(
        [source], model, str(tmp_path / "b.tif"), tile_size=64, scheduler=scheduler
    )
    with pytest.raises(RasterError, match="worker tcp://"):
        pixels.run(options, listens)
    options = PixelOptions(
        [source], model, str(tmp_path / "c.tif"), tile_size=64, scheduler=scheduler,
        skip_unreadable=True,
    )  # fmt: skip
    pixels.run(options, listens)
    warned = [each for each in listens.told if "left without data" in each]
    assert warned
    assert len(warned) == len(set(warned))
    result = gdal.Open(options.output)
    values = result.ReadAsArray()
    assert values[0, 0] == 3
    assert result.GetRasterBand(1).GetNoDataValue() in values


def test_no_scheduler_and_no_workers_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geodl_plugin.core.cluster.CONNECT", 0.5)
    phase = Phase(Progress(), "", 1, "")
    for address in ("127.0.0.1:1", "nonsense"):
        with pytest.raises(WorkerError, match=f"No Dask scheduler answers at '{address}'"):
            Cluster(address, phase)
    monkeypatch.setattr("geodl_plugin.core.cluster.WITHOUT_WORKERS", 0.5)
    with (
        LocalCluster(n_workers=0, dashboard_address=":0", processes=False) as empty,
        Cluster(empty.scheduler_address, phase) as cluster,
        pytest.raises(WorkerError, match=r"has no workers\. Start some with 'dask worker"),
    ):
        cluster.wait()


def test_a_worker_that_does_not_know_geodl_finds_it_by_its_folder(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    phase = Phase(Progress(), "", 1, "")
    with LocalCluster(n_workers=0, dashboard_address=":0", processes=False, protocol="tcp") as few:
        command = [sys.executable, "-m", "distributed.cli.dask_worker", few.scheduler_address]
        command += ["--no-nanny", "--no-dashboard", "--nthreads", "1"]
        worker = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
        try:
            with Cluster(few.scheduler_address, phase) as cluster:
                cluster.wait()
                module = "geodl_plugin.core.progress"
                stream = cluster.stream([61.0, 5.0], lambda each: (module, "duration", each))
                with contextlib.closing(stream):
                    assert list(stream) == [(61.0, "1 min 1 s"), (5.0, "5 s")]
                # One that sees neither the folder nor an installed package is named.
                call = cluster._client.submit(_elsewhere(), "geodl_nowhere.core", "run", pure=False)
                assert call.result(timeout=120)["missing"] == "geodl_nowhere"
                began = time.monotonic()
        finally:
            worker.kill()
            worker.wait()
    assert time.monotonic() - began < 120


def _elsewhere() -> Any:
    from geodl_plugin.core.cluster import entrance

    return entrance("/nowhere/geodl_nowhere")
