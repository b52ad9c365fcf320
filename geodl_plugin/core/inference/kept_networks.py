"""Networks as OpenVINO has read them, kept on disk for the next run of the same model.

To import the libraries that build a network, build it and have it read takes several times as
long as to open what was read. Read without torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from ..places import user_folder
from .model import Model

DIRECTORY_VARIABLE = "GEODL_COMPILED"
LIMIT = 2 * 1024**3  # bytes of all that is kept; what was used longest ago goes first
ABANDONED = 24 * 3600.0  # seconds after which an unfinished folder is of no living run
GRAPH, WEIGHTS, ABOUT = "network.xml", "network.bin", "about.json"
# What else decides how a network computes.
LIBRARIES = ("torch", "torchvision", "timm", "segmentation-models-pytorch", "openvino")
CORE = Path(__file__).resolve().parent.parent
SOURCES = (CORE / "models", CORE / "inference")


def directory() -> Path:
    """Return the folder of the kept networks; it need not exist."""
    return user_folder("compiled", DIRECTORY_VARIABLE)


def key_of(model: Model, weights: Path) -> str:
    """Return a key of all that decides what a model's network answers.

    Args:
        model: of GeoDL's own making.
        weights: its file.
    """
    code = [
        (path.name, path.stat().st_size, path.stat().st_mtime_ns)
        for folder in SOURCES
        for path in sorted(folder.rglob("*.py"))
    ]
    told = [asdict(model.spec), model.mean, model.std, list(map(_version, LIBRARIES)), code]
    key = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode())
    key.update(_digest(weights).encode())
    return key.hexdigest()[:32]


class KeptNetworks:
    """What is kept of one model: its network in one form or several.

    A form is what is put around the network and the kind of images that it takes. Whatever
    cannot be read or written is as if it were not there.

    Args:
        key: from :func:`key_of`.
    """

    def __init__(self, key: str) -> None:
        self._root = directory()
        self._key = key

    def facts(self) -> dict[str, Any] | None:
        """Return what the network tells of itself; ``None`` when no form of it is kept."""
        with contextlib.suppress(OSError):
            for folder in sorted(self._root.glob(f"{self._key}-*")):
                about = _about(folder)
                if about is not None:
                    return about["facts"]
        return None

    def find(self, form: str) -> tuple[Path, str] | None:
        """Return the graph of a form and the structure of its answer, if it is kept whole."""
        folder = self._folder(form)
        about = _about(folder)
        if about is None:
            return None
        try:
            if _digest(folder / GRAPH) + _digest(folder / WEIGHTS) != about["digest"]:
                raise OSError("damaged")
            os.utime(folder / ABOUT)
        except OSError:
            self.drop(form)
            return None
        return folder / GRAPH, about["structure"]

    def keep(
        self, form: str, facts: dict[str, Any], structure: str, save: Callable[[Path], None]
    ) -> None:
        """Keep a form of the network.

        Args:
            form: its name.
            facts: what the network tells of itself, as JSON knows it.
            structure: of its answer.
            save: writes the graph and its weights, to a path that ends in ``.xml``.
        """
        unfinished = self._root / f".{uuid.uuid4().hex}"
        if _about(self._folder(form)) is None:
            self.drop(form)  # what there may be is of no use
        try:
            unfinished.mkdir(parents=True)
            save(unfinished / GRAPH)
            digest = _digest(unfinished / GRAPH) + _digest(unfinished / WEIGHTS)
            about = {"facts": facts, "structure": structure, "digest": digest}
            (unfinished / ABOUT).write_text(json.dumps(about), "utf-8")
            unfinished.rename(self._folder(form))
        except (OSError, RuntimeError):  # a full disk, or another run was faster
            shutil.rmtree(unfinished, ignore_errors=True)
        self._make_room(self._folder(form))

    def drop(self, form: str) -> None:
        """Remove a form."""
        shutil.rmtree(self._folder(form), ignore_errors=True)

    def _folder(self, form: str) -> Path:
        return self._root / f"{self._key}-{hashlib.sha256(form.encode()).hexdigest()[:16]}"

    def _make_room(self, newest: Path) -> None:
        """Remove what a killed run left, and what was used longest ago beyond the limit."""
        total = 0
        for used, size, folder in sorted(_folders(self._root), reverse=True):
            if folder.name.startswith("."):
                if time.time() - used > ABANDONED:
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            total += size
            if total > LIMIT and folder != newest:
                shutil.rmtree(folder, ignore_errors=True)


def _folders(root: Path) -> Iterator[tuple[float, int, Path]]:
    """Yield when each folder was last used, the bytes of its files, and the folder."""
    with contextlib.suppress(OSError):
        for folder in list(root.iterdir()):
            with contextlib.suppress(OSError):  # another run has removed it
                files = [each.stat() for each in folder.iterdir()]
                used = max(each.st_mtime for each in (folder.stat(), *files))
                yield used, sum(each.st_size for each in files), folder


def _about(folder: Path) -> dict[str, Any] | None:
    try:
        about = json.loads((folder / ABOUT).read_text("utf-8"))
        whole = isinstance(about["facts"], dict) and {"structure", "digest"} <= about.keys()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return about if whole else None


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()
