"""Installed models: packages in a folder of the user's, found by their names."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from ..errors import InputError, ModelError
from ..places import is_reserved, user_folder

DIRECTORY_VARIABLE = "GEODL_MODELS"
SUFFIX = ".dlpk"
LONGEST_NAME = 80  # characters
LONGEST_FILE = 200  # bytes, what is written beside it has a longer name

# What no file may be called on one system or another.
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
_MODEL_SUFFIXES = (SUFFIX, ".emd", ".onnx", ".xml", ".pt", ".pt2", ".json", ".part")


def directory() -> Path:
    """Return the folder of the installed models; it need not exist."""
    return user_folder("models", DIRECTORY_VARIABLE)


def installed() -> dict[str, Path]:
    """Return the packages of the installed models by their names, in order."""
    try:
        paths = [each for each in directory().iterdir() if each.suffix == SUFFIX]
    except OSError:
        return {}
    named = {each.stem: each for each in paths if each.is_file() and not each.name.startswith(".")}
    return dict(sorted(named.items(), key=lambda entry: entry[0].casefold()))


def find(name: str) -> Path | None:
    """Return the package of an installed model, whatever the case of its name; none without."""
    wanted = _plain(name)
    found = installed().items()
    return next((path for each, path in found if _plain(each) == wanted), None)


def _plain(name: str) -> str:
    """Return what is the same in all spellings of a name; macOS parts letters and accents."""
    return unicodedata.normalize("NFC", name.strip()).casefold()


def locate(model: str) -> Path:
    """Return the file of a model: a path, or the name of an installed model.

    Raises:
        ModelError: when it is neither.
    """
    path = Path(model)
    try:
        if path.is_file():
            return path
    except (OSError, ValueError):  # a text that is no path, or too long for one
        pass
    found = find(model)
    if found is None:
        names = ", ".join(installed())
        known = f"Installed are: {names}" if names else "No models are installed"
        raise ModelError(
            f"There is no model '{model[:200]}', neither a file nor an installed one. {known}. "
            "Choose one, or a model package (.dlpk) or definition (.emd)."
        )
    return found


def check_name(name: str) -> str:
    """Return a name without blanks around it.

    Raises:
        InputError: when no model can be called so.
    """
    plain = unicodedata.normalize("NFC", name.strip())
    if not plain:
        raise InputError("The model has no name. Give it one.")
    if len(plain) > LONGEST_NAME:
        raise InputError(
            f"The name '{plain[:20]}…' has {len(plain)} characters. Use {LONGEST_NAME} at most."
        )
    if len(plain.encode()) > LONGEST_FILE:
        raise InputError(f"The name '{plain[:20]}…' is too long for a file. Use a shorter one.")
    forbidden = _FORBIDDEN.search(plain)
    if forbidden:
        raise InputError(
            f"The name '{plain}' holds {forbidden.group()!r}, which no file name may. Leave it out."
        )
    if plain[0] in ".{" or plain[-1] == ".":
        raise InputError(
            f"The name '{plain}' must not begin with a dot or a brace, nor end with a dot."
        )
    if is_reserved(plain):
        raise InputError(f"'{plain}' is a name that Windows keeps for itself. Choose another one.")
    if plain.lower().endswith(_MODEL_SUFFIXES):
        raise InputError(f"The name '{plain}' looks like that of a file. Leave the extension out.")
    return plain


def place_for(name: str) -> Path:
    """Return where a model of this name is to be installed.

    Raises:
        InputError: when the name cannot be used, or is taken.
    """
    name = check_name(name)
    taken = find(name)
    if taken is not None:
        raise InputError(
            f"A model '{taken.stem}' is already installed. Uninstall it first with the tool "
            "'Uninstall model', or choose another NAME."
        )
    return directory() / f"{name}{SUFFIX}"
