"""Builds the managed environment: a virtual environment over QGIS's Python, and its libraries."""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from ..core.errors import CancelledError, InputError, WorkerError
from ..core.progress import Progress, duration
from . import requirements
from .environment import (
    EnvironmentOptions,
    PythonChoice,
    Status,
    is_current,
    prove,
    read_marker,
    write_marker,
)
from .interpreters import ask, own_python, python_in
from .processes import WINDOWS, LineReader, clean_environment, kill_tree, start_process

PYTORCH_INDEX = "https://download.pytorch.org/whl"

# Newest first; each needs a driver at least as new.
CUDA_INDEXES = ("cu130", "cu128", "cu126")

FREE_SPACE = {"cpu": 3, "cuda": 12}  # GB that the installation needs while it works

# How many packages pip meets on the way; only the progress bar hangs on it.
EXPECTED_PACKAGES = 60


def install(options: EnvironmentOptions, directory: Path, progress: Progress) -> Status:
    """Build the environment, or finish, adopt or repair the one that is there.

    The marker says "ready" only after the self-test has passed. What this call created is
    removed again when it fails.

    Raises:
        WorkerError: when a step failed, in one sentence.
        CancelledError: when the user cancelled.
    """
    choice = PythonChoice(str(python_in(directory)), "the environment that GeoDL manages")
    if options.action == "INSTALL" and is_current(directory):
        progress.info(f"The environment in {directory} is complete.")
        return prove(choice, progress)
    base = options.base or own_python()
    if base is None:
        raise WorkerError(
            "The program of QGIS's Python was not found. Name a Python with PyTorch instead."
        )
    existed = directory.exists()
    if existed:
        _check_ours(options, directory)
    indexes = _indexes(_device(options), options.wheels)
    _check_space(options, directory, indexes)
    try:
        _build(options, directory, base, indexes, progress)
        progress.update(0.95, "Testing the environment")
        status = prove(choice, Share(progress, 0.95))
        write_marker(directory, "ready", versions=status.versions, base=base)
    except BaseException:
        if not existed:
            shutil.rmtree(directory, ignore_errors=True)
        raise
    return status


def _build(
    options: EnvironmentOptions,
    directory: Path,
    base: str,
    indexes: Sequence[str],
    progress: Progress,
) -> None:
    """Create the environment where there is none, and install what it lacks."""
    clear = options.action == "REPAIR"
    if clear or not python_in(directory).exists():
        progress.update(0.0, "Creating the environment")
        _create(directory, base, clear, progress)
    write_marker(directory, "installing")
    python = str(python_in(directory))
    with tempfile.TemporaryDirectory(prefix="geodl-") as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text(numpy_constraint(base), encoding="utf-8")
        pip = Pip(python, constraints, options.wheels, progress)
        for index in indexes:
            if pip.install_torch(index):
                break
        pip.install(["-r", str(requirements.LIST)])


class Share(Progress):
    """The last part of a task, which goes its own way from 0 to 1."""

    def __init__(self, whole: Progress, start: float) -> None:
        self._start = start
        self._whole = whole
        self.info, self.warn = whole.info, whole.warn
        self.cancelled = whole.cancelled

    def update(self, fraction: float, message: str = "") -> None:
        self._whole.update(self._start + (1 - self._start) * fraction, message)


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


def _create(directory: Path, base: str, clear: bool, progress: Progress) -> None:
    """Make a virtual environment that sees the libraries of its base, GDAL among them."""
    command = [base, "-m", "venv", "--system-site-packages"]
    command += ["--clear"] if clear else []
    directory.parent.mkdir(parents=True, exist_ok=True)
    try:
        for _ in follow([*command, str(directory)], "Creating the environment", progress):
            pass
    except WorkerError as error:
        # Some systems keep ensurepip in a package of its own; a pip of the base will do.
        if not ask(base, "from importlib import util\nprint(util.find_spec('pip') or '')"):
            raise WorkerError(
                f"{base} cannot create an environment: it has neither ensurepip nor pip. "
                "Install the package python3-venv (Debian, Ubuntu), then try again."
            ) from error
        arguments = [*command, "--without-pip", str(directory)]
        for _ in follow(arguments, "Creating the environment", progress):
            pass


def _check_ours(options: EnvironmentOptions, directory: Path) -> None:
    """Refuse a folder that is no environment, and to clear one that GeoDL did not make."""
    if not directory.is_dir() or (
        any(directory.iterdir())
        and not read_marker(directory)
        and not (directory / "pyvenv.cfg").exists()
    ):
        raise InputError(
            f"'{directory}' is no Python environment and is left alone. Choose another folder."
        )
    if options.action == "REPAIR" and any(directory.iterdir()) and not read_marker(directory):
        raise InputError(
            f"'{directory}' was not made by GeoDL and is left alone. Remove it by hand."
        )


def _device(options: EnvironmentOptions) -> str:
    if options.device != "auto":
        return options.device
    return "cuda" if _has_nvidia() else "cpu"


def _has_nvidia() -> bool:
    return bool(shutil.which("nvidia-smi")) or Path("/proc/driver/nvidia/version").exists()


def _indexes(device: str, wheels: str) -> list[str]:
    """Return PyTorch's own indexes to try before the default one of pip.

    The default one has the CUDA build for Linux and the CPU build for Windows and macOS.
    """
    if wheels or sys.platform == "darwin" or (device == "cuda" and not WINDOWS):
        return []
    if device == "cpu" and WINDOWS:
        return []
    names = CUDA_INDEXES if device == "cuda" else ("cpu",)
    indexes = [f"{PYTORCH_INDEX}/{name}" for name in names]
    return [index for index in indexes if _reachable(f"{index}/torch/")]


def _reachable(address: str) -> bool:
    """Return whether a page answers within a few seconds; pip itself would try for minutes."""
    with contextlib.suppress(URLError, OSError, ValueError):
        request = Request(address, method="HEAD")  # noqa: S310 (https, written above)
        with urlopen(request, timeout=8) as answer:  # noqa: S310  # nosec B310
            return 200 <= answer.status < 300
    return False


def _check_space(options: EnvironmentOptions, directory: Path, indexes: Sequence[str]) -> None:
    """Refuse before the first download when the disk is too small for the last one."""
    if options.action == "INSTALL" and python_in(directory).exists():
        return
    # Without PyTorch's own index the one build for Linux is that for CUDA.
    small = not sys.platform.startswith("linux") or any("/cpu" in index for index in indexes)
    needed = FREE_SPACE["cpu" if small or options.wheels else "cuda"]
    place = directory
    while not place.exists() and place != place.parent:
        place = place.parent
    free = shutil.disk_usage(place).free / 1e9
    if free < needed:
        raise WorkerError(
            f"{place} has {free:.1f} GB free, but the libraries need {needed} GB. Free some "
            "space, or name another folder in the variable GEODL_ENVIRONMENT."
        )
