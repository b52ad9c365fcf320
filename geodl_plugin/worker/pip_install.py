"""Runs pip in an environment and tells how far it is."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..core.errors import CancelledError, WorkerError
from ..core.progress import Progress, duration
from . import requirements
from .interpreters import ask
from .processes import LineReader, clean_environment, kill_tree, start_process

# How many packages pip meets on the way; only the progress bar hangs on it.
EXPECTED_PACKAGES = 60


def numpy_constraint(base: str) -> str:
    """Return the line that holds NumPy at the version QGIS's GDAL was built for.

    A newer major release breaks ``osgeo.gdal_array``, and with it every tool of QGIS.
    """
    version = ask(
        base,
        "from importlib import metadata, util\n"
        "print(metadata.version('numpy') if util.find_spec('numpy') else '')",
    )
    return f"numpy=={version}\n" if version else ""


class Pip:
    """Runs pip in an environment and tells how far it is."""

    def __init__(self, python: str, constraints: Path, wheels: str, progress: Progress) -> None:
        self._python = python
        self._progress = progress
        self._options = ["--no-input", "--disable-pip-version-check", "-c", str(constraints)]
        if wheels:
            self._options += ["--no-index", "--find-links", wheels]
        self._met = 0
        self._doing = "Asking for the libraries"
        self._since = self._told = time.monotonic()

    def install_torch(self, index: str) -> bool:
        """Install PyTorch from an index of its own; return whether that went well."""
        wanted = [line for line in requirements.lines() if re.match(r"torch(vision)?\b", line)]
        try:
            self.install([*wanted, "--index-url", index])
        except WorkerError:
            self._progress.info(f"PyTorch cannot be had from {index}; trying the next source.")
            return False
        return True

    def install(self, arguments: Sequence[str]) -> None:
        """Run ``pip install``; raise :class:`WorkerError` with pip's own last error."""
        command = [self._python, "-m", "pip", "install", *self._options, *arguments]
        errors = []
        for line in follow(command, "Installing", self._progress):
            if line.startswith("ERROR"):
                errors.append(line.partition(":")[2].strip())
            self._tell(line)
        if errors:
            raise WorkerError(
                f"pip could not install the libraries: {errors[0].rstrip('.')[:300]}. Check the "
                "network, or give a folder with the wheels."
            )

    def _tell(self, line: str) -> None:
        """Show what pip does; an empty line means that it is still doing it."""
        now = time.monotonic()
        doing = self._doing
        if line.startswith("Collecting"):
            self._met += 1
        elif line.lstrip().startswith(("Downloading", "Using cached", "Processing")):
            doing = f"Downloading {_package_of(line)}"
        elif line.startswith("Installing collected packages"):
            self._met = EXPECTED_PACKAGES
            doing = "Installing the downloaded libraries"
        if doing == self._doing and now - self._told < 1:
            return
        if doing != self._doing:
            self._doing, self._since = doing, now
        self._told = now
        fraction = 0.05 + 0.75 * min(self._met / EXPECTED_PACKAGES, 1.0)
        self._progress.update(fraction, f"{doing}, {duration(now - self._since)}")


def _package_of(line: str) -> str:
    """Return the package, version and size in a line of pip's about a wheel."""
    wheel = re.search(r"([\w.]+?)-(\d[\w.+!]*)-[^/\s]*\.whl", line)
    size = re.search(r"\(([\d.]+ [kMG]B)\)", line)
    name = f"{wheel[1]} {wheel[2]}" if wheel else line.split()[-1].rsplit("/", 1)[-1]
    return f"{name} ({size[1]})" if size else name


def follow(command: Sequence[str], what: str, progress: Progress) -> Iterator[str]:
    """Run a command and yield its lines; raise when it fails or the user cancels.

    While it is silent an empty line comes five times a second. A line that starts with
    ``ERROR`` is the caller's to tell; without one the last line goes into the error.
    """
    try:
        process = start_process(command, clean_environment({"PYTHONUTF8": "1"}))
    except OSError as error:
        raise WorkerError(f"'{command[0]}' cannot be started ({error}).") from error
    reader = LineReader(process)
    last, told = "", False
    try:
        while not reader.ended:
            if progress.cancelled():
                raise CancelledError
            line = reader.read(0.2) or ""
            last = line or last
            told = told or line.startswith("ERROR")
            yield line
        code = process.wait()
    finally:
        kill_tree(process)
        process.wait()
        reader.close()
    if code and not told:
        raise WorkerError(f"{what} failed with status {code}: {last[:300]}")
