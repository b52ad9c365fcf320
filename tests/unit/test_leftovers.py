"""Temporary files and folders of dead processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from geodl_plugin.core.leftovers import remove_leftovers


def test_only_the_files_of_dead_processes_are_removed(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    kept = [
        "found.gpkg",
        f"found.gpkg.part-{os.getpid()}.gpkg",
        f"found.tif.part-{process.pid}.tif",
        f"other.gpkg.part-{process.pid}.gpkg",
        f"found.gpkg.part-{process.pid}",
    ]
    gone = [
        f"found.gpkg.part-{process.pid}.gpkg-journal",
        f".found.gpkg.part-{process.pid}.blocks.tif",
    ]
    for name in (*kept, *gone):
        (tmp_path / name).write_text("")
    remove_leftovers(tmp_path / "found.gpkg")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
    remove_leftovers(tmp_path / "none" / "found.gpkg")


def test_folders_of_dead_processes_are_removed(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    gone = tmp_path / f".chips ü.part-{process.pid}"
    names = (
        f".chips ü.part-{os.getpid()}",
        f"chips ü.part-{process.pid}",  # a name that a user may give
        f"chips ü.part-{process.pid}.old",
        "chips ü",
        "chips",
    )
    kept = [tmp_path / name for name in names]
    for folder in (gone, *kept):
        (folder / "images").mkdir(parents=True)
    remove_leftovers(tmp_path / "chips ü")
    assert sorted(tmp_path.iterdir()) == sorted(kept)
