"""Proves that a Python can do the work: GDAL reads, torch and torchvision compute."""

from __future__ import annotations

import sys
import time
from importlib import metadata
from typing import Any

from ..core.errors import MissingLibraryError, RasterError
from ..core.places import temporary_folder
from ..core.progress import Progress
from .requirements import names

# A raster that GDAL reads and that needs no GDAL to write.
GRID = "ncols 3\nnrows 2\nxllcorner 0\nyllcorner 0\ncellsize 1\nNODATA_value -9\n1 2 3\n4 5 6\n"


def run(_options: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Run the self-test.

    Returns:
        ``python``, ``versions`` {library: version}, ``devices`` [{name, label}] with the
        device that would be used first, ``seconds`` until torch had computed.
    """
    began = time.monotonic()
    versions = {"Python": ".".join(map(str, sys.version_info[:3])), **library_versions()}
    progress.update(0.1, "Reading a raster through GDAL")
    versions["GDAL"] = _read_raster()
    progress.check()
    progress.update(0.4, "Loading PyTorch")
    devices = _compute()
    versions["NumPy"] = metadata.version("numpy")
    return {
        "python": sys.executable,
        "versions": versions,
        "devices": devices,
        "seconds": round(time.monotonic() - began, 2),
    }


def library_versions() -> dict[str, str]:
    """Return the version of every required library; raise when one is missing.

    They are looked up, not imported: importing all of them takes many seconds.
    """
    versions = {}
    missing = []
    for name in names():
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        what = "PyTorch is" if "torch" in missing else ", ".join(missing) + " is"
        raise MissingLibraryError(
            f"{what} not installed in {sys.executable}. Run the tool 'Set up deep learning "
            "libraries' with the action INSTALL, or name another Python."
        )
    return versions


def _read_raster() -> str:
    """Read a small raster through GDAL and NumPy, and return GDAL's version."""
    from ..core.geo.raster import Raster, gdal

    with temporary_folder("selftest") as folder:
        path = folder / "grid.asc"
        path.write_text(GRID, encoding="ascii")
        with Raster.open(str(path)) as raster:
            pixels = raster.read(raster.window).pixels
    if pixels.tolist() != [[[1, 2, 3], [4, 5, 6]]]:
        raise RasterError(f"GDAL of {sys.executable} read a raster wrongly: {pixels.tolist()}.")
    return gdal.VersionInfo("RELEASE_NAME")


def _compute() -> list[dict[str, str]]:
    """Run an operator of torch and one of torchvision on every device, and name them."""
    import torch
    import torchvision

    devices = available_devices()
    for device in devices:
        image = torch.ones(1, 3, 16, 16, device=device["name"])
        kernel = torch.ones(4, 3, 3, 3, device=device["name"])
        answer = torch.nn.functional.conv2d(image, kernel)
        boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 3.9], [9, 9, 12, 12]])
        scores = torch.tensor([0.9, 0.8, 0.7])
        target = "cpu" if device["name"] == "mps" else device["name"]
        kept = torchvision.ops.nms(boxes.to(target), scores.to(target), 0.5)
        if float(answer.mean()) != 27.0 or kept.tolist() != [0, 2]:
            raise MissingLibraryError(
                f"PyTorch {torch.__version__} computes wrongly on {device['label']}. Run the "
                "tool 'Set up deep learning libraries' with the action REPAIR."
            )
    return devices


def available_devices() -> list[dict[str, str]]:
    """Return the devices that torch can use, the fastest first, each with name and label."""
    import platform

    import torch

    devices = []
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            devices.append({"name": f"cuda:{index}", "label": torch.cuda.get_device_name(index)})
    mps = getattr(torch.backends, "mps", None)
    if mps is not None and mps.is_available():
        devices.append({"name": "mps", "label": "Apple GPU"})
    label = platform.processor() or platform.machine()
    devices.append({"name": "cpu", "label": f"{label}, {torch.get_num_threads()} threads"})
    return devices
