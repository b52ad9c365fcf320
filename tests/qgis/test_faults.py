"""What goes wrong on the way: full disks, lost files, killed workers, cancelled and double runs."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qgis.core import QgsProcessingException, QgsProcessingFeedback

from geodl_plugin.core.errors import CancelledError
from geodl_plugin.worker.client import WorkerProcess
from tests.qgis.models import work_here, write_untrained
from tests.unit.inference.support import read_features, write_model, write_polygons, write_raster

Run = Callable[..., dict[str, Any]]

# A tool, the network of its model, and what else it is given.
TOOLS = {
    "classifypixels": ("TEST_PIXELS", ".tif", {"ARGUMENTS": "tile_size=64;padding=8"}),
    "detectobjects": ("TEST_NUMBERS", ".gpkg", {"ARGUMENTS": "tile_size=64;padding=16"}),
    "detectchange": ("TEST_CHANGE", ".tif", {"ARGUMENTS": "tile_size=64;padding=8"}),
    "classifyobjects": ("TEST_OBJECTS", ".gpkg", {}),
}


@pytest.fixture
def source(tmp_path: Path) -> str:
    """A raster of squares with numbers, stored in blocks and not compressed."""
    pixels = np.zeros((1, 512, 512), np.float32)
    for number in range(1, 37):
        row, col = divmod(number - 1, 6)
        pixels[0, 80 * row + 10 : 80 * row + 22, 80 * col + 10 : 80 * col + 22] = number
    options = ("TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=64")
    return write_raster(tmp_path / "ortho.tif", pixels, options=options)


@pytest.fixture
def call(run: Run, source: str, tmp_path: Path) -> Run:
    """Return a function that runs a tool of inference in this process."""

    def calls(tool: str, output: Path, feedback: Any = None, **more: Any) -> dict[str, Any]:
        network, _, given = TOOLS[tool]
        model = tmp_path / f"{network}.dlpk"
        if not model.exists():
            write_model(model, network)
        values = {"INPUT": source, "MODEL": str(model), **given, **more}
        if tool == "detectchange":
            values["INPUT_2"] = source
        if tool == "classifyobjects":
            places = tmp_path / "places.gpkg"
            if not places.exists():
                draw = np.random.default_rng(0).uniform(0, 250, (300, 2))
                points = [f"POINT ({500000 + x} {4100000 - y})" for x, y in draw]
                write_polygons(places, points, 32616, name=list(map(str, range(300))))
            values["FEATURES"] = str(places)
        return run(tool, feedback, OUTPUT=str(output), **values)

    return calls


class AtFirst(QgsProcessingFeedback):
    """Does something when a phase of the work is told for the first time."""

    def __init__(self, action: Callable[[], None], words: str = " of ") -> None:
        super().__init__()
        self._action: Callable[[], None] | None = action
        self._words = words

    def setProgressText(self, text: str) -> None:
        if self._words in text and self._action is not None:
            action, self._action = self._action, None
            action()


class CancelsAfter(QgsProcessingFeedback):
    """Is cancelled when it has been asked some times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    def isCanceled(self) -> bool:
        self.left -= 1
        return self.left < 0


def told(caught: pytest.ExceptionInfo[QgsProcessingException]) -> str:
    """Return the sentence of an error, which is no traceback."""
    message = str(caught.value)
    assert "Traceback" not in message and "unexpectedly" not in message
    return message


PLAIN = {"channels": [4, 8], "dropout": 0}


@contextlib.contextmanager
def nearly_full(kilobytes: int) -> Iterator[None]:
    """Let no file of this process become larger than that, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def same(one: Path, other: Path) -> bool:
    """Return whether two results hold the same."""
    if one.suffix == ".tif":
        return one.read_bytes() == other.read_bytes()
    contents = [
        [(each.pop("geometry").ExportToWkt(), each) for each in read_features(path)]
        for path in (one, other)
    ]
    return contents[0] == contents[1] != []


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("kilobytes", [8, 60, 90, 110])
def test_a_full_disk_is_one_sentence(
    call: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str, kilobytes: int
) -> None:
    work_here(monkeypatch)
    output = tmp_path / "out" / f"result{TOOLS[tool][1]}"
    whole = tmp_path / "whole" / output.name
    call(tool, whole)
    sentence = ""
    try:
        with nearly_full(kilobytes):
            call(tool, output)
    except QgsProcessingException as error:
        sentence = str(error)
    if sentence:
        assert "cannot be written" in sentence or "The disk is full" in sentence, sentence
        assert "Traceback" not in sentence
        assert not output.exists()
    else:  # there was room enough
        assert same(output, whole)
    assert not [each for each in output.parent.glob("*") if "part-" in each.name]
    call(tool, output)  # there is room again
    assert same(output, whole)


def test_a_disk_that_is_full_at_the_end_costs_only_the_end(
    call: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_here(monkeypatch)
    output = tmp_path / "out" / "result.tif"
    with contextlib.ExitStack() as stack, pytest.raises(QgsProcessingException) as caught:
        fill = AtFirst(lambda: stack.enter_context(nearly_full(1)), "Writing overviews")
        call("classifypixels", output, fill)
    assert f"'{output}' cannot be written: " in told(caught)
    assert not output.exists()
    feedback = QgsProcessingFeedback()
    call("classifypixels", output, feedback)
    assert "Computing on" not in feedback.textLog()  # all tiles were finished
    assert not [each for each in output.parent.iterdir() if each.name.startswith(".")]


def test_a_model_that_finds_no_room_to_be_unpacked_is_not_called_damaged(
    call: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_here(monkeypatch)
    call("classifypixels", tmp_path / "out" / "first.tif")
    with nearly_full(0), pytest.raises(QgsProcessingException) as caught:
        call("classifypixels", tmp_path / "out" / "second.tif")
    assert "'TEST_PIXELS.dlpk' cannot be unpacked into" in told(caught)
    assert "Make room there" in told(caught)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_folder_that_cannot_be_written_is_one_sentence(
    call: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    work_here(monkeypatch)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(QgsProcessingException) as caught:
        call(tool, tmp_path / "file" / f"result{TOOLS[tool][1]}")
    assert str(tmp_path / "file") in told(caught)
    assert "cannot be written" in told(caught)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_source_that_is_lost_while_it_is_read_is_named(
    call: Run, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    work_here(monkeypatch)
    monkeypatch.setattr("geodl_plugin.core.progress.Phase.interval", 0.0)
    output = tmp_path / "out" / f"result{TOOLS[tool][1]}"
    lose = AtFirst(lambda: os.truncate(source, 4096))
    with pytest.raises(QgsProcessingException) as caught:
        call(tool, output, lose, **({"ARGUMENTS": "batch_size=1"} if "objects" in tool else {}))
    assert "'ortho.tif' cannot be read" in told(caught) or "ortho.tif" in told(caught)
    assert not output.exists()


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("times", [0, 1, 4, 9])
def test_a_cancelled_run_leaves_nothing(
    call: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str, times: int
) -> None:
    work_here(monkeypatch)
    (tmp_path / "out").mkdir()
    output = tmp_path / "out" / f"result{TOOLS[tool][1]}"
    result = call(tool, output, CancelsAfter(times))
    if result.get("OUTPUT"):  # it was ready before it was asked so often
        assert output.exists()
    else:
        assert list(output.parent.iterdir()) == []


def test_a_cancel_that_ends_the_worker_by_force_leaves_nothing_of_any_result(
    call: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    ended = "4194305"  # no process has such a number

    def killed(*_: Any) -> None:
        for name in ("a.tif.unfinished.journal", "a.tif.unfinished.pixels", "p.tif.unfinished.tif"):
            (folder / f".{name}").touch()
        for name in (f".p.tif.part-{ended}.new.tif", f"r.gpkg.part-{ended}.gpkg"):
            (folder / name).touch()
        raise CancelledError

    monkeypatch.setattr("geodl_plugin.algorithms.base.GeoDLAlgorithm.run_worker", killed)
    more = {"PROBABILITIES": str(folder / "p.tif"), "POLYGONS": str(folder / "r.gpkg")}
    call("classifypixels", folder / "a.tif", **more)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("tool", ["nonmaximumsuppression", "assessdetections", "assesspixels"])
@pytest.mark.parametrize("times", [0, 1, 3])
def test_cancelled_tools_without_a_worker_leave_nothing(
    run: Run, source: str, tmp_path: Path, tool: str, times: int
) -> None:
    squares = [
        f"POLYGON (({x} {y}, {x + 5} {y}, {x + 5} {y - 5}, {x} {y - 5}, {x} {y}))"
        for x in range(500000, 500200, 8)
        for y in range(4099850, 4100000, 8)
    ]
    count = len(squares)
    layer = write_polygons(
        tmp_path / "found.gpkg",
        squares,
        32616,
        Class=["Tree"] * count,
        Confidence=np.linspace(1, 99, count).tolist(),
        Classvalue=[1] * count,
    )
    (tmp_path / "out").mkdir()
    given = {
        "nonmaximumsuppression": {"INPUT": layer, "OUTPUT": "kept.gpkg"},
        "assessdetections": {
            "INPUT": layer, "REFERENCE": layer, "OUTPUT": "table.csv", "REPORT": "report.html",
            "MATCHES": "matches.gpkg",
        },
        "assesspixels": {
            "INPUT": source, "REFERENCE": layer, "CLASS_FIELD": "Classvalue",
            "OUTPUT": "table.csv", "REPORT": "report.html",
        },
    }[tool]  # fmt: skip
    values = {
        name: str(tmp_path / "out" / value) if Path(value).parent == Path() else value
        for name, value in given.items()
        if name != "CLASS_FIELD"
    }
    if "CLASS_FIELD" in given:
        values["CLASS_FIELD"] = given["CLASS_FIELD"]
    result = run(tool, CancelsAfter(times), **values)
    if not result.get("OUTPUT"):
        assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("tool", TOOLS)
def test_two_runs_side_by_side_do_not_disturb_each_other(
    call: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    work_here(monkeypatch)
    suffix = TOOLS[tool][1]
    monkeypatch.setattr("geodl_plugin.core.progress.Phase.interval", 0.0)
    folder = tmp_path / "out"
    ran: list[Any] = []
    inner = AtFirst(lambda: ran.append(call(tool, folder / f"second{suffix}")))
    call(tool, folder / f"first{suffix}", inner)
    call(tool, folder / f"alone{suffix}")
    assert len(ran) == 1
    names = {each.name.split(".")[0] for each in folder.iterdir()}
    assert names == {"first", "second", "alone"}
    for name in ("first", "second"):
        assert same(folder / f"{name}{suffix}", folder / f"alone{suffix}")


@pytest.mark.parametrize("tool", ["classifypixels", "detectobjects"])
def test_a_second_run_of_the_same_result_is_refused(
    call: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    work_here(monkeypatch)
    monkeypatch.setattr("geodl_plugin.core.progress.Phase.interval", 0.0)
    output = tmp_path / "out" / f"result{TOOLS[tool][1]}"
    sentences: list[str] = []

    def again() -> None:
        with pytest.raises(QgsProcessingException) as caught:
            call(tool, output)
        sentences.append(told(caught))

    call(tool, output, AtFirst(again))
    (sentence,) = sentences
    assert f"'{output.name}' is being written by another run" in sentence
    assert output.exists()


@pytest.mark.parametrize(
    ("tool", "network", "suffix", "words"),
    [
        ("classifypixels", "UNET_PLAIN", ".tif", "Classifying pixels"),
        ("detectobjects", "SSD", ".gpkg", "Detecting"),
    ],
)
def test_a_killed_worker_says_that_the_same_call_goes_on(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tool: str,
    network: str,
    suffix: str,
    words: str,
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 260, 260), np.uint8)
    source = write_raster(tmp_path / "ortho.tif", pixels)
    given = PLAIN if network == "UNET_PLAIN" else {}
    model = write_untrained(tmp_path / "model.dlpk", network, **given)
    workers: list[WorkerProcess] = []
    start = WorkerProcess.start

    def started(worker: WorkerProcess) -> None:
        start(worker)
        workers.append(worker)

    monkeypatch.setattr(WorkerProcess, "start", started)
    output = tmp_path / "out" / f"result{suffix}"
    values = {"INPUT": source, "MODEL": model, "OUTPUT": str(output), "PRECISION": "float32"}
    values["ARGUMENTS"] = "tile_size=64;padding=8;batch_size=1"
    kill = AtFirst(lambda: os.kill(workers[-1]._process.pid, signal.SIGKILL), words)
    with pytest.raises(QgsProcessingException) as caught:
        run(tool, kill, **values)
    assert "The worker was killed, probably because the machine ran out of memory" in told(caught)
    assert "run the same call again to go on" in told(caught)
    assert not output.exists()
    again = QgsProcessingFeedback()
    assert run(tool, again, **values)["OUTPUT"] == str(output)
    assert [each.name for each in output.parent.iterdir() if each.name.startswith(".")] == []


def test_a_scheduler_that_is_not_there_is_one_sentence(
    call: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_here(monkeypatch)
    monkeypatch.setattr("geodl_plugin.core.cluster.CONNECT", 0.5)
    for tool in TOOLS:
        output = tmp_path / "out" / f"result{TOOLS[tool][1]}"
        with pytest.raises(QgsProcessingException) as caught:
            call(tool, output, SCHEDULER="tcp://127.0.0.1:1")
        assert "No Dask scheduler answers at 'tcp://127.0.0.1:1'" in told(caught)
        assert not list(output.parent.glob("*"))
