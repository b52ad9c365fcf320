"""Packages that 7-Zip packed, read where the library py7zr is installed, as zips are.

It is not among the libraries that GeoDL requires: such packages are rare, and it brings nine more.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError, reason_of
from ..places import temporary_folder

SIGNATURE = b"7z\xbc\xaf\x27\x1c"


@dataclass(frozen=True)
class Entry:
    """A file of an archive, with what is known of one in a zip."""

    filename: str
    file_size: int
    compress_size: int
    external_attr: int

    def is_dir(self) -> bool:
        """Return whether it is a folder: those are not listed."""
        return False


class SevenZip:
    """An archive of 7-Zip with the methods of a zip that reading packages needs.

    Raises:
        ModelError: when py7zr is not installed, or does not read the archive.
    """

    def __init__(self, path: Path, name: str) -> None:
        try:
            import py7zr
        except ImportError as error:
            raise ModelError(
                f"'{name}' is packed with 7-Zip. Unpack it and choose its .emd file, or pack it "
                "again as a zip with the tool 'Package model'."
            ) from error
        self._name = name
        self._size = path.stat().st_size
        try:
            self._archive = py7zr.SevenZipFile(path)
        except Exception as error:  # the library raises errors of all kinds
            raise self._unreadable(error) from error

    def infolist(self) -> list[Entry]:
        """Return the files; what the library calls a link is one."""
        found = []
        for each in self._archive.files:
            link = each.is_symlink or each.is_junction or each.is_socket
            if each.is_directory and not link:
                continue
            mode = (stat.S_IFLNK if link else stat.S_IFREG) << 16
            # Files are packed together: what one of them takes is not known.
            found.append(Entry(each.filename, int(each.uncompressed or 0), self._size, mode))
        return found

    def read(self, filename: str) -> bytes:
        """Return the content of a file."""
        with temporary_folder("7z") as folder:
            self._extract(folder, [filename])
            return (folder / filename).read_bytes()

    def extractall(self, folder: Path) -> None:
        """Write all files into a folder."""
        self._extract(folder, None)

    def testzip(self) -> str | None:
        """Return the name of what is damaged, none when nothing is."""
        try:
            self._archive.reset()
            return self._name if self._archive.test() is False else None
        except Exception as error:
            raise self._unreadable(error) from error

    def _extract(self, folder: Path, names: list[str] | None) -> None:
        try:
            self._archive.reset()
            self._archive.extract(folder, targets=names)
        except Exception as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> ModelError:
        return ModelError(
            f"'{self._name}' cannot be unpacked: {reason_of(error)}. Unpack it with 7-Zip and "
            "choose its .emd file."
        )

    def __enter__(self) -> SevenZip:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._archive.close()
