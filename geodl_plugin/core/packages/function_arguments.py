"""The parameters of a Python inference function as arguments of a tool; runs no code."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..arguments import TRUE, Argument, convert
from ..errors import InputError

NUMBER, BOOLEAN, TEXT = "number", "bool", "str"  # kinds of arguments
MOST_ARGUMENTS = 100  # that have fields of their own
MOST_CHOICES = 500  # from which a list is no help
LONGEST_HELP = 500  # letters
LONGEST_TEXT = 1000  # letters of a name or a value that a field shows
_NUMBERS = ("numeric", "double", "long", "integer", "float")
_SAMPLES: dict[str, Any] = {"int": 0, "float": 0.0, "bool": False, "str": ""}


def kind_of(parameter: Mapping[str, Any]) -> str:
    """Return what the values of a parameter are."""
    kind = str(parameter.get("dataType") or "string").lower()
    return NUMBER if kind in _NUMBERS else BOOLEAN if kind == "boolean" else TEXT


def domain_of(parameter: Mapping[str, Any]) -> list[str]:
    """Return the only values that a parameter may have; none where any may be."""
    told = parameter.get("domain")
    return [str(each) for each in told] if isinstance(told, (list, tuple)) else []


def arguments_of_function(parameters: Iterable[Any]) -> tuple[Argument, ...]:
    """Return the parameters that a text of arguments can set, with what their author says.

    What is no parameter, or has a name or a default that no field can hold, is left out.
    """
    found: dict[str, Argument] = {}
    for each in parameters:
        if isinstance(each, Mapping) and _writable(each.get("name")):
            argument = _argument(each)
            if len(str(argument.default)) <= LONGEST_TEXT:
                found.setdefault(argument.name.casefold(), argument)
    return tuple(found.values())[:MOST_ARGUMENTS]


def shared_arguments(own: Sequence[Argument], told: Sequence[Argument]) -> dict[str, Argument]:
    """Return the arguments of a tool that its model's function has too, by the tool's names.

    The function's default is taken over where the tool could take it as a value.
    """
    by_name = {each.name.casefold(): each for each in told}
    return {
        each.name: _joined(each, by_name[each.name.casefold()])
        for each in own
        if each.name.casefold() in by_name
    }


def _writable(name: Any) -> bool:
    text = "" if name is None else str(name)
    fits = 0 < len(text) <= LONGEST_TEXT and text == text.strip() and text.isprintable()
    return fits and not set(text) & set(";=")


def _argument(parameter: Mapping[str, Any]) -> Argument:
    kind, value = kind_of(parameter), parameter.get("value")
    choices = _choices(domain_of(parameter)) if kind == TEXT else ()
    default = _default(kind, value)
    if kind == TEXT:
        same = [each for each in choices if each.casefold() == str(default).casefold()]
        default = same[0] if same and default not in choices else default
    return Argument(
        str(parameter["name"]),
        default,
        kind,
        _help(parameter),
        choices,
        bool(parameter.get("required")) and (default if kind == NUMBER else value) is None,
    )


def _default(kind: str, value: Any) -> Any:
    if kind == BOOLEAN:
        return str(value).strip().lower() in TRUE
    if kind == TEXT:
        return "" if value is None else str(value).strip()
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _choices(domain: list[str]) -> tuple[str, ...]:
    """Return the values that a text of arguments can hold, each once."""
    if len(domain) > MOST_CHOICES or any(len(each) > LONGEST_TEXT for each in domain):
        return ()
    return tuple(dict.fromkeys(each for each in domain if ";" not in each and each.strip()))


def _help(parameter: Mapping[str, Any]) -> str:
    name = str(parameter["name"])
    told = (str(parameter.get(each) or "").strip() for each in ("displayName", "description"))
    sentences = [each.rstrip(".") for each in told if each and each != name]
    return ". ".join(dict.fromkeys(sentences))[:LONGEST_HELP]


def _joined(own: Argument, told: Argument) -> Argument:
    default = fitting(own, told.default)
    texts = [each.rstrip(".") for each in (own.help, told.help) if each]
    return dataclasses.replace(
        own,
        default=own.default if default is None else default,
        help=". ".join(dict.fromkeys(texts)),
        choices=own.choices or (told.choices if own.kind == TEXT else ()),
        required=told.required,
    )


def fitting(own: Argument, value: Any) -> Any:
    """Return a function's value in the type of a tool's argument; ``None`` if it is none."""
    if value is None or own.kind not in _SAMPLES:
        return None
    whole = isinstance(value, float) and value.is_integer()
    text = value if isinstance(value, str) else json.dumps(int(value) if whole else value)
    if isinstance(value, bool) or own.kind == "bool":
        text = text.lower()
    try:
        found = convert(own.name, text, _SAMPLES[own.kind])
    except InputError:
        return None
    if own.kind in ("int", "float"):
        fits = 0 <= found <= (1 if own.is_share else math.inf)
        return found if fits else None
    return found
