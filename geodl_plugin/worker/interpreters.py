"""Finding Pythons: QGIS's own, that of an environment, and whether one has torch."""

from __future__ import annotations

import importlib.util
import os
import site
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

from ..core.errors import WorkerError
from .processes import WINDOWS, clean_environment
from .requirements import names


def python_in(directory: Path) -> Path:
    """Return where the Python of a virtual environment lies."""
    return directory / "Scripts" / "python.exe" if WINDOWS else directory / "bin" / "python"


def own_python() -> str | None:
    """Return the program of the Python that runs this code, which may be inside QGIS.

    On Windows and macOS ``sys.executable`` is QGIS itself; its Python lies near by.
    """
    for candidate in _candidates():
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return str(candidate)
    return None


def _candidates() -> list[Path]:
    major, minor = sys.version_info[:2]
    executable = Path(sys.executable) if sys.executable else Path()
    found = [executable] if executable.name.lower().startswith("python") else []
    programs = ["python3.exe", "python.exe"] if WINDOWS else [f"python{major}.{minor}", "python3"]
    folders = [Path(sys.exec_prefix), Path(sys.base_exec_prefix), executable.parent]
    for folder in folders:
        for part in (folder / "bin", folder):
            found += [part / program for program in programs]
    return found


def own_python_has_torch() -> bool:
    """Return whether torch is installed in this Python itself, without importing it.

    A copy that another plugin put on the path of QGIS does not count: a new process of
    this Python would not see it.
    """
    try:
        spec = importlib.util.find_spec("torch")
    except (ImportError, ValueError):
        return False
    if spec is None or not spec.origin:
        return False
    origin = Path(spec.origin).resolve()
    return any(folder in origin.parents for folder in _library_folders())


def own_python_lacks() -> list[str]:
    """Return the required libraries that are not installed in this Python itself."""
    folders = [str(folder) for folder in _library_folders()]
    return [name for name in names() if not any(metadata.distributions(name=name, path=folders))]


def _library_folders() -> set[Path]:
    folders = {sysconfig.get_paths()["purelib"], sysconfig.get_paths()["platlib"]}
    if hasattr(site, "getsitepackages"):
        folders.update(site.getsitepackages())
    if site.ENABLE_USER_SITE:
        folders.add(site.getusersitepackages())
    return {Path(folder).resolve() for folder in folders}


def ask(python: str, code: str, timeout: float = 60.0) -> str:
    """Return what a Python prints for ``code``; raise :class:`WorkerError` when it cannot."""
    try:
        done = subprocess.run(
            [python, "-c", code],
            capture_output=True,
            env=clean_environment(),
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise WorkerError(
            f"'{python}' cannot be started ({error}). Choose the program of a Python."
        ) from error
    answer = done.stdout.decode("utf-8", errors="replace").strip()
    if done.returncode:
        said = done.stderr.decode("utf-8", errors="replace").strip().splitlines()
        raise WorkerError(
            f"'{python}' failed: {said[-1] if said else done.returncode}. Choose another Python."
        )
    return answer.splitlines()[-1] if answer else ""
