"""A journal of finished parts beside a result, by which a killed run goes on.

A file of lines of JSON: the first tells what is computed, each later one a finished part,
with its answers where they are not stored elsewhere. A line that was cut short counts as not
written.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import io
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CancelledError, InputError, ModelError, RasterError
from ..geo.block_store import write_all
from ..geo.source_files import files_of
from ..leftovers import remove_leftovers, unfinished
from ..locks import lock
from ..packages.model_files import model_files
from ..progress import Progress
from ..replacing import discard
from .options import InferenceOptions

FORMAT = 2
_OWNED = "owned"


class Journal:
    """The finished parts of a result.

    Args:
        output: the result.
        facts: what decides the result; a journal with other facts starts anew.

    Attributes:
        resumed: whether an earlier run of the same call has left finished parts.

    Raises:
        InputError: when another run is writing the same result.
        RasterError: when the journal cannot be written.
    """

    def __init__(self, output: str | Path, facts: Mapping[str, Any]) -> None:
        self.path = unfinished(output, "journal")
        self._places: dict[int, tuple[int, int]] = {}
        self._notes: dict[str, Any] = {}
        self._turn = threading.Lock()  # one thread notes while another adds
        first = json.dumps({"format": FORMAT, **facts}, sort_keys=True, default=str)
        self._first = f"{first}\n".encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b", buffering=0)
        except OSError as error:
            raise RasterError(
                f"'{self.path.parent}' cannot be written: {error.strerror}."
            ) from error
        if not lock(self._file):
            self._file.close()
            raise InputError(
                f"'{Path(output).name}' is being written by another run. Wait for it, or choose "
                "another file."
            )
        self._read()
        self.resumed = bool(self._places)

    def __contains__(self, part: int) -> bool:
        return part in self._places

    def __iter__(self) -> Iterator[int]:
        """Yield the numbers of the finished parts, in the order in which they were finished."""
        return iter(list(self._places))

    def __len__(self) -> int:
        return len(self._places)

    def note(self, name: str, value: Any) -> Any:
        """Return what an earlier run noted under a name; note ``value`` where none has."""
        if name not in self._notes:
            self._notes[name] = value
            self._write({"note": {name: value}})
        return self._notes[name]

    def noted(self, name: str) -> Any:
        """Return what was noted under a name, ``None`` when nothing was."""
        return self._notes.get(name)

    def add(self, part: int, answers: Mapping[str, np.ndarray] | None = None) -> None:
        """Tell that a part is finished, and what was found in it."""
        record: dict[str, Any] = {"part": part}
        if answers is not None:
            record["answers"] = {name: _packed(array) for name, array in answers.items()}
        self._places[part] = self._write(record)

    def answers(self, part: int) -> dict[str, np.ndarray]:
        """Return what was found in a finished part."""
        begin, length = self._places[part]
        with self._turn:
            self._file.seek(begin)
            record = json.loads(self._file.read(length))
        return {name: _unpacked(*array) for name, array in record["answers"].items()}

    def parts(self) -> frozenset[int]:
        """Return the numbers of the finished parts."""
        return frozenset(self._places)

    def forget(self) -> None:
        """Start anew."""
        self.resumed = False
        self._places.clear()
        self._notes.clear()
        self._file.truncate(0)
        self._append(self._first)

    def close(self) -> None:
        """Close the file; what is finished stays known."""
        self._file.close()

    def remove(self) -> None:
        """Close and remove the file."""
        self.close()
        discard(self.path)

    def _read(self) -> None:
        self._file.seek(0)
        with io.BufferedReader(io.FileIO(os.dup(self._file.fileno()))) as lines:
            line = lines.readline()
            if line != self._first:
                self.forget()
                return
            place = len(line)
            for line in lines:
                record = _record(line)
                if record is None:
                    self._file.truncate(place)
                    return
                if "note" in record:
                    self._notes.update(record["note"])
                else:
                    self._places[int(record["part"])] = (place, len(line))
                place += len(line)

    def _write(self, record: dict[str, Any]) -> tuple[int, int]:
        line = f"{json.dumps(record)}\n".encode()
        return self._append(line), len(line)

    def _append(self, line: bytes) -> int:
        try:
            with self._turn:
                begin = self._file.seek(0, os.SEEK_END)
                write_all(self._file, memoryview(line))
        except OSError as error:
            raise RasterError(
                f"'{self.path.parent}' cannot be written: {error.strerror}."
            ) from error
        return begin


@contextlib.contextmanager
def resumable(
    output: str | Path,
    facts: Mapping[str, Any],
    progress: Progress,
    drop: Callable[[bool], None] | None = None,
    others: Sequence[str | Path] = (),
) -> Iterator[Journal]:
    """Keep what is finished when something fails, and nothing when the user cancels.

    Args:
        output: the result.
        facts: what decides it.
        progress: is told what happens to what is finished.
        drop: is told, when something fails, whether what is finished is kept.
        others: further results that grow with it. Each has a journal of its own, which tells
            whose they are.
    """
    journals = _opened((output, *others), facts)
    journal = journals[0]
    if not all(each.noted(_OWNED) for each in journals[1:]):  # another call has begun them since
        journal.forget()
    for each in journals[1:]:
        each.note(_OWNED, True)
    remove_leftovers(output)  # a killed run could not remove its temporary files
    try:
        yield journal
    except BaseException as error:
        kept = len(journal) > 0 and not isinstance(error, CancelledError)
        if drop is not None:
            drop(kept)
        for each in journals:
            each.close() if kept else each.remove()
        if kept:
            progress.info("What is finished is kept: run the same call again to go on.")
        raise
    for each in journals:
        each.remove()


def _opened(outputs: Sequence[str | Path], facts: Mapping[str, Any]) -> list[Journal]:
    """Return the journals of several results, all of them or none."""
    journals: list[Journal] = []
    try:
        for output in outputs:
            journals.append(Journal(output, facts))
    except BaseException:
        for each in journals:
            each.close() if each.resumed else each.remove()
        raise
    return journals


class Notes:
    """What a journal notes, in memory alone."""

    def __init__(self, notes: Mapping[str, Any] | None = None) -> None:
        self._notes = dict(notes or {})

    def note(self, name: str, value: Any) -> Any:
        """Return what was noted under a name; note ``value`` where nothing was."""
        return self._notes.setdefault(name, value)

    def noted(self, name: str) -> Any:
        """Return what was noted under a name, ``None`` when nothing was."""
        return self._notes.get(name)


def facts_of(options: InferenceOptions, **more: Any) -> dict[str, Any]:
    """Return what decides a result: the options, and the state of all files that are read."""
    files = [*options.inputs, *files_of(options.inputs)]
    with contextlib.suppress(ModelError):  # a network that is ready needs none
        files += map(str, model_files(options.model))
    states = {}
    # Edits of a GeoPackage that another program has open lie in a file beside it for a while.
    for each in [name for file in files for name in (file, f"{file}-wal")]:
        with contextlib.suppress(OSError, ValueError):
            state = Path(each).stat()
            if state.st_size or not each.endswith("-wal"):
                states[each] = [state.st_size, state.st_mtime_ns]
    told = dataclasses.asdict(options)
    del told["scheduler"]  # it decides who computes, not what
    return {"options": told, "files": states, **more}


def _packed(array: np.ndarray) -> tuple[str, tuple[int, ...], str]:
    """Return an array's type, shape and bytes as JSON knows them, in a tenth of a zip's time."""
    data = base64.b64encode(np.ascontiguousarray(array)).decode("ascii")
    return array.dtype.str, array.shape, data


def _unpacked(kind: str, shape: Sequence[int], data: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(data), kind).reshape(shape).copy()


def _record(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and record.keys() & {"part", "note"} else None
