"""What all tests share."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# QGIS looks for its Processing plugin on this path when a test starts it.
for folder in ("/usr/share/qgis/python/plugins", str(ROOT)):
    if folder not in sys.path and Path(folder).exists():
        sys.path.insert(0, folder)

# Without a screen QGIS and Qt draw into memory; `make test` brings a screen.
if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

# The networks of tests are tiny: threads that wait for each other cost more than they give.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The worker of every test: the Python that runs the tests, which has torch.
os.environ.setdefault("GEODL_PYTHON", sys.executable)


# How long an example takes says more about the machine than about the code. The examples are the
# same in every run, for a change is judged by them; `make search` looks for new ones.
for name, same in (("geodl", True), ("search", False)):
    settings.register_profile(
        name, deadline=None, derandomize=same, suppress_health_check=[HealthCheck.too_slow]
    )
settings.load_profile("geodl")


@pytest.hookimpl(tryfirst=True)  # before the names of the groups are read
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Share the tests among processes by file; those of real windows stay one after another.

    They begin, because they take longest.
    """
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        place = item.path.relative_to(ROOT / "tests")
        group = place.parts[0] if place.parts[0] == "desktop" else str(place)
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: item.path.parent.name != "desktop")


@pytest.fixture(autouse=True, scope="session")
def nothing_kept(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Networks that runs keep for later ones lie among the tests' files, not the user's."""
    os.environ["GEODL_COMPILED"] = str(tmp_path_factory.mktemp("compiled"))


@pytest.fixture(autouse=True, scope="session")
def nothing_open_at_the_end(qgis_app: Any) -> Iterator[None]:
    """Free what errors hold: QGIS closes the files of GDAL at its end; twice is a crash."""
    yield
    gc.collect()
