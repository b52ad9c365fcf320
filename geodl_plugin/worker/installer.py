"""Builds the managed environment: a virtual environment over QGIS's Python, and its libraries."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from ..core.errors import InputError, WorkerError
from ..core.places import temporary_folder
from ..core.progress import Progress
from . import requirements
from .environment import (
    EnvironmentOptions,
    PythonChoice,
    Status,
    is_current,
    is_stranded,
    prove,
    read_marker,
    write_marker,
)
from .indexes import device_to_install, indexes_for
from .interpreters import ask, has_its_base, own_python, python_in
from .pip_install import Pip, follow, numpy_constraint

FREE_SPACE = {"cpu": 3, "cuda": 12}  # GB that the installation needs while it works


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
    device = device_to_install(options.device)
    indexes = [] if options.wheels else indexes_for(device)
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
    if device == "cuda" and not any(each["name"].startswith("cuda") for each in status.devices):
        progress.warn(
            "PyTorch finds no CUDA device: it will compute on the CPU. Update the driver of the "
            "graphics card, then run the action REPAIR."
        )
    return status


def _build(
    options: EnvironmentOptions,
    directory: Path,
    base: str,
    indexes: Sequence[str],
    progress: Progress,
) -> None:
    """Create the environment where there is none, and install what it lacks."""
    clear = options.action == "REPAIR" or is_stranded(directory)
    if clear or not python_in(directory).exists():
        progress.update(0.0, "Creating the environment")
        _create(directory, base, clear, progress)
    write_marker(directory, "installing")
    python = str(python_in(directory))
    with temporary_folder("pip") as folder:
        constraints = folder / "constraints.txt"
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


def _check_space(options: EnvironmentOptions, directory: Path, indexes: Sequence[str]) -> None:
    """Refuse before the first download when the disk is too small for the last one."""
    if options.action == "INSTALL" and has_its_base(directory):
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
