"""Draft samples: classes of the model, order, what is there already."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.geo.crs import spatial_reference
from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.raster_writer import write_chip
from geodl_plugin.core.geo.shapes import rectangle
from geodl_plugin.core.geo.vector import VectorReader
from geodl_plugin.core.geo.vector_writer import VectorWriter
from geodl_plugin.core.progress import Progress
from geodl_plugin.core.samples.document import SchemaDocument
from geodl_plugin.core.samples.layer import FIELDS, SampleOptions, make_samples
from geodl_plugin.core.samples.prelabel import (
    Draft,
    Prelabel,
    Present,
    match_classes,
    warn_of_drafts,
)
from geodl_plugin.core.samples.schema import Schema
from geodl_plugin.core.samples.schema_files import json_text, open_document, save_document
from tests.unit.inference.support import write_polygons

UTM = spatial_reference("EPSG:32612").ExportToWkt()
MODEL = Schema.from_text("3:Tree:#22aa44;7:Car:#cc2200")


class Notes(Progress):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def document(text: str) -> SchemaDocument:
    return SchemaDocument.of_schema(Schema.from_text(text)) if text else SchemaDocument()


def draft(value: int, confidence: float, *box: float) -> Draft:
    return Draft(value, confidence, rectangle(*box))


@pytest.mark.parametrize(
    ("classes", "closed", "values", "names", "warning"),
    [
        ("", False, {3: 3, 7: 7}, "3 Tree, 7 Car", ""),
        ("5:tree;7:Car", False, {3: 5, 7: 7}, "5 tree, 7 Car", ""),
        ("3:House", False, {3: 4, 7: 7}, "3 House, 4 Tree, 7 Car", "got the value 4: 3 is 'House'"),
        ("1:Car", True, {7: 1}, "1 Car", "also finds Tree, which the schema lacks"),
    ],
)
def test_classes_of_the_model_join_by_name_and_then_by_value(
    classes, closed, values, names, warning
):
    match = match_classes(document(classes), MODEL, "trees.dlpk", closed)
    assert match.values == values
    assert str(match.document.schema()) == names
    assert warning in " ".join(match.warnings)
    assert bool(warning) == bool(match.warnings)


def test_a_class_without_a_name_is_the_one_of_its_number():
    match = match_classes(document("1:Palm"), Schema.from_text("1:1"), "m.dlpk", closed=True)
    assert match.values == {1: 1}


def test_a_schema_with_none_of_the_classes_is_refused():
    with pytest.raises(InputError, match="finds Tree, Car, which the schema lacks: its classes"):
        match_classes(document("1:Palm"), MODEL, "trees.dlpk", closed=True)


def test_only_what_overlaps_a_sample_of_its_class_by_more_than_half_is_known():
    present = Present()
    present.add(3, rectangle(0, 0, 10, 10))
    same, half = draft(3, 50, 0, 2, 10, 12), draft(3, 50, 0, 5, 10, 15)
    other, inside = draft(7, 50, 0, 0, 10, 10), draft(3, 50, 4, 4, 6, 6)
    # Two drafts of one place are both kept: the model's own suppression has decided that.
    twice = draft(3, 50, 20, 0, 30, 10)
    kept = present.missing([half, same, other, inside, twice, twice])
    assert kept == [half, other, inside, twice, twice]
    assert Present().missing([same]) == [same]


def test_shapes_count_and_not_their_boxes():
    """Two triangles of one box that share nothing but their longest side."""
    from osgeo import ogr

    present = Present()
    present.add(3, ogr.CreateGeometryFromWkt("POLYGON ((0 0, 10 0, 0 10, 0 0))"))
    other = Draft(3, 50.0, ogr.CreateGeometryFromWkt("POLYGON ((10 10, 10 0, 0 10, 10 10))"))
    assert present.missing([other]) == [other]


@pytest.fixture
def raster(tmp_path: Path) -> str:
    path = tmp_path / "ortho.tif"
    write_chip(path, np.ones((1, 80, 80), np.uint8), GeoTransform(0, 0.5, 0, 40, 0, -0.5), UTM)
    return str(path)


@pytest.fixture
def prelabel(tmp_path: Path) -> Prelabel:
    """A model that finds three trees and a car."""
    boxes = [(3, 90.0, 0), (7, 40.0, 10), (3, 60.0, 20), (3, 30.5, 30)]

    def find(classes: list[str]) -> str:
        fields = {"Class": str, "Classvalue": int, "Confidence": float}
        with VectorWriter(tmp_path / "found.gpkg", UTM, fields) as writer:
            for value, confidence, left in boxes:
                name = MODEL.by_value(value).name
                if name in classes:
                    ring = np.array([[left, 0], [left + 5, 0], [left + 5, 5], [left, 5]])
                    values = {"Class": name, "Classvalue": value, "Confidence": confidence}
                    writer.write_polygon([ring], values)
        return str(writer.path)

    return Prelabel("trees.dlpk", MODEL, find)


def rows(path: Path) -> list[tuple]:
    names = ("Classname", "Classvalue", "Count", "Confidence")
    return [tuple(f.attributes[name] for name in names) for f in VectorReader(path).features()]


def test_the_least_certain_comes_first_with_class_pixels_and_confidence(tmp_path, raster, prelabel):
    options = SampleOptions(str(tmp_path / "out.gpkg"), (raster,), schema="1:Car;9:Tree")
    result = make_samples(options, Progress(), prelabel)
    assert rows(result.path) == [
        ("Tree", 9, 100, 30.5),
        ("Car", 1, 100, 40.0),
        ("Tree", 9, 100, 60.0),
        ("Tree", 9, 100, 90.0),
    ]
    assert (result.samples, result.drafts) == (4, 4)


def test_samples_stay_first_and_are_not_found_again(tmp_path, raster, prelabel):
    with VectorWriter(tmp_path / "old.gpkg", UTM, FIELDS) as writer:
        ring = np.array([[20, 0], [25, 0], [25, 5.0], [20, 5]])
        writer.write_polygon([ring], {"Classname": "Tree", "Classvalue": 3})
    options = SampleOptions(
        str(tmp_path / "out.gpkg"), (raster,), append_to=str(tmp_path / "old.gpkg")
    )
    found = rows(make_samples(options, Progress(), prelabel).path)
    assert [each[3] for each in found] == [None, 30.5, 40.0, 90.0]


def test_an_empty_layer_of_samples_is_extended_and_keeps_its_nested_classes(
    tmp_path, raster, prelabel
):
    nested = document("1:Plant").added(document("3:Tree").nodes[0], inside=1)
    with VectorWriter(tmp_path / "old.gpkg", UTM, FIELDS):
        pass
    options = SampleOptions(
        str(tmp_path / "out.gpkg"),
        (raster,),
        append_to=str(tmp_path / "old.gpkg"),
        append_classes=json_text(nested),
    )
    result = make_samples(options, Progress(), prelabel)
    assert [node.name for node in result.document.nodes] == ["Plant", "Car"]
    assert [node.name for node in result.document.nodes[0].children] == ["Tree"]
    assert result.samples == 4


def test_samples_rule_over_the_classes_that_their_layer_kept(tmp_path):
    """Another program has renamed a class since the layer's style was written."""
    with VectorWriter(tmp_path / "old.gpkg", UTM, FIELDS) as writer:
        ring = np.array([[0, 0], [5, 0], [5, 5.0], [0, 5]])
        writer.write_polygon([ring], {"Classname": "Pine", "Classvalue": 3})
    options = SampleOptions(
        str(tmp_path / "out.gpkg"),
        append_to=str(tmp_path / "old.gpkg"),
        append_classes=json_text(document("3:Tree;4:Car")),
    )
    assert str(make_samples(options, Progress()).schema) == "3 Pine, 4 Car"
    assert str(make_samples(replace_classes(options, "no JSON"), Progress()).schema) == "3 Pine"


def replace_classes(options: SampleOptions, text: str) -> SampleOptions:
    import dataclasses

    return dataclasses.replace(options, append_classes=text)


def test_a_nested_schema_stays_nested(tmp_path):
    nested = document("1:Plant").added(document("3:Tree").nodes[0], inside=1)
    save_document(nested, tmp_path / "schema.ecs")
    options = SampleOptions(str(tmp_path / "out.gpkg"), schema=str(tmp_path / "schema.ecs"))
    made = make_samples(options, Progress()).document
    assert made.nodes == open_document(tmp_path / "schema.ecs").nodes
    assert len(made.nodes[0].children) == 1


def test_a_model_without_rasters_is_refused(tmp_path, prelabel):
    with pytest.raises(InputError, match=r"'trees.dlpk' finds samples in rasters, and none"):
        make_samples(SampleOptions(str(tmp_path / "out.gpkg")), Progress(), prelabel)


def test_drafts_that_are_used_are_told(tmp_path, raster, prelabel):
    notes = Notes()
    options = SampleOptions(str(tmp_path / "out.gpkg"), (raster,))
    result = make_samples(options, Progress(), prelabel)
    reader = VectorReader(result.path)
    warn_of_drafts(reader, notes)
    assert notes.warnings[0].startswith("4 of 4 samples in 'out' are drafts of a model")
    assert '"Confidence" IS NULL' in notes.warnings[0]
    assert len(list(reader.features())) == 4
    # Detections are no samples: that they have a confidence is their nature.
    warn_of_drafts(VectorReader(tmp_path / "found.gpkg"), notes)
    assert len(notes.warnings) == 1


def test_words_for_the_confidence_make_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "samples.gpkg"
    shapes = ["POLYGON ((0 0, 9 0, 9 9, 0 0))"]
    write_polygons(path, shapes, 32612, Classname=["a"], Classvalue=[1], Confidence=["high"])
    notes = Notes()
    warn_of_drafts(VectorReader(path), notes)
    assert not notes.warnings
