"""Objects classified by the workers of a Dask cluster get the classes of one machine."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import Client

from geodl_plugin.core.errors import CancelledError, RasterError
from geodl_plugin.core.geo.crs import transform_bounds
from geodl_plugin.core.geo.vector import Feature, geometry_of
from geodl_plugin.core.geo.wkb import polygon_wkb
from geodl_plugin.core.inference import objects, remote_objects
from geodl_plugin.core.inference.crops import Subject
from geodl_plugin.core.inference.options import ObjectOptions
from geodl_plugin.core.progress import Phase, Progress

from .support import NORTH_UP, read_features, write_model, write_polygons, write_raster
from .test_cluster import Listens
from .test_objects import rectangle
from .test_pixels import damaged

COUNT = 90
X, Y = NORTH_UP[0], NORTH_UP[3]


class Ends(Progress):
    """Does something once, when some of the features are classified."""

    def __init__(self, act: Any, share: float = 0.3) -> None:
        self._act = act
        self._share = share

    def update(self, fraction: float, message: str = "") -> None:
        if fraction > self._share and self._act is not None:
            act, self._act = self._act, None
            act()


@pytest.fixture(autouse=True)
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """GDAL writes the date of the last change into a GeoPackage; every step is told."""
    monkeypatch.setenv("OGR_CURRENT_DATE", "2024-05-01T12:00:00.000Z")
    monkeypatch.setattr(Phase, "interval", 0.0)


@pytest.fixture
def source(tmp_path: Path) -> str:
    random = np.random.default_rng(2)
    pixels = random.integers(0, 12, (1, 25, 25)).repeat(8, 1).repeat(8, 2).astype(np.uint8)
    return write_raster(tmp_path / "Bäume.tif", pixels, nodata=11)


@pytest.fixture
def features(tmp_path: Path) -> str:
    """Rectangles and an empty geometry, some outside of the raster, some across its edge."""
    places = np.random.default_rng(3).uniform(-20, 210, (COUNT, 2)).tolist()
    shapes = [rectangle(col, row, 9 + row / 20, 12) for col, row in places]
    shapes[3] = ""
    names = [f"ü{number}" for number in range(COUNT)]
    return write_polygons(tmp_path / "houses.gpkg", shapes, 32616, name=names)


def classified(
    folder: Path, sources: list[str], model: str, progress: Progress | None = None, **more: Any
) -> bytes:
    """Classify objects and return the bytes of the result."""
    folder.mkdir(exist_ok=True)
    output = folder / "a.gpkg"
    options = ObjectOptions(sources, model, str(output), precision="float32", batch_size=4, **more)
    objects.run(options, progress or Progress())
    assert [each.name for each in folder.iterdir()] == ["a.gpkg"]
    return output.read_bytes()


@pytest.mark.parametrize(
    "facts, more",
    [
        ({"crop": {"mode": "Fixed_Size"}}, {"test_time_augmentation": True}),
        ({"crop": {"mode": "Variable_Size", "blacken": True}}, {}),
        ({"crop": {"mode": "Fixed_Size", "blacken": True}}, {"cell_size": 0.8}),
        ({"several_labels": True}, {"score_threshold": 1e-9}),
    ],
)
def test_classes_are_those_of_one_machine(
    tmp_path: Path,
    scheduler: str,
    source: str,
    features: str,
    facts: dict[str, Any],
    more: dict[str, Any],
) -> None:
    model = write_model(tmp_path / "m.dlpk", "TEST_SMALL_OBJECTS", chip_size=16, **facts)
    listens = Listens()
    more = {"features": [features], **more}
    here = classified(tmp_path / "here", [source], model, **more)
    there = classified(tmp_path / "there", [source], model, listens, scheduler=scheduler, **more)
    assert here == there
    found = read_features(tmp_path / "there" / "a.gpkg")
    assert [each["name"] for each in found] == [f"ü{number}" for number in range(COUNT)]
    assert len({each["Confidence"] for each in found}) > COUNT / 3
    assert found[3]["ClassLabel"] is None
    assert any(scheduler in each for each in listens.told)
    assert any("tcp://" in each and "Computing on " in each for each in listens.told[1:])


def test_workers_need_no_features_and_their_system_does_not_matter(
    tmp_path: Path, scheduler: str, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = np.random.default_rng(4).uniform(0, 100, (COUNT, 2)) * [1, -1] + [X, Y]
    corners = [transform_bounds((x, y, x, y), "EPSG:32616", "EPSG:4326") for x, y in places]
    points = [f"POINT({west:.9f} {south:.9f})" for west, south, *_ in corners]
    features = write_polygons(tmp_path / "places.gpkg", points, 4326)
    model = write_model(tmp_path / "m.dlpk", "TEST_OBJECTS", chip_size=16)
    here = classified(tmp_path / "here", [source], model, features=[features])
    (tmp_path / "elsewhere").mkdir()
    shutil.move(features, tmp_path / "elsewhere" / "places.gpkg")
    monkeypatch.chdir(tmp_path / "elsewhere")
    there = classified(
        tmp_path / "there", [source], model, features=["places.gpkg"], scheduler=scheduler
    )
    assert here == there


def rasters(folder: Path, count: int) -> list[str]:
    """Write rasters of one level each, of several sizes and systems."""
    sources = []
    for number in range(count):
        level = 255 if number == 5 else number % 11
        pixels = np.full((1, 20 + number, 30), level, np.uint8)
        place = folder / f"ü{number}.tif"
        sources.append(write_raster(place, pixels, epsg=32616 + number % 2, nodata=255))
    return sources


def test_whole_rasters_are_objects(tmp_path: Path, scheduler: str) -> None:
    sources = rasters(tmp_path, 20)
    model = write_model(tmp_path / "m.dlpk", "TEST_OBJECTS", chip_size=16)
    here = classified(tmp_path / "here", sources, model)
    assert classified(tmp_path / "there", sources, model, scheduler=scheduler) == here
    found = read_features(tmp_path / "there" / "a.gpkg")
    assert [each["Raster"] for each in found] == [Path(each).name for each in sources]
    assert {each["ClassLabel"] for each in found} == {"Tree", "Car", None}


def test_a_killed_worker_changes_no_byte(
    tmp_path: Path, scheduler: str, source: str, features: str
) -> None:
    model = write_model(tmp_path / "m.dlpk", "TEST_OBJECTS", chip_size=16)
    here = classified(tmp_path / "here", [source], model, features=[features])
    with Client(scheduler, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        worker, *_ = client.run(os.getpid).values()
    kills = Ends(lambda: os.kill(worker, signal.SIGKILL), 0)
    there = classified(
        tmp_path / "there", [source], model, kills, features=[features], scheduler=scheduler
    )
    assert here == there
    with Client(scheduler, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        assert worker not in client.run(os.getpid).values()


@pytest.mark.parametrize("first, second", [(True, True), (True, False), (False, True)])
def test_an_ended_run_goes_on_here_or_there(
    tmp_path: Path,
    scheduler: str,
    source: str,
    features: str,
    first: bool,
    second: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = write_model(tmp_path / "m.dlpk", "TEST_OBJECTS", chip_size=16)
    expected = classified(tmp_path / "whole", [source], model, features=[features])

    def end() -> None:
        raise KeyboardInterrupt

    sent = []
    send = remote_objects._sent
    with pytest.raises(KeyboardInterrupt):
        classified(
            tmp_path / "out", [source], model, Ends(end), features=[features],
            scheduler=scheduler if first else "",
        )  # fmt: skip
    assert [each.name for each in (tmp_path / "out").iterdir()] == [".a.gpkg.unfinished.journal"]
    monkeypatch.setattr(remote_objects, "_sent", lambda *each: sent.append(1) or send(*each))
    found = classified(
        tmp_path / "out", [source], model, features=[features],
        scheduler=scheduler if second else "",
    )  # fmt: skip
    assert found == expected
    assert bool(sent) == second
    assert len(sent) < COUNT


def test_cancelling_leaves_nothing(
    tmp_path: Path, scheduler: str, source: str, features: str
) -> None:
    model = write_model(tmp_path / "m.dlpk", "TEST_OBJECTS", chip_size=16)
    more = {"features": [features], "scheduler": scheduler}
    with pytest.raises(CancelledError):
        classified(tmp_path / "out", [source], model, Listens(cancel=True), **more)
    assert not list((tmp_path / "out").iterdir())
    with Client(scheduler, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        assert client.submit(sum, [1, 2], pure=False).result(timeout=120) == 3


def test_a_raster_that_a_worker_cannot_see_is_named(
    tmp_path: Path, scheduler: str, source: str, features: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_model(tmp_path / "m.dlpk", "TEST_OBJECTS", chip_size=16)
    sources = rasters(tmp_path, 3)

    def elsewhere(path: str) -> str:
        # A path that there is on this machine alone.
        return path if path == sources[0] else "/only/here/a.tif"

    for module in ("station", "remote_objects"):
        place = f"geodl_plugin.core.inference.{module}"
        monkeypatch.setattr(f"{place}.absolute", elsewhere)
        monkeypatch.setattr(f"{place}.is_file", lambda each: True)
    # What is damaged may be left out, what is missing not: other workers may see it.
    for given, layer in (([source], [features]), (sources, [])):
        with pytest.raises(RasterError, match=r"worker tcp://.* '/only/here/a\.tif' is not there"):
            classified(
                tmp_path / "out", given, model, features=layer, scheduler=scheduler,
                skip_unreadable=True,
            )  # fmt: skip
    assert not list((tmp_path / "out").glob("*.gpkg"))


def test_damage_is_left_out_and_told_once_in_each_run(tmp_path: Path, scheduler: str) -> None:
    source = damaged(tmp_path / "a.tif")
    shapes = [rectangle(20, 20, 10, 10), *[rectangle(200, 200, 10, 10)] * 9]
    features = write_polygons(tmp_path / "a.gpkg", shapes, 32616)
    model = write_model(tmp_path / "m.dlpk", "TEST_OBJECTS", chip_size=16)
    more = {"features": [features], "scheduler": scheduler}
    with pytest.raises(RasterError, match=r"worker tcp://.* cannot be read at column"):
        classified(tmp_path / "failed", [source], model, **more)
    for _ in range(2):
        listens = Listens()
        classified(tmp_path / "out", [source], model, listens, skip_unreadable=True, **more)
        found = read_features(tmp_path / "out" / "a.gpkg")
        assert [each["ClassLabel"] for each in found] == ["Car"] + [None] * 9
        assert len([each for each in listens.told if "The class is empty there." in each]) == 1


def test_a_model_that_was_trained_again_is_opened_again(
    tmp_path: Path, scheduler: str, source: str, features: str
) -> None:
    results = set()
    for _ in range(2):
        model = write_model(tmp_path / "m.dlpk", "TEST_SMALL_OBJECTS", chip_size=16)
        more = {"features": [features], "scheduler": scheduler}
        results.add(classified(tmp_path / "out", [source], model, **more))
        del more["scheduler"]
        assert classified(tmp_path / "here", [source], model, **more) in results
    assert len(results) == 2


def test_calls_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = geometry_of(polygon_wkb([np.random.default_rng(0).random((50, 2))]))
    subject = Subject(Feature(0, shape, {}), shape, (0, 0, 1, 1))
    monkeypatch.setattr(remote_objects, "LARGEST", 3 * shape.WkbSize())
    for outlined, expected in ((False, [10, 10, 3]), (True, [3] * 7 + [2])):
        groups = list(remote_objects._groups([subject] * 23, 10, outlined))
        assert [len(each) for each in groups] == expected
        sent = remote_objects._sent(subject, outlined)
        assert remote_objects._taken(*sent).shape.Equals(shape) == outlined
    lost = Subject(Feature(0, shape, {}), None, (0, 0, 0, 0))
    assert remote_objects._taken(*remote_objects._sent(lost, True)).shape is None
