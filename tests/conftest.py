"""What all tests share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

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
