"""Runs the packaged plugin in a fresh profile through ``qgis_process``, as a user would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Answer:
    """What a call of ``qgis_process`` gave back."""

    code: int
    output: str
    errors: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.output)

    @property
    def results(self) -> dict[str, Any]:
        return self.json["results"]


class QgisProcess:
    """The program with the packaged plugin, switched on in a profile of its own."""

    def __init__(self, program: str, profile: Path, plugins: Path) -> None:
        self.program = program
        self.environment = {
            **os.environ,
            "QGIS_CUSTOM_CONFIG_PATH": str(profile),
            "QGIS_PLUGINPATH": str(plugins),
            "QT_QPA_PLATFORM": "offscreen",
            "GEODL_PYTHON": sys.executable,
        }
        # Users' plugins are compiled once, not at each start.
        for name in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE"):
            self.environment.pop(name, None)

    def call(self, *arguments: str, timeout: float = 300, **variables: str) -> Answer:
        """Call the program; variables that are empty are taken out of the environment."""
        environment = {**self.environment, **variables}
        done = subprocess.run(
            [self.program, *arguments],
            capture_output=True,
            env={name: value for name, value in environment.items() if value},
            timeout=timeout,
        )
        return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())

    def run(self, tool: str, timeout: float = 600, **parameters: Any) -> Answer:
        """Run a tool; a list gives the parameter several times."""
        pairs = [
            f"{name}={value}"
            for name, values in parameters.items()
            for value in (values if isinstance(values, list) else [values])
        ]
        return self.call("--json", "run", f"geodl:{tool}", "--", *pairs, timeout=timeout)


@pytest.fixture(scope="session")
def qgis_process(tmp_path_factory: pytest.TempPathFactory) -> QgisProcess:
    """The packaged plugin in a fresh profile, in folders with blanks and umlauts."""
    # Debian 12's wrapper fails ("--noversioncheck not known"): take the program behind it.
    program = shutil.which("qgis_process.bin") or shutil.which("qgis_process")
    if program is None:
        pytest.skip("qgis_process is not installed")
    folder = tmp_path_factory.mktemp("Prüf profil")
    script = [sys.executable, str(ROOT / ".ci" / "package.py"), "--into", str(folder / "build")]
    subprocess.run(script, check=True)
    plugins = folder / "Erweiterungen ü"
    with zipfile.ZipFile(next((folder / "build").glob("geodl_plugin-*.zip"))) as package:
        package.extractall(plugins)
    process = QgisProcess(program, folder / "profile", plugins)
    answer = process.call("plugins", "enable", "geodl_plugin")
    assert answer.code == 0, answer.errors
    return process
