"""A set of feature identifiers that stays small however many there are."""

from __future__ import annotations

from collections.abc import Iterable

PAGE = 10  # a page holds 2 ** 10 identifiers, a bit each


class IdentifierSet:
    """Counts different whole numbers; a million in a row take a fifth of a megabyte."""

    def __init__(self) -> None:
        self._pages: dict[int, int] = {}

    def update(self, numbers: Iterable[int]) -> None:
        """Add numbers, which may be in it."""
        for number in numbers:
            page = number >> PAGE
            self._pages[page] = self._pages.get(page, 0) | 1 << (number & ((1 << PAGE) - 1))

    def __len__(self) -> int:
        return sum(bin(page).count("1") for page in self._pages.values())
