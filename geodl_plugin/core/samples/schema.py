"""Classes: their values, names and colours."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import InputError

BACKGROUND = "background"
Color = tuple[int, int, int]


@dataclass(frozen=True)
class ClassDefinition:
    """A class as the user knows it: the value in files, the name, the colour (0 to 255)."""

    value: int
    name: str
    color: Color


def background_name(names: Iterable[str]) -> str:
    """Return what the pixels without a class are called beside classes of these names."""
    taken = any(name.strip().lower() == BACKGROUND for name in names)
    return "no class" if taken else BACKGROUND


def pixel_names(names: Sequence[str]) -> list[str]:
    """Return the names of the answers to a pixel: it has none of the classes, or one of them."""
    return [background_name(names), *names]


def default_color(position: int) -> Color:
    """Return the colour of the class at ``position``: hues a golden section apart."""
    hue = (0.33 + position * 0.618034) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, 0.9)
    return round(red * 255), round(green * 255), round(blue * 255)


@dataclass(frozen=True)
class Schema:
    """The classes of a data set, ordered by value.

    Class *values* are what the user wrote, *indices* are 0…n−1 inside a network; the
    mapping lives here.
    """

    classes: tuple[ClassDefinition, ...]

    @classmethod
    def of(cls, classes: Iterable[ClassDefinition]) -> Schema:
        """Return the schema of ``classes``; raise :class:`InputError` when a value repeats."""
        ordered = tuple(sorted(classes, key=lambda each: each.value))
        for before, after in zip(ordered, ordered[1:]):
            if before.value == after.value:
                raise InputError(
                    f"The classes '{before.name}' and '{after.name}' have the same value "
                    f"{after.value}. Give each class its own value."
                )
        return cls(ordered)

    @classmethod
    def from_text(cls, text: str) -> Schema:
        """Read ``value:name:#rrggbb;…``; the colour may be left out.

        Raises:
            InputError: when an entry does not have this form.
        """
        classes = []
        for position, entry in enumerate(part for part in text.split(";") if part.strip()):
            parts = [part.strip() for part in entry.split(":")]
            if len(parts) not in (2, 3) or not _is_integer(parts[0]) or not parts[1]:
                raise InputError(
                    f"'{entry.strip()}' is not a class. Write value:name:#rrggbb, "
                    "for example 1:Tree:#22aa44, and put ';' between classes."
                )
            color = _parse_color(parts[2]) if len(parts) == 3 else default_color(position)
            classes.append(ClassDefinition(int(parts[0]), parts[1], color))
        return cls.of(classes)

    @classmethod
    def from_names(cls, names: Iterable[str]) -> Schema:
        """Return a schema that gives the sorted names the values 1…n."""
        return cls(
            tuple(
                ClassDefinition(position + 1, name, default_color(position))
                for position, name in enumerate(sorted(set(names)))
            )
        )

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def values(self) -> tuple[int, ...]:
        """The class values, ascending."""
        return tuple(each.value for each in self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """The class names in the order of the values."""
        return tuple(each.name for each in self.classes)

    def by_value(self, value: int) -> ClassDefinition | None:
        """Return the class with this value."""
        return next((each for each in self.classes if each.value == value), None)

    def by_name(self, name: str) -> ClassDefinition | None:
        """Return the class with this name."""
        return next((each for each in self.classes if each.name == name), None)

    def index_of(self, value: int) -> int:
        """Return the network's index of a class value; raise :class:`InputError` if unknown."""
        try:
            return self.values.index(value)
        except ValueError:
            raise InputError(
                f"There is no class with the value {value}. The classes are: {self}."
            ) from None

    def subset(self, values: Sequence[int]) -> Schema:
        """Return the schema of the classes with these values."""
        return Schema(tuple(each for each in self.classes if each.value in set(values)))

    def __str__(self) -> str:
        return ", ".join(f"{each.value} {each.name}" for each in self.classes)


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _parse_color(text: str) -> Color:
    digits = text.lstrip("#")
    try:
        number = int(digits, 16) if len(digits) == 6 else -1
    except ValueError:
        number = -1
    if number < 0:
        raise InputError(f"'{text}' is not a colour. Write it as #rrggbb, for example #22aa44.")
    return number >> 16, number >> 8 & 255, number & 255
