"""A function tells its parameters: in the worker, with consent, whatever its code does."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from geodl_plugin.core.arguments import Argument
from geodl_plugin.core.errors import CancelledError, GeoDLError, ModelError
from geodl_plugin.core.inference.foreign.function_start import describe_function
from geodl_plugin.core.progress import Progress
from geodl_plugin.worker.client import run_task

from .test_functions import make_model

TOLD = """
    def getParameterInfo(self):
        {body}
"""


@pytest.fixture(autouse=True)
def usual_folder() -> Iterator[None]:
    """Keep the folder for temporary files, which the task sets for its own process."""
    before = tempfile.tempdir
    yield
    tempfile.tempdir = before


def ask(model: str, **options: Any) -> list[Argument]:
    """Return the arguments that the task finds."""
    told = describe_function({"model": model, "allow_code": True, **options}, Progress())
    return [Argument.of(each) for each in told["arguments"]]


def test_the_worker_tells_the_parameters(tmp_path: Path) -> None:
    model, folder = make_model(tmp_path, "ObjectDetection"), tmp_path / "unpacked"
    folder.mkdir()
    options = {"model": model, "allow_code": True, "folder": str(folder)}
    result = run_task("describe_function", options)
    found = [Argument.of(each) for each in result["arguments"]]
    assert [(each.name, each.default, each.choices) for each in found] == [
        ("least", 50.0, ()),
        ("mode", "box", ("box", "turned")),
    ]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("consent", [False, None, "yes", 1])
def test_nothing_runs_without_consent(consent: Any, tmp_path: Path) -> None:
    evil = f"    open({str(tmp_path / 'ran')!r}, 'w')\n"
    model = make_model(tmp_path, "ObjectDetection", evil)
    with pytest.raises(ModelError, match="ALLOW_CODE"):
        ask(model, allow_code=consent)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("raise ValueError('no parameters today')", r"failed \(ValueError: no parameters today"),
        ("return [1, 2]", r"failed \(AttributeError"),
        ("return None", r"failed \(TypeError"),
        ("os._exit(3)", r"ended by itself \(code 3\)"),
        ("return [{'name': 'x', 'value': {(1, 2): 3}}]", r"ended by itself \(code 1\)"),
    ],
)
def test_what_fails_is_one_sentence(body: str, sentence: str, tmp_path: Path) -> None:
    model = make_model(tmp_path, "ObjectDetection", TOLD.format(body=body))
    with pytest.raises(ModelError, match=sentence):
        ask(model)


def test_strange_parameters_and_noise_come_through(tmp_path: Path) -> None:
    told = [{"name": name, "dataType": 5, "domain": 7} for name in ("a;b", "x=y", None, "größe")]
    body = f"print('{{\"event\": 1}}' * 1000); return {told!r}"
    model = make_model(tmp_path, "ObjectDetection", TOLD.format(body=body))
    assert [each.name for each in ask(model)] == ["größe"]


def test_a_flood_of_values_does_not_reach_the_window(tmp_path: Path) -> None:
    told = "{'name': 'x', 'domain': [str(n) for n in range(10**6)], 'description': 'y' * 10**7}"
    body = f"return [{told}, {{'name': 'z', 'value': 'long' * 10**6}}]"
    model = make_model(tmp_path, "ObjectDetection", TOLD.format(body=body))
    (found,) = ask(model)
    assert (found.name, found.choices, len(found.help)) == ("x", (), 500)


def test_models_without_a_function_have_none(tmp_path: Path) -> None:
    model = make_model(tmp_path, "ObjectDetection", InferenceFunction="")
    assert ask(model) == []
    with pytest.raises(GeoDLError):
        ask(str(tmp_path / "missing.dlpk"))


class Impatient(Progress):
    """Cancels when the function has begun."""

    def __init__(self, sign: Path) -> None:
        self._sign = sign

    def cancelled(self) -> bool:
        return self._sign.exists()


def test_a_slow_function_is_ended_with_its_worker(tmp_path: Path) -> None:
    sign = tmp_path / "process"
    body = f"open({str(sign)!r}, 'w').write(str(os.getpid())); import time; time.sleep(600)"
    model = make_model(tmp_path, "ObjectDetection", TOLD.format(body=body))
    begun = time.monotonic()
    with pytest.raises(CancelledError):
        options = {"model": model, "allow_code": True, "folder": str(tmp_path)}
        run_task("describe_function", options, Impatient(sign))
    assert time.monotonic() - begun < 300
    assert wait_for_end(int(sign.read_text()))


def test_a_killed_function_is_one_sentence(tmp_path: Path) -> None:
    body = f"os.kill(os.getpid(), {int(signal.SIGTERM)})"
    model = make_model(tmp_path, "ObjectDetection", TOLD.format(body=body))
    with pytest.raises(ModelError, match="ended by itself"):
        ask(model)


def wait_for_end(process: int) -> bool:
    """Return whether a process ends within some seconds."""
    waiting = threading.Event()
    for _ in range(50):
        try:
            os.kill(process, 0)
        except OSError:
            return True
        waiting.wait(0.1)
    return False
