"""Packing, installing and removing models."""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import GeoDLError, InputError, ModelError
from ..leftovers import remove_leftovers
from ..overwriting import refuse_inputs
from ..progress import Progress
from ..replacing import replace
from . import store
from .archive import check_package, peek_definition, write_package
from .definition import ModelDefinition, read_definition, understood
from .networks.files import is_network, network_files
from .summary import BUILT_IN, facts, summary

_PIECE = 8 * 1024**2  # bytes copied between two looks at the progress


def pack(definition: str, files: Sequence[str], output: str, name: str = "") -> Path:
    """Write a package of a definition, the files that it names and others.

    Args:
        definition: path of the ``.emd``; what it names lies beside it.
        files: more files for the package, by their paths.
        output: path of the ``.dlpk``.
        name: of the definition inside, as of :func:`~.archive.write_package`.

    Raises:
        InputError: when a file is not there, or two have one name.
        ModelError: when the definition cannot be read, or names what is not there.
    """
    path = Path(definition)
    if path.suffix.lower() != ".emd":
        raise InputError(f"'{definition}' is no model definition. Choose a file .emd.")
    if Path(output).suffix.lower() != store.SUFFIX:
        raise InputError(f"'{output}' is no name for a package. Give it the extension .dlpk.")
    refuse_inputs([output], [definition, *files])
    read = read_definition(path)
    content: dict[str, Path] = {}
    for named in named_files(read):
        _beside(path, named)
        for part in network_files(path.parent / named):
            inside = part.relative_to(path.parent).as_posix()
            content[inside] = _beside(path, inside)
    for text in files:
        extra = Path(text)
        if not extra.is_file():
            raise InputError(f"There is no file '{text}'. Choose files that exist.")
        if extra.suffix.lower() == ".emd":
            raise InputError(f"A package has one definition only. Leave '{extra.name}' out.")
        known = content.setdefault(extra.name, extra)
        if known.resolve() != extra.resolve():
            raise InputError(f"Two files are called '{extra.name}'. Rename or leave out one.")
    return write_package(output, read, content, name)


def named_files(definition: ModelDefinition) -> list[str]:
    """Return the files that a definition names: weights and inference function."""
    names = [definition.values.get("ModelFile"), definition.values.get("InferenceFunction")]
    more = definition.values.get("ModelFiles")
    names += more if isinstance(more, list) else [more]
    texts = [each.replace("\\", "/") for each in names if isinstance(each, str) and each.strip()]
    # ArcGIS has functions of its own, which come with the program and not with the model.
    own = [each for each in texts if not each.lower().startswith(BUILT_IN)]
    return list(dict.fromkeys(own))


def _beside(definition: Path, name: str) -> Path:
    """Return a file that a definition names; it must lie in the definition's folder."""
    folder = definition.parent.resolve()
    path = (folder / name).resolve()
    if not path.is_relative_to(folder) or Path(name).is_absolute():
        raise ModelError(
            f"'{definition.name}' names the file '{name}', which lies outside its folder. Put it "
            "beside the definition."
        )
    if not path.exists():
        raise ModelError(f"'{definition.name}' names the file '{name}', which is not beside it.")
    return path


def install(model: str, name: str, progress: Progress) -> str:
    """Install a package or a definition with its files, and return the model's name.

    It appears under its name when it is whole, or not at all.

    Raises:
        InputError: when the name cannot be used, or is taken.
        ModelError: when it is no model, or not a safe one.
    """
    path = Path(model)
    if not path.is_file():
        raise InputError(f"There is no file '{model}'. Choose a model package (.dlpk).")
    if is_network(path):
        raise InputError(
            f"'{path.name}' is a network alone. Use it by its path, or install a definition (.emd) "
            "that names it as ModelFile."
        )
    name = store.check_name(name or path.stem)
    target = store.place_for(name)
    part = target.with_name(f".{name}.part-{os.getpid()}{store.SUFFIX}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target.with_name(name))
        if path.suffix.lower() == ".emd":
            pack(str(path), (), str(part), path.stem)
        else:
            _copy(path, part, progress)
        check_package(part, path.name)
        summary(peek_definition(part))
        store.place_for(name)  # nobody took the name meanwhile
        replace(part, target)
    except OSError as error:
        raise ModelError(f"'{path.name}' cannot be installed: {error}.") from error
    finally:
        part.unlink(missing_ok=True)
    return name


def uninstall(name: str) -> str:
    """Remove an installed model and return its name.

    Raises:
        InputError: when there is none of this name, or it is in use.
    """
    path = store.find(name)
    if path is None:
        names = ", ".join(store.installed()) or "none"
        raise InputError(f"There is no installed model '{name}'. Installed are: {names}.")
    try:
        path.unlink()
    except OSError as error:
        raise InputError(
            f"'{path.stem}' cannot be removed ({error.strerror}). Close what uses it, then try "
            "again."
        ) from error
    return path.stem


def list_models() -> list[dict[str, Any]]:
    """Return what is known of every installed model; of a damaged one, what is wrong."""
    found = []
    for name, path in store.installed().items():
        status = path.stat()
        when = datetime.datetime.fromtimestamp(status.st_mtime, datetime.timezone.utc)
        entry: dict[str, Any] = {
            "name": name,
            "path": str(path),
            "bytes": status.st_size,
            "installed": when.isoformat(timespec="seconds"),
        }
        try:
            definition = peek_definition(path)
            with understood(name):
                entry.update(
                    task=definition.task,
                    summary=summary(definition),
                    classes=list(definition.schema.names),
                    facts=facts(definition),
                )
        except GeoDLError as error:
            entry["problem"] = str(error)
        found.append(entry)
    return found


def _copy(source: Path, target: Path, progress: Progress) -> None:
    total, done = max(source.stat().st_size, 1), 0
    with source.open("rb") as reader, target.open("wb") as writer:
        while piece := reader.read(_PIECE):
            progress.check()
            writer.write(piece)
            done += len(piece)
            progress.update(0.9 * done / total, f"Copying {source.name}")
