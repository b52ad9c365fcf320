"""Builds the plugin's folder and zip under ``build/``, the same bytes each time."""

from __future__ import annotations

import argparse
import configparser
import os
import shutil
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAME = "geodl_plugin"
BUILD = ROOT / "build"
SUFFIXES = {".py", ".txt", ".svg", ".png", ".qml", ".json", ".css", ".js", ".html", ".ui", ".qm"}
BESIDE = ("metadata.txt", "LICENSE", "CHANGELOG.md", "resources/icons")


def version() -> str:
    """Return the version, which is written once: in metadata.txt."""
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(ROOT / "metadata.txt", encoding="utf-8")
    return metadata["general"]["version"]


def sources() -> dict[str, Path]:
    """Return what belongs to the plugin: path inside it → file."""
    found = {}
    for top, base in [(ROOT / NAME, ROOT / NAME)] + [(ROOT / each, ROOT) for each in BESIDE]:
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            kept = path.suffix in SUFFIXES or path == top
            if path.is_file() and kept and "__pycache__" not in path.parts:
                found[path.relative_to(base).as_posix()] = path
    return dict(sorted(found.items()))


def stage(folder: Path) -> Path:
    """Copy the plugin to ``folder/geodl_plugin``."""
    target = folder / NAME
    shutil.rmtree(target, ignore_errors=True)
    for name, path in sources().items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / name)
    return target


def archive(folder: Path) -> Path:
    """Write ``folder/geodl_plugin-<version>.zip``: sorted, one date, no caches."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{NAME}-{version()}.zip"
    temporary = path.with_suffix(".tmp")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as target:
        for name, source in sources().items():
            entry = zipfile.ZipInfo(f"{NAME}/{name}", (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, source.read_bytes())
    temporary.replace(path)
    return path


def profile_folder(profile: str) -> Path:
    """Return the folder of a QGIS profile."""
    if sys.platform == "win32":
        base = Path(os.environ["APPDATA"])
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "QGIS" / "QGIS3" / "profiles" / profile


def install(plugin: Path, plugins: Path) -> Path:
    """Replace the plugin in a folder of plugins."""
    target = plugins / NAME
    if target.is_symlink():
        target.unlink()
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(plugin, target)
    return target


def main() -> None:
    """Stage, pack, and install where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--install", metavar="PROFILE", help="name of the QGIS profile")
    parser.add_argument("--into", type=Path, default=BUILD, help="folder instead of build/")
    options = parser.parse_args()
    plugin, path = stage(options.into), archive(options.into)
    print(f"{path}  {path.stat().st_size / 1024:.0f} kB")
    if options.install is not None:
        profile = profile_folder(options.install or "default")
        print(f"Installed in {install(plugin, profile / 'python' / 'plugins')}")
        print("Switch it on in QGIS: Plugins, Manage and install plugins, GeoDL.")


if __name__ == "__main__":
    main()
