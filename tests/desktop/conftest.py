"""What the tests in a real window share."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.desktop.windows import ROOT, Window, run_in_window


@pytest.fixture(scope="session")
def qgis_window(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Window]:
    """Return a function that runs a script in QGIS, with the plugin as it is shipped."""
    if not (shutil.which("qgis") and shutil.which("xvfb-run")):
        pytest.skip("needs qgis and xvfb-run")
    package = [sys.executable, str(ROOT / ".ci" / "package.py")]
    subprocess.run(package, check=True, timeout=60, stdout=subprocess.DEVNULL)
    plugins = tmp_path_factory.mktemp("plugins")
    shutil.copytree(ROOT / "build" / "geodl_plugin", plugins / "geodl_plugin")

    def run(script: str, variables: dict[str, str], timeout: float = 120.0) -> Window:
        folder = tmp_path_factory.mktemp(script)
        return run_in_window(script, folder, plugins, variables, timeout)

    return run
