"""The files that decide what a model answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .archive import folder_of
from .definition import ModelDefinition, read_definition
from .installation import named_files
from .networks.files import is_network, network_files
from .store import locate


def model_files(model: str) -> list[Path]:
    """Return the files of a model: its package, or what lies unpacked.

    Args:
        model: as of :func:`~.archive.open_package`.

    Raises:
        ModelError: when there is no such model, or a file of it is damaged.
    """
    text = model.strip()
    if text.startswith("{"):
        definition = ModelDefinition.from_json(text)
        return sorted(_named(definition, folder_of(definition)))
    path = locate(text)
    if path.suffix.lower() == ".emd":
        return sorted({path, *_named(read_definition(path), path.parent)})
    return sorted({path, *(_parts(path) if is_network(path) else ())})


def _named(definition: ModelDefinition, folder: Path | None) -> set[Path]:
    """Return the files that a definition names, which lie in a folder."""
    names = named_files(definition) if folder is not None else []
    return {part for name in names for part in _parts(Path(folder or "") / name)}


def _parts(path: Path) -> Iterator[Path]:
    """Yield a network's file, or those of its folder, and those beside it that belong to it."""
    if not path.exists():
        return
    yield from (each for each in network_files(path) if each.is_file())
    if path.is_dir():
        return
    begin = f"{path.stem}."  # weights of .xml lie in .bin, facts in .json
    yield from (
        each for each in path.parent.iterdir() if each.name.startswith(begin) and each.is_file()
    )
