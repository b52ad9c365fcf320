"""Files of PyTorch: programs are read for their metadata, pickles are refused unread."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

from ...errors import ModelError

LONGEST_PROGRAM = 256 * 1024 * 1024  # bytes of an exported program without its weights
LONGEST_TEXT = 1024 * 1024  # bytes of an extra file
RATIO_LIMIT = 200  # unpacked to packed size of a file; PyTorch packs next to nothing
TORCHSCRIPT, EXPORTED = "torchscript", "torch_export"
_DAMAGE = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)


def read_torch(path: Path) -> tuple[str, dict[str, str]]:
    """Return the kind of program that a file holds, and its extra files as texts.

    Raises:
        ModelError: when it holds no program, but only weights or any pickle.
    """
    kind, extra = "", {}
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(archive, path.name)
            kind = _kind([PurePosixPath(each).parts for each in archive.namelist()])
            extra = _extra(archive) if kind else {}
    except ModelError:
        raise
    except _DAMAGE:
        kind = ""
    if not kind:
        raise ModelError(
            f"'{path.name}' holds weights alone and no program, or a pickle, which could run any "
            "code when it is opened. Save the network with torch.jit.save or torch.export.save."
        )
    return kind, extra


def exported_shape(path: Path) -> tuple[int, ...]:
    """Return the sizes of an exported program's images, 0 for free ones; none if not told."""
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(each for each in archive.namelist() if _is_program(each))
            if archive.getinfo(name).file_size > LONGEST_PROGRAM:
                return ()
            program: Any = json.loads(archive.read(name))
        module = program["graph_module"]
        values = module["graph"]["tensor_values"]
        for spec in module["signature"]["input_specs"]:
            argument = spec.get("user_input", {}).get("arg", {}).get("as_tensor", {})
            sizes = values.get(argument.get("name"), {}).get("sizes", [])
            if len(sizes) == 4:
                return tuple(int(each.get("as_int", 0)) for each in sizes)
    except (*_DAMAGE, StopIteration, AttributeError, TypeError, RecursionError):
        pass
    return ()


def _is_program(name: str) -> bool:
    place = PurePosixPath(name)
    return place.name in ("serialized_exported_program.json",) or (
        place.suffix == ".json" and place.parent.name == "models"
    )


def _check_sizes(archive: zipfile.ZipFile, name: str) -> None:
    for entry in archive.infolist():
        if entry.file_size > RATIO_LIMIT * (entry.compress_size + 1024):
            raise ModelError(
                f"'{name}' unpacks to {entry.file_size} bytes, which no model needs. Do not use it."
            )


def _kind(names: list[tuple[str, ...]]) -> str:
    """Return what the entries of an archive are: they lie in a folder named like the file."""
    inner = ["/".join(each[1:]) for each in names]
    if any(each.startswith("code/") for each in inner) and "constants.pkl" in inner:
        return TORCHSCRIPT
    everywhere = {"/".join(each) for each in names} | set(inner)
    known = ("serialized_exported_program.json", "models/model.json")
    return EXPORTED if any(each in everywhere for each in known) else ""


def _extra(archive: zipfile.ZipFile) -> dict[str, str]:
    found = {}
    for entry in archive.infolist():
        inside = PurePosixPath(entry.filename).parts
        beside = "extra" in inside[:-1] and inside.index("extra") <= 1
        if beside and entry.file_size <= LONGEST_TEXT:
            text = archive.read(entry).decode("utf-8", "replace")
            found["/".join(inside[inside.index("extra") + 1 :])] = text
    return found
