"""``qgis_process`` with the packaged plugin in a fresh profile."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

PACE = 20.0  # seconds between two lines about a long step


class ToolError(Exception):
    """A tool failed; the message is what it said."""


class QgisProcess:
    """Runs tools as a user does.

    Args:
        package: the plugin's zip.
        folder: where profile, plugin and logs go.
    """

    def __init__(self, package: Path, folder: Path) -> None:
        # Debian 12's wrapper fails ("--noversioncheck not known"): take the program behind it.
        program = shutil.which("qgis_process.bin") or shutil.which("qgis_process")
        if program is None:
            raise ToolError("qgis_process is not installed. Run 'make setup'.")
        self._program = program
        self._logs = folder / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)
        plugins, profile = folder / "plugins", folder / "profile"
        for old in (plugins, profile):
            shutil.rmtree(old, ignore_errors=True)
        with zipfile.ZipFile(package) as archive:
            archive.extractall(plugins)
        self._environment = {
            **os.environ,
            "QGIS_CUSTOM_CONFIG_PATH": str(profile),
            "QGIS_PLUGINPATH": str(plugins),
            "QT_QPA_PLATFORM": "offscreen",
            "GEODL_PYTHON": sys.executable,
        }
        self._environment.pop("PYTHONPATH", None)
        self._call("enable", ["plugins", "enable", "geodl_plugin"])

    def run(self, step: str, tool: str, **parameters: Any) -> None:
        """Run a tool of GeoDL; a list gives a parameter several times.

        Raises:
            ToolError: when it fails, with its sentence and the path of the whole log.
        """
        pairs = [
            f"{name}={value}"
            for name, values in parameters.items()
            for value in (values if isinstance(values, list) else [values])
        ]
        self._call(step, ["run", f"geodl:{tool}", "--", *pairs])

    def _call(self, step: str, arguments: list[str]) -> None:
        log = self._logs / f"{step}.log"
        with log.open("w", encoding="utf-8") as target:
            target.write(" ".join([self._program, *arguments]) + "\n\n")
            started = subprocess.Popen(
                [self._program, *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self._environment,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
            said = time.monotonic()
            for line in started.stdout or ():
                target.write(line)
                target.flush()
                if line.startswith("Epoch") and time.monotonic() - said > PACE:
                    said = time.monotonic()
                    print(f"    {line.strip()}", flush=True)
            code = started.wait()
        if code:
            lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
            tail = "\n".join(lines[-8:])
            raise ToolError(f"The step '{step}' failed with code {code}:\n{tail}\nAll of it: {log}")
