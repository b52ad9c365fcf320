"""Where PyTorch's wheels come from: for which device, from which index."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener, getproxies

from .processes import WINDOWS, clean_environment, run_quietly

PYTORCH_INDEX = "https://download.pytorch.org/whl"

# Newest first: PyTorch's names of its indexes, and the CUDA that a driver must know for them.
CUDA_INDEXES = {"cu132": 13.2, "cu130": 13.0, "cu128": 12.8, "cu126": 12.6}


def device_to_install(wanted: str) -> str:
    """Return ``cpu`` or ``cuda``; ``auto`` is ``cuda`` where there is an NVIDIA card."""
    if wanted != "auto":
        return wanted
    card = shutil.which("nvidia-smi") or Path("/proc/driver/nvidia/version").exists()
    return "cuda" if card else "cpu"


def indexes_for(device: str) -> list[str]:
    """Return PyTorch's own indexes to try before the default one of pip.

    The default one has the CUDA build for Linux and the CPU build for Windows and macOS.
    """
    if WINDOWS and device == "cuda":
        known = driver_cuda()
        names = [name for name, needed in CUDA_INDEXES.items() if needed <= known]
    elif sys.platform.startswith("linux") and device == "cpu":
        names = ["cpu"]
    else:
        names = []
    return [f"{PYTORCH_INDEX}/{name}" for name in names if _reachable(name)]


def driver_cuda() -> float:
    """Return the newest CUDA that the installed driver knows, 0 when there is none."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        shown = run_quietly(["nvidia-smi"], 20)
        found = re.search(rb"CUDA Version: *([0-9]+\.[0-9]+)", shown.stdout)
        return float(found[1]) if found else 0.0
    return 0.0


def _reachable(name: str) -> bool:
    """Return whether an index answers within seconds; pip itself would try for minutes."""
    address = f"{PYTORCH_INDEX}/{name}/torch/"
    with contextlib.suppress(URLError, OSError, ValueError):
        request = Request(address, method="HEAD")  # noqa: S310 (https, written above)
        proxy = clean_environment().get("https_proxy")  # the one that pip will be told
        opener = build_opener(ProxyHandler({"https": proxy} if proxy else getproxies()))
        with opener.open(request, timeout=8) as answer:
            return 200 <= answer.status < 300
    return False
