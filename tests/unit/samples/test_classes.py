"""Classes that the fields of a layer name."""

from __future__ import annotations

import numpy as np
import pytest

from geodl_plugin.core.geo.vector import VectorReader
from geodl_plugin.core.geo.vector_writer import VectorWriter
from geodl_plugin.core.samples.classes import read_classes
from geodl_plugin.core.samples.schema import Schema


def layer(path, fields, rows):
    """Return a layer of squares with these fields and attributes."""
    with VectorWriter(path, "EPSG:32612", fields) as writer:
        for place, row in enumerate(rows):
            ring = np.array([[0, 0], [5, 0], [5, 5], [0, 5]]) + [10.0 * place, 0]
            writer.write_polygon([ring], dict(zip(fields, row)))
    return VectorReader(path)


def test_whole_real_numbers_are_values_of_a_schema(tmp_path):
    samples = layer(tmp_path / "in.gpkg", {"kind": float}, [[4.0], [9.0], [4.0]])
    classes = read_classes(samples, "kind", Schema.from_text("9:oak;4:pine"))
    assert classes.values == {4.0: 4, 9.0: 9}


SAMPLES = {"Classname": str, "Classvalue": int, "RED": int, "GREEN": int, "BLUE": int, "state": int}


@pytest.mark.parametrize(
    ("field", "names", "color"),
    [("Classvalue", ("palm", "oak"), (1, 2, 3)), ("state", ("1", "2"), (61, 230, 57))],
)
def test_names_of_samples_are_those_of_their_own_values(tmp_path, field, names, color):
    rows = [["palm", 7, 1, 2, 3, 1], ["palm", 7, 1, 2, 3, 2], ["oak", 8, 4, 5, 6, 2]]
    classes = read_classes(layer(tmp_path / "in.gpkg", SAMPLES, rows), field)
    assert classes.schema.names == names
    assert classes.schema.classes[0].color == color


def test_another_field_takes_names_that_fit_it_one_by_one(tmp_path):
    fields = {"code": int, "Classname": str}
    samples = layer(tmp_path / "in.gpkg", fields, [[5, "palm"], [3, "oak"], [5, "palm"]])
    assert str(read_classes(samples, "code").schema) == "3 oak, 5 palm"
