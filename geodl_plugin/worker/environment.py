"""The worker's Python: where it is looked for, and the environment that the plugin manages."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import FileError, GeoDLError, InputError, MissingLibraryError, WorkerError
from ..core.places import user_folder
from ..core.progress import Progress
from ..core.replacing import replace
from . import requirements
from .interpreters import (
    has_its_base,
    own_python,
    own_python_has_torch,
    own_python_lacks,
    python_in,
)

PYTHON_VARIABLE = "GEODL_PYTHON"
DIRECTORY_VARIABLE = "GEODL_ENVIRONMENT"

# Lies in the environment from its first moment, and says when it is whole. Without it
# nothing is removed: the folder may be somebody else's.
MARKER = "geodl-environment.json"

ACTIONS = ("CHECK", "INSTALL", "REPAIR", "REMOVE")
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class PythonChoice:
    """The Python of the worker and where it was named."""

    path: str
    origin: str


@dataclass(frozen=True)
class EnvironmentOptions:
    """What to do with the worker's Python.

    Attributes:
        action: one of :data:`ACTIONS`.
        device: for which device PyTorch is installed, one of :data:`DEVICES`.
        python: a Python to use instead of what :func:`find_python` finds; nothing is built.
        wheels: folder with wheels to install from, without any network.
        directory: of the managed environment; empty: the user's own.
        base: the Python to build on; empty: the one that runs this code, QGIS's.
    """

    action: str = "CHECK"
    device: str = "auto"
    python: str = ""
    wheels: str = ""
    directory: str = ""
    base: str = ""


@dataclass(frozen=True)
class Status:
    """What was found: whether the worker can work, with what, and in one sentence."""

    ready: bool
    message: str
    python: str = ""
    origin: str = ""
    devices: list[dict[str, str]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def managed_directory() -> Path:
    """Return where the managed environment lies or would lie."""
    return user_folder("environment", DIRECTORY_VARIABLE)


def find_python(setting: str | None = None) -> PythonChoice:
    """Return the worker's Python.

    Looked for in this order: the setting ``geodl/python``, the variable ``GEODL_PYTHON``,
    this Python itself where it has all that is required, the managed environment, this Python
    where it has torch at least: it tells itself what it lacks.

    Raises:
        MissingLibraryError: when there is none.
    """
    if setting and setting.strip():
        return PythonChoice(setting.strip(), "the setting geodl/python")
    named = os.environ.get(PYTHON_VARIABLE, "").strip()
    if named:
        return PythonChoice(named, f"the variable {PYTHON_VARIABLE}")
    own = own_python() if own_python_has_torch() else None
    directory = managed_directory()
    if is_whole(directory) and (own is None or own_python_lacks()):
        return PythonChoice(str(python_in(directory)), "the environment that GeoDL manages")
    if own:
        return PythonChoice(own, "QGIS's own Python")
    if is_stranded(directory):
        raise MissingLibraryError(
            "The Python that PyTorch was installed for is gone or a newer one, as after an update "
            "of QGIS. Run the tool 'Set up deep learning libraries' with the action INSTALL."
        )
    raise MissingLibraryError(
        "PyTorch is not installed. Run the tool 'Set up deep learning libraries' with the "
        "action INSTALL."
    )


def is_whole(directory: Path) -> bool:
    """Return whether the environment in ``directory`` was installed to the end and still works."""
    return read_marker(directory).get("state") == "ready" and has_its_base(directory)


def is_stranded(directory: Path) -> bool:
    """Return whether an environment of GeoDL's is of no use any more, for its Python has gone."""
    return bool(read_marker(directory)) and not has_its_base(directory)


def is_current(directory: Path) -> bool:
    """Return whether it also holds what this version of GeoDL requires."""
    marker = read_marker(directory)
    return is_whole(directory) and marker.get("requirements") == requirements_digest()


def requirements_digest() -> str:
    """Return what changes when the requirements change."""
    return hashlib.sha256("\n".join(requirements.lines()).encode()).hexdigest()[:16]


def read_marker(directory: Path) -> dict[str, Any]:
    """Return the marker of an environment, empty when there is none."""
    try:
        marker = json.loads((directory / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return marker if isinstance(marker, dict) else {}


def write_marker(directory: Path, state: str, **facts: Any) -> None:
    """Write the marker of an environment under its name in one step."""
    marker = {"state": state, "requirements": requirements_digest(), **facts}
    temporary = directory / f"{MARKER}.tmp"
    temporary.write_text(json.dumps(marker, indent=2) + "\n", encoding="utf-8")
    replace(temporary, directory / MARKER)


def manage(options: EnvironmentOptions, progress: Progress, setting: str | None = None) -> Status:
    """Check, install, repair or remove; the tool, the button and ``make setup`` call this.

    Raises:
        InputError: when an option has a value that does not exist.
        GeoDLError: when an installation failed; nothing that looks whole is left.
        CancelledError: when the user cancelled.
    """
    _check_options(options)
    named = Path(options.directory).expanduser().absolute()
    directory = named if options.directory else managed_directory()
    if options.action == "REMOVE":
        return remove(directory)
    if options.python:
        return prove(PythonChoice(options.python, "the Python you named"), progress)
    if options.action == "CHECK":
        return check(progress, setting, directory if options.directory else None)
    from .installer import install

    try:
        status = install(options, directory, progress)
    except OSError as error:
        raise FileError.of(error) from error
    return status if options.directory else _with_what_is_used(status)


def _with_what_is_used(status: Status) -> Status:
    """Return the status of an installation, which tells if the tools go on with another Python."""
    used = find_python()  # a setting is forgotten
    if used.path == status.python:
        return status
    more = f"The tools go on with {used.path}, {used.origin}, which goes before it."
    return dataclasses.replace(status, message=f"{status.message} {more}")


def check(progress: Progress, setting: str | None = None, directory: Path | None = None) -> Status:
    """Return what the worker would use, proved by the self-test; install nothing."""
    try:
        if directory is not None:
            choice = PythonChoice(str(python_in(directory)), f"the environment in {directory}")
        else:
            choice = find_python(setting)
        return prove(choice, progress)
    except (MissingLibraryError, WorkerError) as error:
        return Status(False, str(error))


def prove(choice: PythonChoice, progress: Progress) -> Status:
    """Return the status of a Python after its self-test; raise what the test raised."""
    from .client import run_task

    progress.info(f"Testing {choice.path} ({choice.origin}).")
    result = run_task("selftest", {}, progress, choice.path)
    device = result["devices"][0]
    message = (
        f"Ready: PyTorch {result['versions']['torch']} on {device['name']} ({device['label']}) "
        f"in {choice.path}, {choice.origin}."
    )
    return Status(
        True,
        message,
        choice.path,
        choice.origin,
        result["devices"],
        result["versions"],
        result["seconds"],
    )


def remove(directory: Path) -> Status:
    """Delete the managed environment; raise :class:`InputError` when it is somebody else's."""
    if not directory.exists():
        return Status(False, f"There is no environment in '{directory}'. Nothing was removed.")
    if not read_marker(directory):
        raise InputError(
            f"'{directory}' was not made by GeoDL and is left alone. Remove it by hand."
        )
    # A broken removal must not look whole.
    with contextlib.suppress(OSError):
        (directory / MARKER).write_text('{"state": "removing"}\n', encoding="utf-8")
    try:
        shutil.rmtree(directory)
    except OSError as error:
        raise WorkerError(
            f"'{directory}' cannot be removed ({error.strerror}). Close what uses it, then try "
            "again."
        ) from error
    return Status(False, f"The environment in '{directory}' was removed.")


def _check_options(options: EnvironmentOptions) -> None:
    if options.action not in ACTIONS:
        raise InputError(
            f"There is no action '{options.action}'. Choose one of: {', '.join(ACTIONS)}."
        )
    if options.device not in DEVICES:
        raise InputError(
            f"There is no device '{options.device}'. Choose one of: {', '.join(DEVICES)}."
        )
    if options.wheels and not Path(options.wheels).is_dir():
        raise InputError(
            f"There is no folder '{options.wheels}'. Choose the folder with the wheels."
        )


class ConsoleProgress(Progress):
    """Tells the progress on standard error, a line each time the words change."""

    def __init__(self) -> None:
        self._last = ""

    def update(self, fraction: float, message: str = "") -> None:
        words = message.rsplit(", ", 1)[0]  # without the running seconds
        if words and words != self._last:
            self._last = words
            sys.stderr.write(f"{fraction:5.0%}  {message}\n")

    def info(self, message: str) -> None:
        sys.stderr.write(f"       {message}\n")

    warn = info


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line: ``python -m geodl_plugin.worker.environment INSTALL``."""
    parser = argparse.ArgumentParser(prog="geodl-environment", description=__doc__)
    parser.add_argument("action", nargs="?", default="CHECK", choices=ACTIONS)
    parser.add_argument("--device", default="auto", choices=DEVICES)
    for name in ("python", "wheels", "directory", "base"):
        parser.add_argument(f"--{name}", default="")
    options = EnvironmentOptions(**vars(parser.parse_args(arguments)))
    try:
        status = manage(options, ConsoleProgress())
    except GeoDLError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stderr.write(f"{status.message}\n")
    return 0 if status.ready or options.action == "REMOVE" else 1


if __name__ == "__main__":
    sys.exit(main())
