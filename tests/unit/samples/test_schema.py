"""Classes as text, values and indices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.samples.schema import Schema, default_color


def test_text_gives_values_names_and_colours():
    schema = Schema.from_text(" 7:Oak tree:#22aa44; 2:Pine;")
    assert schema.values == (2, 7)
    assert schema.by_value(7).color == (0x22, 0xAA, 0x44)
    assert schema.index_of(7) == 1
    assert str(schema) == "2 Pine, 7 Oak tree"


@pytest.mark.parametrize(
    "text", ["Oak", "1:", "x:Oak", "1:Oak:red", "1:Oak:#12345", "1:a:b:c", "²:Oak", "--1:Oak"]
)
def test_wrong_text_is_named(text):
    with pytest.raises(InputError, match="Write"):
        Schema.from_text(text)


def test_a_value_belongs_to_one_class():
    with pytest.raises(InputError, match="'Oak' and 'Pine' have the same value 1"):
        Schema.from_text("1:Oak;1:Pine")


def test_an_unknown_value_names_the_classes():
    with pytest.raises(InputError, match=r"value 3. The classes are: 1 Oak\."):
        Schema.from_text("1:Oak").index_of(3)


@given(st.sets(st.text(min_size=1, max_size=5), min_size=1, max_size=9))
def test_names_get_values_in_sorted_order(names):
    schema = Schema.from_names(names)
    assert schema.names == tuple(sorted(names))
    assert schema.values == tuple(range(1, len(names) + 1))


def test_neighbouring_classes_have_different_colours():
    assert len({default_color(place) for place in range(20)}) == 20
