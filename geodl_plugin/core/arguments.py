"""Arguments written as ``name=value;name=value``."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import InputError

TRUE, FALSE = {"true", "yes", "1", "on"}, {"false", "no", "0", "off"}


@dataclass(frozen=True)
class Argument:
    """What people need to know to set an argument.

    Attributes:
        name: as it is written before the equals sign.
        default: its value when it is not given; ``None`` leaves it to the tool.
        kind: ``int``, ``float``, ``bool``, ``str``, or anything else for a value of JSON.
        help: one sentence.
        choices: the only values there are; empty for any.
        required: whether nothing works without it and there is no default.
    """

    name: str
    default: Any
    kind: str = ""
    help: str = ""
    choices: tuple[str, ...] = ()
    required: bool = False

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Argument:
        """Return the argument that was written as JSON."""
        return cls(**{**values, "choices": tuple(values["choices"])})

    @property
    def is_automatic(self) -> bool:
        """Whether the default leaves the number to the tool, which ``None`` and 0 do."""
        return self.default is None or (self.kind == "int" and self.default == 0)

    @property
    def is_share(self) -> bool:
        """Whether the number is a part of one."""
        return self.kind == "float" and self.default is not None and 0 <= self.default <= 1


def arguments_of(options: type, names: Iterable[str]) -> tuple[Argument, ...]:
    """Return the arguments that are fields of an options class, with the help it gives."""
    found = {each.name: each for each in dataclasses.fields(options)}
    help_texts = _documented(options)
    return tuple(
        Argument(
            name,
            found[name].default,
            str(found[name].type).partition("|")[0].strip(),
            help_texts.get(name, ""),
        )
        for name in names
    )


def _documented(options: type) -> dict[str, str]:
    """Return what the class and its bases say of their fields."""
    texts: dict[str, str] = {}
    for each in reversed(options.__mro__):
        _, _, listed = (inspect.cleandoc(each.__doc__ or "")).partition("Attributes:\n")
        # An entry starts four blanks in; its further lines are indented deeper.
        for entry in re.split(r"\n(?=    \S)", listed.rstrip()):
            name, colon, text = entry.strip().partition(":")
            if colon:
                sentence = " ".join(text.replace("``", "").split())
                texts[name] = sentence[:1].upper() + sentence[1:]
    return texts


def parse(text: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Read arguments over their defaults; the type of a default rules.

    Args:
        text: ``name=value;name=value``; lists are written as in JSON.
        defaults: every known argument with its default; ``None`` takes any value.

    Raises:
        InputError: when a name is unknown or a value has the wrong type.
    """
    return parse_entries(entries(text), defaults)


def parse_entries(written: Iterable[str], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Read entries ``name=value`` over their defaults, as :func:`parse`."""
    values = dict(defaults)
    for entry in written:
        name, equals, value = (part.strip() for part in entry.partition("="))
        if not equals:
            raise InputError(f"'{entry}' is not an argument. Write name=value.")
        if name not in defaults:
            raise InputError(
                f"There is no argument '{name}'. Known are: {', '.join(defaults) or 'none'}."
            )
        values[name] = convert(name, value, defaults[name])
    return values


def entries(text: str) -> list[str]:
    """Return the ``name=value`` of a text of arguments."""
    return [part.strip() for part in text.split(";") if part.strip()]


def names_in(text: str, known: Callable[[str], bool]) -> list[str]:
    """Return the names in a text with ``;`` or ``,`` between.

    Args:
        text: some names.
        known: whether there is such a name; a comma may be part of one.
    """
    found: list[str] = []
    for entry in entries(text):
        found += [entry] if known(entry) else [part.strip() for part in entry.split(",")]
    return [each for each in found if each]


def compose(values: Mapping[str, Any]) -> str:
    """Return arguments as the text that :func:`parse` reads."""
    return ";".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in values.items()
    )


def convert(name: str, text: str, default: Any) -> Any:
    """Return ``text`` in the type of ``default``.

    Raises:
        InputError: when it does not have that type.
    """
    try:
        if isinstance(default, bool):
            return _boolean(text)
        if isinstance(default, int):
            return int(text)
        if isinstance(default, float):
            return float(text)
        if isinstance(default, str):
            return text
        value = json.loads(text.replace("'", '"'))
    except ValueError:
        like = f"it like {json.dumps(default)}"
        if default is None:
            like = "a number, or a list in brackets like [16,8]"
        raise InputError(f"'{text}' is no value for '{name}'. Write {like}.") from None
    if isinstance(default, (list, tuple)) and not isinstance(value, list):
        value = [value]
    return value


def _boolean(text: str) -> bool:
    lowered = text.lower()
    if lowered not in TRUE | FALSE:
        raise ValueError(text)
    return lowered in TRUE
