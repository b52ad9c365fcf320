"""Killed runs of Detect objects and Classify objects go on and give the same bytes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geodl_plugin.core.errors import CancelledError
from geodl_plugin.core.geo.vector import VectorReader
from geodl_plugin.core.inference.detect import detect, run
from geodl_plugin.core.inference.detections import Detections
from geodl_plugin.core.inference.engine import Engine
from geodl_plugin.core.inference.journal import Journal
from geodl_plugin.core.inference.objects import classify
from geodl_plugin.core.inference.options import DetectionOptions, ObjectOptions
from geodl_plugin.core.object_masks import ObjectMask
from geodl_plugin.core.progress import Progress

from .support import (
    NORTH_UP,
    Brightest,
    FindNumbers,
    OutlineNumbers,
    make_job,
    make_model,
    read_features,
    write_model,
    write_polygons,
    write_raster,
)

BATCH = 3


@pytest.fixture(autouse=True)
def one_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """GDAL writes the date of the last change into a GeoPackage."""
    monkeypatch.setenv("OGR_CURRENT_DATE", "2024-05-01T12:00:00.000Z")


@pytest.fixture(autouse=True)
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is found depend on nothing but the image."""
    find = FindNumbers._find

    def find_steadily(self: FindNumbers, numbers: np.ndarray) -> dict[str, Any]:
        self._draw = np.random.default_rng(int(numbers.sum()))
        return find(self, numbers)

    monkeypatch.setattr(FindNumbers, "_find", find_steadily)


class Counted:
    """Counts the images that it has seen."""

    seen = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen += len(images)
        return images[:, :1]


class CountedNumbers(Counted, FindNumbers):
    """Boxes."""


class CountedOutlines(Counted, OutlineNumbers):
    """Masks."""


NETWORKS = {"TEST_NUMBERS": CountedNumbers, "TEST_OUTLINES": CountedOutlines}


def scene(folder: Path, side: int = 420, seed: int = 5) -> tuple[str, int]:
    """Write discs that do not touch, and a corner without data; return how many there are."""
    random = np.random.default_rng(seed)
    pixels = np.zeros((1, side, side), np.uint16)
    y, x = np.mgrid[:side, :side]
    number = 0
    for _ in range(150):
        radius, middle = random.uniform(3, 10), random.uniform(0, side, 2)
        distance = np.hypot(x - middle[0], y - middle[1])
        if not pixels[0][distance < radius + 3].any() and (distance < radius).sum() > 12:
            number += 1
            pixels[0][distance < radius] = number + 10_000 * (number % 2)
    pixels[0, : side // 3, side // 2 :] = 65_535
    left = np.unique(pixels[(pixels > 0) & (pixels < 65_535)])
    return write_raster(folder / "Quelle ü.tif", pixels, nodata=65_535), len(left)


def found_in(source: str, output: Path, kind: str, progress: Progress, **more: Any) -> Counted:
    """Detect and return the network, which knows what it has seen."""
    network = NETWORKS[kind]()
    with make_job(source, make_model(kind)) as job:
        options = DetectionOptions([source], "", str(output), tile_size=96, padding=24, **more)
        detect(job, Engine(network, "cpu", "float32", BATCH), options, progress)
    return network


def in_a_process_killed(work: Callable[[], Any], after: int) -> None:
    """Work in a process that kills itself instead of telling the journal of a further part."""

    def doomed() -> None:
        add, told = Journal.add, []

        def add_or_die(self: Journal, *arguments: Any) -> None:
            if len(told) == after:
                os.kill(os.getpid(), signal.SIGKILL)
            told.append(1)
            add(self, *arguments)

        Journal.add = add_or_die  # type: ignore[method-assign]
        torch.set_num_threads(1)
        work()

    process = multiprocessing.get_context("fork").Process(target=doomed)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@pytest.mark.parametrize(
    "kind, merged", [("TEST_NUMBERS", True), ("TEST_NUMBERS", False), ("TEST_OUTLINES", True)]
)
def test_a_killed_run_goes_on(tmp_path: Path, kind: str, merged: bool) -> None:
    source, _ = scene(tmp_path)
    folders = [tmp_path / "whole", tmp_path / "killed"]
    for each in folders:
        each.mkdir()
    whole = found_in(source, folders[0] / "a.gpkg", kind, Progress(), run_nms=merged)
    expected = (folders[0] / "a.gpkg").read_bytes()
    batches = -(-whole.seen // BATCH)
    for after in np.random.default_rng(4).integers(0, batches, 4).tolist():
        output = folders[1] / "a.gpkg"

        def work(output: Path = output) -> None:
            found_in(source, output, kind, Progress(), run_nms=merged)

        in_a_process_killed(work, after)
        assert not output.exists()
        used = found_in(source, output, kind, Progress(), run_nms=merged)
        assert used.seen == whole.seen - BATCH * after
        assert output.read_bytes() == expected
        assert names(folders[1]) == ["a.gpkg"]
        output.unlink()


@given(st.integers(0, 10_000), st.integers(0, 6), st.sampled_from(sorted(NETWORKS)))
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_object_is_found_once_by_a_run_that_was_killed(seed: int, after: int, kind: str):
    with tempfile.TemporaryDirectory() as name:
        source, count = scene(Path(name), 300, seed)

        class Fails(Progress):
            batches = 0

            def info(self, message: str) -> None:
                assert "the same call again" in message or "Computing" in message

            def cancelled(self) -> bool:
                self.batches += 1
                if self.batches > after:
                    raise KeyboardInterrupt
                return False

        output = Path(name) / "found.gpkg"
        with pytest.raises(KeyboardInterrupt):
            found_in(source, output, kind, Fails())
        found_in(source, output, kind, Progress())
        assert len(read_features(output)) == count
        assert names(Path(name)) == [Path(source).name, "found.gpkg"]


def test_rasters_that_are_done_are_not_done_again(tmp_path: Path) -> None:
    sources = []
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        sources.append(scene(folder, 200, number)[0])
    model = write_model(tmp_path / "m.dlpk", "TEST_NUMBERS")
    results = []
    for name, after in (("whole", None), ("killed", 30)):
        output = tmp_path / name / "a.gpkg"
        options = DetectionOptions(
            sources, model, str(output), tile_size=96, padding=24, separate=True, batch_size=1
        )
        if after is not None:
            in_a_process_killed(lambda options=options: run(options, Progress()), after)
            assert (tmp_path / name / ".a.gpkg.unfinished.items" / "0.gpkg").exists()
            assert not output.exists()
        run(options, Progress())
        assert names(output.parent) == ["a.gpkg"]
        results.append(output.read_bytes())
    assert results[0] == results[1]


def test_a_cancelled_run_leaves_nothing(tmp_path: Path) -> None:
    source, _ = scene(tmp_path)
    (tmp_path / "out").mkdir()

    class Cancels(Progress):
        asked = 0

        def cancelled(self) -> bool:
            self.asked += 1
            return self.asked > 4

    with pytest.raises(CancelledError):
        found_in(source, tmp_path / "out" / "a.gpkg", "TEST_NUMBERS", Cancels())
    assert names(tmp_path / "out") == []


def test_detections_come_back_from_their_arrays() -> None:
    random = np.random.default_rng(0)
    masks = [
        ObjectMask(col, 7 * col, random.random((col + 1, 5)) < 0.5) for col in range(4)
    ]  # fmt: skip
    boxes = np.array([each.box for each in masks], float)
    for kept in (masks, None):
        found = Detections.of(boxes, random.random(4), np.arange(4), kept)
        back = Detections.unpacked(found.packed())
        assert back.boxes.tolist() == found.boxes.tolist()
        assert back.scores.tolist() == found.scores.tolist()
        assert back.outlined == found.outlined
        for one, two in zip(found.masks, back.masks):
            assert one is two is None or (one.box == two.box and (one.pixels == two.pixels).all())
    none = Detections.unpacked(Detections.none().packed())
    assert len(none) == 0


class CountedLevels(Brightest):
    """Counts the images that it has seen."""

    seen = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen += len(images)
        return super().forward(images)


def classified(source: str, features: str, output: Path, several: bool) -> CountedLevels:
    """Classify features and return the network, which knows what it has seen."""
    network = CountedLevels(2, False)
    model = make_model("TEST_OBJECTS", chip_size=16, several_labels=several)
    options = ObjectOptions([source], "", str(output), features=[features], score_threshold=1e-9)
    with make_job(source, model) as job:
        reader = VectorReader(features)
        classify(job, reader, Engine(network, "cpu", "float32", 4), options, Progress())
    return network


@pytest.mark.parametrize("several", [False, True])
def test_killed_features_go_on(tmp_path: Path, several: bool) -> None:
    random = np.random.default_rng(2)
    pixels = random.integers(0, 12, (1, 25, 25)).repeat(8, 1).repeat(8, 2).astype(np.uint8)
    source = write_raster(tmp_path / "a.tif", pixels, nodata=11)
    places = random.uniform(-20, 220, (80, 2)) * [0.5, -0.5] + [NORTH_UP[0], NORTH_UP[3]]
    shapes = [f"POINT({x} {y})" for x, y in places.tolist()]
    shapes[3] = ""
    names_of = [f"ü{number}" for number in range(80)]
    features = write_polygons(tmp_path / "b.gpkg", shapes, 32616, name=names_of)
    for folder in ("whole", "killed"):
        (tmp_path / folder).mkdir()
    whole = classified(source, features, tmp_path / "whole" / "a.gpkg", several)
    expected = (tmp_path / "whole" / "a.gpkg").read_bytes()
    output = tmp_path / "killed" / "a.gpkg"
    for after in random.integers(0, whole.seen // 4, 5).tolist():
        in_a_process_killed(lambda: classified(source, features, output, several), after)
        assert not output.exists()
        assert classified(source, features, output, several).seen == whole.seen - 4 * after
        assert output.read_bytes() == expected
        assert names(output.parent) == ["a.gpkg"]
        output.unlink()
