"""Starts a real QGIS window on a screen without a monitor, with the staged plugin in it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SCRIPTS = HERE / "scripts"
BUSY = 5  # times as long as alone may everything take on a machine that others use, too
FEW = 5  # times that a window answers before and after it was blocked
# Seconds that a training may take; more of them when a picture of a longer one is wanted.
PATIENCE = float(os.environ.get("GEODL_TEST_SECONDS", "120"))
SCREEN = "-screen 0 1600x1000x24"

# A fresh profile greets, gives tips and asks; this one has been greeted.
SETTINGS = """\
[PythonPlugins]
geodl_plugin=true
processing=true

[migration]
fileVersion=2
firstRunVersionFlag=99999
settings=true

[qgis]
showTips322=false
checkVersion=false
askToSaveProjectChanges=false
newsFeed=false

[app]
projections/unknownCrsBehavior=NoAction

[core]
NewsFeed/httpsfeedqgisorg/disabled=true
"""


@dataclass(frozen=True)
class Window:
    """What a script found in the window, and where its pictures are."""

    found: dict[str, Any]
    folder: Path

    @property
    def stayed_free(self) -> bool:
        """Whether it answered often, and never for half of the time watched did not."""
        count, longest = self.found["answered"]
        return count > FEW and longest < 0.5

    def picture(self, name: str) -> Any:
        """Return a picture as a QImage."""
        from qgis.PyQt.QtGui import QImage

        return QImage(str(self.folder / f"{name}.png"))


def run_in_window(
    script: str, folder: Path, plugins: Path, variables: dict[str, str], timeout: float = 120.0
) -> Window:
    """Run a script in a QGIS window.

    Args:
        script: its name, without the suffix.
        folder: an empty one, for profile, pictures and what the script finds.
        plugins: the folder above the plugin.
        variables: of the environment.
        timeout: in seconds, for QGIS altogether.
    """
    profile = folder / "profiles" / "profiles" / "default" / "QGIS"
    profile.mkdir(parents=True)
    (profile / "QGIS3.ini").write_text(SETTINGS, encoding="ascii")
    foreign = ("QGIS_", "QT_", "PYTHONPATH")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(foreign)},
        "GEODL_TEST_FOLDER": str(folder),
        "GEODL_TEST_SCRIPTS": str(SCRIPTS),
        "GEODL_TEST_BUSY": str(BUSY),
        "QGIS_PLUGINPATH": str(plugins),
        "LC_ALL": "C.UTF-8",
        "HOME": str(folder),
        **variables,
    }
    command = ["xvfb-run", "-a", "-s", SCREEN, "/usr/bin/qgis", "--noversioncheck"]
    command += ["--nologo", "--profiles-path", str(folder / "profiles")]
    command += ["--code", str(SCRIPTS / f"{script}.py")]
    _run(command, environment, folder, timeout)
    found = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    _keep_pictures(folder)
    assert "error" not in found, found["error"]
    return Window(found, folder)


def _run(command: list[str], environment: dict[str, str], folder: Path, timeout: float) -> None:
    """Run QGIS to its end, or end it with all its children."""
    with (folder / "qgis.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if not (folder / "result.json").exists():
        text = (folder / "qgis.log").read_text(encoding="utf-8", errors="replace")
        pytest.fail(f"QGIS ended without a result:\n{text[-3000:]}")


def _keep_pictures(folder: Path) -> None:
    """Copy the pictures to the folder that ``GEODL_SCREENSHOTS`` names, for people."""
    wanted = os.environ.get("GEODL_SCREENSHOTS")
    if wanted:
        Path(wanted).mkdir(parents=True, exist_ok=True)
        for picture in folder.glob("*.png"):
            shutil.copy(picture, wanted)
