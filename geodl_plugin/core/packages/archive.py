"""Model packages (.dlpk): a zip of a definition and the files it names.

A package is hostile input: no absolute path, no "..", no link, a limit on the size.
"""

from __future__ import annotations

import io
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Union

from ..errors import FULL, FileError, ModelError
from ..leftovers import remove_leftovers
from ..replacing import replace
from .definition import ModelDefinition, check_length, read_definition
from .networks.files import complete, is_network, network_definition
from .seven_zip import SIGNATURE, Entry, SevenZip
from .store import locate

SIZE_LIMIT = 20 * 1024**3  # bytes of a package's files together, unpacked
RATIO_LIMIT = 1000  # unpacked to packed size of a file; weights hardly shrink
# RuntimeError: a password, or a way of packing that Python does not know.
DAMAGE = (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
Archive = Union[zipfile.ZipFile, SevenZip]


class Package:
    """An opened model: its definition and its files; close it to remove what was unpacked."""

    def __init__(
        self,
        name: str,
        definition: ModelDefinition,
        folder: Path | None,
        temporary: bool,
        is_text: bool = False,
    ) -> None:
        self.name = name
        self.definition = definition
        self._folder = folder
        self._temporary = temporary
        self._is_text = is_text

    def file(self, name: str) -> Path:
        """Return the path of a file of the model.

        Raises:
            ModelError: when the model has no such file, or it lies outside the model's folder.
        """
        folder = self._folder
        if folder is None:
            raise ModelError(
                f"The text of the model names '{name}' without a folder. Write ModelFile as an "
                "absolute path, or save the text as a definition (.emd) beside that file."
            )
        path = (folder / name.replace("\\", "/")).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise ModelError(f"'{self.name}' has no file '{name}' of its own.")
        if not path.is_file():
            raise ModelError(f"'{self.name}' lacks its file '{name}'. Get the model again.")
        return path

    def detach(self) -> Package:
        """Return a package that keeps the files when this one is closed."""
        kept = Package(self.name, self.definition, self._folder, self._temporary, self._is_text)
        self._temporary = False
        return kept

    def definition_file(self) -> Path | None:
        """Return the definition's file, ``None`` where there is only its text."""
        if self._folder is None or self._is_text:
            return None
        found = sorted(self._folder.glob("*.emd"))
        named = [each for each in found if each.name == self.name]
        return named[0] if named else found[0] if len(found) == 1 else None

    def close(self) -> None:
        """Remove what was unpacked."""
        if self._temporary and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Package:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def open_package(model: str | Path) -> Package:
    """Open a model with all its files.

    Args:
        model: path of a ``.dlpk``, ``.emd``, ``.onnx``, ``.xml``, ``.pt`` or ``.pt2``, the name
            of an installed model, or the JSON text of a definition, whose files lie in the
            folder of the absolute path that it names.

    Raises:
        ModelError: when it is no model, or not a safe one.
    """
    text = str(model).strip()
    if text.startswith("{"):
        definition, beside = _of_text(text)
        return Package(definition.name, definition, beside, temporary=False, is_text=True)
    path = locate(text)
    if path.suffix.lower() == ".emd":
        return Package(path.name, _beside(path), path.parent, temporary=False)
    if is_network(path):
        return Package(path.name, network_definition(path), path.parent, temporary=False)
    folder = Path(tempfile.mkdtemp(prefix="geodl-model-"))
    try:
        with _open_archive(path) as archive:
            entries = _checked(archive, path.name)
            name = _definition_name(entries, path.name)
            _unpack(archive, entries, folder, path.name)
        definition = _beside(folder / name)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    definition.name = path.name
    return Package(path.name, definition, (folder / name).parent, temporary=True)


def peek_definition(model: str | Path) -> ModelDefinition:
    """Read a model's definition alone, without unpacking its weights.

    Raises:
        ModelError: as :func:`open_package`.
    """
    text = str(model).strip()
    if text.startswith("{"):
        return _of_text(text)[0]
    path = locate(text)
    if path.suffix.lower() == ".emd":
        return _beside(path)
    if is_network(path):
        return network_definition(path)
    with _open_archive(path) as archive:
        name = _definition_name(_checked(archive, path.name), path.name)
        try:
            content = archive.read(name).decode("utf-8-sig")
        except ModelError:
            raise
        except DAMAGE as error:
            raise ModelError(f"'{path.name}' is damaged: {error}. Get it again.") from error
        definition = ModelDefinition.from_json(content, path.name)
        return complete(definition, _inside(archive, PurePosixPath(name).parent))


def package_files(model: str | Path) -> dict[str, int]:
    """Return the files of a package with their sizes in bytes; none for other models."""
    text = str(model).strip()
    if text.startswith("{"):
        return {}
    path = locate(text)
    if path.suffix.lower() == ".emd" or is_network(path):
        return {}
    with _open_archive(path) as archive:
        return {each.filename: each.file_size for each in _checked(archive, path.name)}


def check_package(path: Path, name: str) -> None:
    """Read a package to its end.

    Args:
        path: where it lies.
        name: what the user calls it.

    Raises:
        ModelError: when it is damaged, not safe, or lacks the weights that it names.
    """
    with _open_archive(path, name) as archive:
        entries = _checked(archive, name)
        definition_name = _definition_name(entries, name)
        try:
            damaged = archive.testzip()
            content = archive.read(definition_name).decode("utf-8-sig")
        except ModelError:
            raise
        except DAMAGE as error:
            raise ModelError(f"'{name}' is damaged: {error}. Get it again.") from error
    if damaged:
        raise ModelError(f"'{name}' is damaged: its file '{damaged}' is. Get it again.")
    definition = ModelDefinition.from_json(content, name)
    if definition.values.get("ModelFile"):
        # A SavedModel is a folder.
        places = (PurePosixPath(each.filename.replace("\\", "/")) for each in entries)
        inside = {part for place in places for part in place.parts}
        if definition.model_file not in inside:
            raise ModelError(f"'{name}' lacks its file '{definition.model_file}'. Get it again.")


def write_package(
    path: str | Path,
    definition: ModelDefinition,
    files: Mapping[str, Path | bytes],
    name: str = "",
) -> Path:
    """Write a package under a temporary name and rename it when it is whole.

    Args:
        path: of the ``.dlpk``.
        definition: what the ``.emd`` says.
        files: names inside the package with their contents or where these lie.
        name: of the definition inside, without its extension; default is the package's own.

    Raises:
        ModelError: when the file cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        with zipfile.ZipFile(
            temporary,
            "w",
            zipfile.ZIP_DEFLATED,
            compresslevel=1,
            strict_timestamps=False,  # a file may be dated 1970, where nobody kept its date
        ) as archive:
            archive.writestr(f"{name or path.stem}.emd", definition.to_json())
            for inside, content in files.items():
                if isinstance(content, bytes):
                    archive.writestr(inside, content)
                else:
                    archive.write(content, inside)
        replace(temporary, path)
    except OSError as error:
        raise ModelError(f"The package '{path}' cannot be written: {error}.") from error
    finally:
        temporary.unlink(missing_ok=True)
    return path


def folder_of(definition: ModelDefinition) -> Path | None:
    """Return the folder of the files that a text names by their absolute paths, if it does."""
    told = [str(definition.values.get(key, "")) for key in ("ModelFile", "InferenceFunction")]
    return next((Path(each).parent for each in told if Path(each).is_absolute()), None)


def _of_text(text: str) -> tuple[ModelDefinition, Path | None]:
    """Read a definition that the user wrote, and find the folder of its files.

    The user may name any file, which a definition that comes with a model may not.
    """
    definition = ModelDefinition.from_json(text)
    folder = folder_of(definition)
    if folder is None:
        return definition, None
    beside = folder
    return complete(definition, lambda name: (beside / name).open("rb")), folder


def _beside(path: Path) -> ModelDefinition:
    """Read an .emd file and what the network beside it says itself."""

    def open_file(name: str) -> BinaryIO:
        place = (path.parent / name).resolve()
        if not place.is_relative_to(path.parent.resolve()):
            raise FileNotFoundError(name)
        return place.open("rb")

    return complete(read_definition(path), open_file)


def _inside(archive: Archive, folder: PurePosixPath) -> Callable[[str], BinaryIO]:
    def open_file(name: str) -> BinaryIO:
        place = str(folder / name)
        try:
            if isinstance(archive, zipfile.ZipFile):
                return _unpacked(archive, place)
            return io.BytesIO(archive.read(place))
        except KeyError as error:
            raise FileNotFoundError(name) from error

    return open_file


def _unpacked(archive: zipfile.ZipFile, place: str) -> BinaryIO:
    """Return a file of an archive for reading anywhere in it.

    Within the archive each step back would unpack it from its start again.
    """
    file: Any = tempfile.TemporaryFile(prefix="geodl-model-")  # noqa: SIM115
    try:
        with archive.open(place) as packed:
            shutil.copyfileobj(packed, file, 1024**2)
    except BaseException:
        file.close()
        raise
    return file


def _open_archive(path: Path, name: str = "") -> Archive:
    name = name or path.name
    try:
        with path.open("rb") as file:
            start = file.read(len(SIGNATURE))
        return SevenZip(path, name) if start == SIGNATURE else _with_slashes(zipfile.ZipFile(path))
    except ModelError:
        raise
    except DAMAGE as error:
        raise ModelError(
            f"'{name}' is not a model package: {error}. "
            "Choose a model package (.dlpk) or definition (.emd), or a network (.onnx, .xml, .pt, "
            ".pt2)."
        ) from error


def _with_slashes(archive: zipfile.ZipFile) -> zipfile.ZipFile:
    """Return an archive whose folders are parted by slashes; older .NET writes backslashes."""
    for entry in archive.infolist():
        entry.filename = entry.filename.replace("\\", "/")
        archive.NameToInfo[entry.filename] = entry
    return archive


def _checked(archive: Archive, name: str) -> Sequence[zipfile.ZipInfo | Entry]:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    total = sum(entry.file_size for entry in entries)
    bomb = any(entry.file_size > RATIO_LIMIT * (entry.compress_size + 1024) for entry in entries)
    if total > SIZE_LIMIT or bomb:
        raise ModelError(f"'{name}' unpacks to {total} bytes, which no model needs. Do not use it.")
    for entry in entries:
        inside = PurePosixPath(entry.filename.replace("\\", "/"))
        link = stat.S_ISLNK(entry.external_attr >> 16)
        drive = any(":" in part for part in inside.parts[:1])
        if inside.is_absolute() or not inside.parts or ".." in inside.parts or drive or link:
            raise ModelError(
                f"'{name}' holds '{entry.filename}', which would leave the package. Do not use it."
            )
    return entries


def _unpack(
    archive: Archive, entries: Sequence[zipfile.ZipInfo | Entry], folder: Path, name: str
) -> None:
    if isinstance(archive, SevenZip):
        archive.extractall(folder)
        return
    try:
        for entry in entries:
            archive.extract(entry.filename, folder)
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise FileError(
                f"'{name}' cannot be unpacked into '{folder.parent}': {error.strerror}. Make room "
                "there, or let TMPDIR name another folder."
            ) from error
        raise ModelError(f"'{name}' is damaged: {error}. Get it again.") from error


def _definition_name(entries: Sequence[zipfile.ZipInfo | Entry], name: str) -> str:
    definitions = [entry for entry in entries if entry.filename.lower().endswith(".emd")]
    # macOS packs a file of its own beside each one.
    found = [each for each in definitions if not PurePosixPath(each.filename).name.startswith("._")]
    if len(found) != 1:
        raise ModelError(
            f"'{name}' holds {len(found)} model definitions (.emd). A package has exactly one."
        )
    check_length(found[0].file_size, name)
    return found[0].filename
