from __future__ import annotations

import pytest

from geodl_plugin.core.errors import reason_of


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("no such backbone!"), "no such backbone"),
        (RuntimeError("\n Error(s) in loading:\n\tweight is missing"), "Error(s) in loading"),
        (KeyError("fc.weight"), "'fc.weight'"),
        (AssertionError(), "AssertionError"),
        (AssertionError("  \n"), "AssertionError"),
        (RuntimeError("a" * 900), "a" * 200),
    ],
    ids=["a mark", "lines", "a key", "nothing", "blanks", "long"],
)
def test_what_a_library_says_ends_a_sentence(error, reason):
    assert reason_of(error) == reason


def test_one_that_says_nothing_is_told_in_words():
    assert reason_of(EOFError(), "it is empty") == "it is empty"
