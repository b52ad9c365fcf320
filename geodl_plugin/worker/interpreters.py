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
from .processes import WINDOWS, clean_environment, run_quietly
from .requirements import names

# Where PROJ and GDAL look for their files, each of one release.
DATA = ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA", "GDAL_DRIVER_PATH")


def python_in(directory: Path) -> Path:
    """Return where the Python of a virtual environment lies."""
    return directory / "Scripts" / "python.exe" if WINDOWS else directory / "bin" / "python"


def has_its_base(directory: Path) -> bool:
    """Return whether the Python that an environment was built over is there, and the same.

    An update of QGIS may have put another one in its place: on Windows each release has a
    folder of its own, and the program in the environment only looks for the old one.
    """
    program = python_in(directory)
    if not program.exists():
        return False
    facts = _facts_of(directory)
    home = Path(facts.get("home", ""))
    if WINDOWS and "home" in facts:
        program = home / "python.exe"
        if not any((home / name).exists() for name in ("python.exe", "python3.exe")):
            return False
    own = own_python()
    if own is None or "version" not in facts or not _same_place(program, Path(own)):
        return True
    return facts["version"].split(".")[:2] == [str(part) for part in sys.version_info[:2]]


def installation() -> Path:
    """Return the folder that QGIS's own Python lies in, with the libraries that it uses."""
    prefix = Path(sys.base_prefix)
    if WINDOWS:
        named = os.environ.get("OSGEO4W_ROOT", "").strip()
        return Path(named) if named else prefix.parent.parent if _is_app(prefix) else prefix
    bundles = [each for each in prefix.parents if each.suffix == ".app"]
    return bundles[-1] if bundles else prefix


def _is_app(prefix: Path) -> bool:
    return prefix.parent.name.lower() == "apps"  # …/apps/Python312


def foreign_data(python: str) -> set[str]:
    """Return the variables by which QGIS would mislead the GDAL and PROJ of another Python.

    They name files of QGIS's own releases: with those of another one no coordinate reference
    system is found. What has been set to files from elsewhere is meant so.
    """
    root = installation()
    home = _facts_of(Path(python).parent.parent).get("home")
    if _lies_in(python, root) or (home and _lies_in(home, root)):
        return set()
    found = {name for name in DATA if _lies_in(os.environ.get(name, ""), root)}
    return found | {"USE_PATH_FOR_GDAL_PYTHON"}  # where QGIS's own come first


def _lies_in(path: str, folder: Path) -> bool:
    if not path:
        return False
    try:
        return Path(path).resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):
        return False


def _facts_of(directory: Path) -> dict[str, str]:
    """Return what an environment tells of itself."""
    try:
        lines = (directory / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return {}
    pairs = (line.partition("=") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _same_place(program: Path, other: Path) -> bool:
    """Return whether two names are those of one Python; on Windows it has several programs."""
    if WINDOWS:
        program, other = program.parent, other.parent
    try:
        return program.samefile(other)
    except OSError:
        return False


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
        done = run_quietly([python, "-c", code], timeout, clean_environment())
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
