"""Python inference functions: run unchanged, in a process of their own, with consent.

The contract is that of ArcGIS' Python raster functions.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..arguments import TRUE
from ..errors import InputError, ModelError
from . import function_host
from .function_arguments import BOOLEAN, NUMBER, domain_of, kind_of
from .function_host import read_message, write_message

TAIL = 400  # characters of what the function has printed that an error shows
_FOREIGN_VARIABLES = ("PYTHONHOME", "PYTHONPATH", "PYTHONEXECUTABLE", "PYTHONSTARTUP")


class InferenceFunction:
    """A function that is at work in its own process; it ends with this object.

    Args:
        name: of the model, for errors.
        file: the function's Python file.
        folder: of the definition, where the function looks for other files.
        model: path of the definition, or its text.
        device: number of the GPU, -1 for the CPU.

    Raises:
        ModelError: one sentence about what the function's own code failed with.
    """

    def __init__(self, name: str, file: Path, folder: Path, model: str, device: int = -1) -> None:
        self.name = name
        self._log = tempfile.TemporaryFile(prefix="geodl-function-")  # noqa: SIM115
        self._process = _start(self._log)
        self._end = weakref.finalize(self, _finish, self._process, self._log)
        order = {"folder": str(folder), "function": str(file), "model": model}
        answer, _ = self.call("start", {**order, "device": device})
        self.parameters: list[dict[str, Any]] = answer["parameters"]
        self.has: list[str] = answer["has"]
        self.scalars: dict[str, Any] = {}

    def close(self) -> None:
        """End the process."""
        self._end()

    def call(
        self, what: str, order: Mapping[str, Any], arrays: Sequence[np.ndarray] = ()
    ) -> tuple[dict[str, Any], list[np.ndarray]]:
        """Have a step of the contract done and return its answer."""
        answer = None
        source, target = self._process.stdout, self._process.stdin
        if source is not None and target is not None:
            with contextlib.suppress(OSError, ValueError):
                write_message(target, {**order, "call": what}, list(arrays))
                answer = read_message(source)
        if answer is None:
            code = self._process.wait()
            raise ModelError(
                f"The Python function of '{self.name}' ended by itself (code {code}): "
                f"{self._tail()}."
            )
        if "error" in answer[0]:
            raise ModelError(
                f"The Python function of '{self.name}' failed ({answer[0]['error']}). It is code "
                "of the model's author, whom to ask."
            )
        return answer

    def configure(self, given: Mapping[str, str], tool: Sequence[str]) -> dict[str, Any]:
        """Hand over the arguments and return the function's configuration.

        Args:
            given: names and texts; those that the function does not know but the tool does are
                left to that.
            tool: names of the tool's own arguments.

        Raises:
            InputError: when nobody knows an argument, or its value has the wrong type.
        """
        names = [str(each["name"]) for each in self.parameters]
        known = {each.casefold(): each for each in names}
        unknown = [name for name in given if name.casefold() not in known and name not in tool]
        if unknown:
            raise InputError(
                f"There is no argument '{unknown[0]}'. The function of '{self.name}' knows: "
                f"{', '.join(names) or 'none'}."
            )
        texts = {name.casefold(): text for name, text in given.items()}
        self.scalars = {
            str(each["name"]): self._scalar(each, texts.get(str(each["name"]).casefold()))
            for each in self.parameters
        }
        answer, _ = self.call("configure", {"scalars": self.scalars})
        return answer["configuration"]

    def _scalar(self, parameter: Mapping[str, Any], text: str | None) -> Any:
        """Return the value of a parameter: a string, a number, or true and false."""
        value = parameter.get("value") if text is None else text
        kind = kind_of(parameter)
        name = parameter["name"]
        if kind == NUMBER and text is None and not str(value).strip():
            value = None
        if value is None and parameter.get("required"):
            raise InputError(
                f"The function of '{self.name}' needs the argument '{name}'. Add {name}=…"
            )
        if kind == NUMBER:
            try:
                number = float(value) if value is not None else None
            except (TypeError, ValueError):
                raise InputError(f"'{value}' is no number for '{name}'. Write a number.") from None
            return int(number) if number is not None and number.is_integer() else number
        if kind == BOOLEAN:
            return str(value).strip().lower() in TRUE
        text_value = "" if value is None else str(value)
        domain = domain_of(parameter)
        if text is not None and domain and text_value not in domain:
            same = [each for each in domain if each.casefold() == text_value.casefold()]
            if not same:
                raise InputError(
                    f"{name}={text_value} is none of what the function of '{self.name}' takes: "
                    f"{', '.join(domain)}."
                )
            return same[0]
        return text_value

    def _tail(self) -> str:
        self._log.seek(0)
        lines = self._log.read()[-4 * TAIL :].decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:TAIL].rstrip(".") if lines else "it said nothing"


def _start(log: Any) -> subprocess.Popen[bytes]:
    environment = {name: v for name, v in os.environ.items() if name not in _FOREIGN_VARIABLES}
    options: dict[str, Any] = {}
    if sys.platform == "win32":
        options["creationflags"] = subprocess.CREATE_NO_WINDOW
    # The worker's own Python and our own file; the code that it will import has consent.
    return subprocess.Popen(
        # Nothing is left in the folder of the model.
        [sys.executable, "-B", str(Path(function_host.__file__).resolve())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=environment,
        **options,
    )


def _finish(process: subprocess.Popen[bytes], log: Any) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    try:
        process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    log.close()
