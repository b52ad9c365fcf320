"""The lines between parent and worker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from geodl_plugin.core import errors
from geodl_plugin.core.errors import InputError, WorkerError
from geodl_plugin.worker.protocol import decode, encode, error_event, error_of, plain
from geodl_plugin.worker.tasks import TASKS, Task, task_named


@dataclass(frozen=True)
class Options:
    path: str
    count: int = 1


def test_what_json_lacks_travels_as_what_it_has():
    message = {
        "event": "result",
        "result": {
            "score": np.float32(0.5),
            "n": np.int64(3),
            "path": Path("ä b"),
            "o": Options("p"),
        },
    }
    result = decode(encode(message).decode())["result"]
    assert result == {"score": 0.5, "n": 3, "path": "ä b", "o": {"path": "p", "count": 1}}


def test_a_message_is_one_line_of_ascii():
    line = encode({"event": "info", "message": "Bäume\nund \u2028 mehr"})
    assert line.isascii() and line.count(b"\n") == 1 and line.endswith(b"\n")


@pytest.mark.parametrize(
    "line", ["", "hello", "{", "[1]", "12", '{"event": "party"}', "null", "[" * 10**6]
)
def test_rubbish_is_no_event(line):
    assert decode(line) is None


def test_every_error_class_survives():
    kinds = [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.GeoDLError)
    ]
    assert len(kinds) > 5
    for kind in kinds:
        again = error_of(error_event(kind("A sentence.")))
        assert type(again) is kind and str(again) == "A sentence."


@pytest.mark.parametrize("kind", ["annotations", "Nonsense", "", None, "__doc__"])
def test_an_unknown_class_becomes_a_worker_error(kind):
    assert type(error_of({"message": "A sentence.", "kind": kind})) is WorkerError


def test_options_are_checked_by_name():
    task = Task("nowhere", "run", __name__, "Options")
    assert task.options({"path": "a"}) == Options("a")
    with pytest.raises(InputError, match=r"no option 'pth'. Choose from: count, path\."):
        task.options({"pth": "a"})
    with pytest.raises(InputError, match="path"):
        task.options({})
    assert plain(Options("a")) == {"path": "a", "count": 1}


def test_unknown_tasks_are_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"There is no task 'fly'\. Choose one of: selftest, "):
        task_named("fly")


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_task_names_a_module_that_exists(name):
    root = Path(errors.__file__).resolve().parents[2]
    for module in filter(None, (TASKS[name].module, TASKS[name].options_module)):
        assert (root / (module.replace(".", "/") + ".py")).exists()
